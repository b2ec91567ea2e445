//! What is driven: modules, their deviants, and the cases in parts.

use std::{collections::BTreeMap, sync::Arc, thread};

use atspec_emulator::{Deviant, Variant};
use atspec_fixtures as fixtures;
use atspec_model::profile::Profile;
use atspec_suites::Catalogue;
use globset::GlobMatcher;

use crate::{
    args::BiteArgs,
    failure::Failure,
    guise::VARIANT,
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

/// A module in a variant, which must raise no alarm.
#[derive(Debug)]
pub(crate) struct Other {
    /// As it is written behind `emulated:`.
    pub(crate) name: String,
    /// Index of its module.
    pub(crate) module: usize,
    pub(crate) variant: Variant,
    /// The cases that are driven, in order.
    pub(crate) cases: Vec<String>,
}

/// A checked plan.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) modules: Vec<Module>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) others: Vec<Other>,
    /// How many times each of them is driven.
    pub(crate) rounds: u16,
    /// Whether every shipped deviant and variant of the modules is driven, so that a case without one that fails it is a finding.
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
        let mut others = Vec::new();
        for (name, text) in fixtures::VARIANTS {
            let variant = Variant::load(text).map_err(|why| unlike(name, &why))?;
            for module in variant.modules.iter().filter_map(|name| index.get(name.as_str())) {
                others.push(Other::new(name, *module, variant.clone(), &modules)?);
            }
        }
        let of_modules = subjects.len() + others.len();
        choose(&mut subjects, &mut others, &args.only)?;
        let whole = subjects.len() + others.len() == of_modules;
        if args.readme.is_some() && !(whole && args.module.is_empty()) {
            return Err(Failure::usage(
                "--readme is for the score of all deviants and variants; leave --module and --only out",
            ));
        }
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let jobs = args.jobs.map_or(cores * JOBS_A_CORE, usize::from);
        Ok(Self { modules, subjects, others, rounds: args.rounds, whole, jobs })
    }
}

/// Modules mostly wait, so that one core has time for many.
const JOBS_A_CORE: usize = 40;

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

impl Other {
    fn new(name: &str, module: usize, variant: Variant, modules: &[Module]) -> Result<Self, Failure> {
        let mut cases = modules[module].cases.clone();
        let globs: Vec<GlobMatcher> = variant
            .only
            .iter()
            .map(|text| glob(text).map_err(|why| unlike(name, &format!("`{text}` is not a glob: {why}"))))
            .collect::<Result<_, _>>()?;
        cases.retain(|id| globs.is_empty() || globs.iter().any(|glob| glob.is_match(id)));
        if cases.is_empty() {
            return Err(unlike(name, "`only` matches no case"));
        }
        Ok(Self { name: format!("{VARIANT}{name}"), module, variant, cases })
    }
}

fn unlike(name: &str, why: &str) -> Failure {
    Failure::usage(format!("fixtures/variants/{name}.toml: {why}"))
}

fn wrong(name: &str, why: &str) -> Failure {
    Failure::usage(format!("fixtures/deviants/{name}.toml: {why}"))
}

fn choose(subjects: &mut Vec<Subject>, others: &mut Vec<Other>, only: &[String]) -> Result<(), Failure> {
    let mut chosen = Vec::new();
    for text in only {
        let matcher =
            glob(text).map_err(|why| Failure::usage(format!("--only `{text}` is not a glob: {why}")))?;
        let mut names =
            subjects.iter().map(|subject| subject.name).chain(others.iter().map(|other| other.name.as_str()));
        if !names.clone().any(|name| matcher.is_match(name)) {
            let near = nearest(text, &mut names);
            let near = near.map_or(String::new(), |near| format!("; the nearest is `{near}`"));
            return Err(Failure::usage(format!("--only `{text}` matches no deviant and no variant{near}")));
        }
        chosen.push(matcher);
    }
    let is_chosen = |name: &str| only.is_empty() || chosen.iter().any(|glob| glob.is_match(name));
    subjects.retain(|subject| is_chosen(subject.name));
    others.retain(|other| is_chosen(&other.name));
    Ok(())
}
