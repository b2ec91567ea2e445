//! What is driven: modules, their deviants, and the cases in parts.

use std::{collections::BTreeMap, sync::Arc, thread};

use atspec_emulator::Deviant;
use atspec_fixtures as fixtures;
use atspec_model::profile::Profile;
use atspec_suites::Catalogue;
use globset::GlobMatcher;

use crate::{
    args::BiteArgs,
    failure::Failure,
    modules,
    run::ids_of,
    select::{glob, nearest},
};

/// A module of the plan.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) profile: Arc<Profile>,
    pub(crate) catalogue: Catalogue,
    /// Every case, in order.
    pub(crate) cases: Vec<String>,
}

/// A deviant of the plan.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// Index of its module.
    pub(crate) module: usize,
    pub(crate) deviant: Deviant,
    also: Vec<GlobMatcher>,
}

/// A checked plan.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) modules: Vec<Module>,
    pub(crate) subjects: Vec<Subject>,
    /// Whether every shipped deviant of the modules is driven, so that a case without one that fails it is a finding.
    pub(crate) whole: bool,
    /// How many modules are driven side by side.
    pub(crate) jobs: usize,
}

impl Plan {
    /// Checks what was asked for, and the deviants' files.
    pub(crate) fn new(args: &BiteArgs) -> Result<Self, Failure> {
        let modules: Vec<Module> = modules::find_all(&args.module)?
            .into_iter()
            .map(|profile| Module {
                catalogue: Catalogue::new(&profile),
                cases: ids_of(&profile).map(|(_, id)| id).collect(),
                profile: Arc::new(profile),
            })
            .collect();
        let index: BTreeMap<&str, usize> =
            modules.iter().enumerate().map(|(i, m)| (m.profile.name.as_str(), i)).collect();
        let all = fixtures::DEVIANTS
            .iter()
            .map(|(name, text)| (*name, Deviant::load(text).map_err(|why| wrong(name, &why))))
            .map(|(name, deviant)| deviant.map(|deviant| (name, deviant)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut subjects = Vec::new();
        for (name, deviant) in all {
            let Some(&module) = index.get(deviant.module.as_str()) else { continue };
            subjects.push(Subject::new(name, module, deviant, &modules)?);
        }
        let of_modules = subjects.len();
        choose(&mut subjects, &args.only)?;
        let whole = subjects.len() == of_modules;
        if args.readme.is_some() && !(whole && args.module.is_empty()) {
            return Err(Failure::usage(
                "--readme is for the score of all deviants; leave --module and --only out",
            ));
        }
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Ok(Self { modules, subjects, whole, jobs: args.jobs.map_or(cores * JOBS_A_CORE, usize::from) })
    }
}

/// Modules mostly wait, so that one core has time for many.
const JOBS_A_CORE: usize = 20;

impl Subject {
    fn new(name: &'static str, module: usize, deviant: Deviant, modules: &[Module]) -> Result<Self, Failure> {
        let cases = &modules[module].cases;
        if deviant.caught_by.is_empty() {
            return Err(wrong(name, "`caught_by` names no case"));
        }
        if deviant.breaks.is_empty() {
            return Err(wrong(name, "`breaks` names no clause that the defect violates"));
        }
        if let Some(id) = deviant.caught_by.iter().find(|id| !cases.contains(id)) {
            let near = nearest(id, cases.iter().map(String::as_str)).unwrap_or("none");
            return Err(wrong(
                name,
                &format!("`caught_by` names `{id}`, which is no case; the nearest is `{near}`"),
            ));
        }
        if let Some(id) = deviant.breaks.iter().find(|id| fixtures::clause(id).is_none()) {
            let near = nearest(id, fixtures::clauses().map(|clause| clause.id)).unwrap_or("none");
            return Err(wrong(
                name,
                &format!("`breaks` names `{id}`, which is no clause; the nearest is `{near}`"),
            ));
        }
        let mut also = Vec::new();
        for one in &deviant.also {
            let matcher = glob(&one.cases)
                .map_err(|why| wrong(name, &format!("`{}` in `also` is not a glob: {why}", one.cases)))?;
            if !cases.iter().any(|id| matcher.is_match(id)) {
                return Err(wrong(name, &format!("`{}` in `also` matches no case", one.cases)));
            }
            also.push(matcher);
        }
        Ok(Self { name, module, deviant, also })
    }

    /// Whether the deviant's file says that the case goes red as a consequence.
    pub(crate) fn bears(&self, case: &str) -> bool {
        self.also.iter().any(|glob| glob.is_match(case))
    }

    /// Whether a clause is violated by the defect, or by the same act as one that is.
    pub(crate) fn breaks(&self, clause: &str) -> bool {
        self.deviant.breaks.iter().any(|broken| fixtures::broken_together(broken, clause))
    }
}

fn wrong(name: &str, why: &str) -> Failure {
    Failure::usage(format!("fixtures/deviants/{name}.toml: {why}"))
}

fn choose(subjects: &mut Vec<Subject>, only: &[String]) -> Result<(), Failure> {
    let mut chosen = Vec::new();
    for text in only {
        let matcher =
            glob(text).map_err(|why| Failure::usage(format!("--only `{text}` is not a glob: {why}")))?;
        if !subjects.iter().any(|subject| matcher.is_match(subject.name)) {
            let near = nearest(text, subjects.iter().map(|subject| subject.name));
            let near = near.map_or(String::new(), |near| format!("; the nearest is `{near}`"));
            return Err(Failure::usage(format!("--only `{text}` matches no deviant{near}")));
        }
        chosen.push(matcher);
    }
    subjects.retain(|subject| only.is_empty() || chosen.iter().any(|glob| glob.is_match(subject.name)));
    Ok(())
}
