//! `atspec coverage`: clause by clause which cases check it, or why none does, and what a run said of it.
//!
//! - here: the clauses, and the cases that cite them;
//! - [`seen`]: the run whose verdicts are shown;
//! - [`sheet`]: the same as text, Markdown and JSON.

mod seen;
mod sheet;

use std::collections::BTreeMap;

use atspec_fixtures::{Clause, Firmness, Observable, clauses};
use atspec_model::{case::Context, profile::Profile, run::Evidence, timeline::Bindings};

use self::seen::Seen;
use crate::{
    args::{CoverageArgs, SheetFormat},
    failure::Failure,
    modules, out,
};

/// Name of the standard among the documents.
const MQTT: &str = "MQTT 3.1.1";

/// A document with its clauses.
struct Document<'a> {
    name: &'a str,
    /// The modules that it binds, in order.
    modules: Vec<&'a str>,
    rows: Vec<Row>,
}

/// A clause and what checks it.
struct Row {
    clause: Clause,
    /// Module by module the cases that apply to it and cite the clause, in the order in which they are run.
    modules: Vec<(String, Vec<String>)>,
    /// The same over all modules, each case once.
    cases: Vec<String>,
    /// Why no case checks it; `None` where one does.
    reason: Option<String>,
    /// What the run says, for each of `modules`; `None` where it says nothing.
    evidence: Vec<Option<Evidence>>,
}

/// What cites a clause on a module.
#[derive(Default)]
struct Citing {
    /// Cases that apply.
    cases: Vec<String>,
    /// Why others do not, each reason once.
    unfit: Vec<String>,
}

/// Lists the clauses of the modules' documents, and the statements of the standard that bind a client.
pub(crate) fn coverage(args: &CoverageArgs) -> Result<u8, Failure> {
    let profiles = modules::find_all(&args.module)?;
    let seen = Seen::of(args.run.as_deref())?;
    let documents = documents(&profiles, seen.as_ref());
    let text = match args.format {
        SheetFormat::Text => sheet::text(&documents, seen.as_ref()),
        SheetFormat::Markdown => sheet::markdown(&documents, seen.as_ref()),
        SheetFormat::Json => {
            let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
            sheet::json(&names, &documents, seen.as_ref()).to_string()
        }
    };
    out::line(text.trim_end()).map(|()| 0)
}

/// Each document with its clauses: those of the modules in their order, each once, and the standard at last.
fn documents<'a>(profiles: &'a [Profile], seen: Option<&Seen>) -> Vec<Document<'a>> {
    let mut order = Vec::new();
    let cited: Vec<(&Profile, BTreeMap<String, Citing>)> =
        profiles.iter().map(|profile| (profile, citing(profile, &mut order))).collect();
    let mut names: Vec<&str> = Vec::new();
    for name in profiles.iter().map(|profile| profile.document.as_str()).chain([MQTT]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let document = |name| {
        let asked = clauses().filter(|clause| clause.source == name && asked(clause));
        let rows = asked.map(|clause| row(clause, &cited, &order, seen)).collect();
        let bound = profiles.iter().filter(|p| name == MQTT || p.document == name);
        Document { name, modules: bound.map(|p| p.name.as_str()).collect(), rows }
    };
    names.into_iter().map(document).collect()
}

/// Whether a clause belongs here: of the standard only the numbered statements that bind a client.
fn asked(clause: &Clause) -> bool {
    clause.source != MQTT || clause.firmness == Firmness::Firm
}

/// What cites each clause on a module. A case that is not in `order` yet comes behind the one before it, so that `order` has
/// the cases of every module as they are run.
fn citing(profile: &Profile, order: &mut Vec<String>) -> BTreeMap<String, Citing> {
    let bindings = Bindings::default();
    let mut all: BTreeMap<String, Citing> = BTreeMap::new();
    let mut place = 0;
    for case in atspec_suites::cases(&Context { profile, bindings: &bindings }) {
        place = order.iter().position(|id| *id == case.id).unwrap_or_else(|| {
            order.insert(place, case.id.clone());
            place
        }) + 1;
        let unfit = case.applies(profile).err();
        for cite in case.all_cites(profile) {
            let citing = all.entry(cite).or_default();
            match &unfit {
                None => citing.cases.push(case.id.clone()),
                Some(why) if citing.unfit.contains(why) => {}
                Some(why) => citing.unfit.push(why.clone()),
            }
        }
    }
    all
}

fn row(
    clause: Clause,
    cited: &[(&Profile, BTreeMap<String, Citing>)],
    order: &[String],
    seen: Option<&Seen>,
) -> Row {
    let (mut modules, mut unfit) = (Vec::new(), Vec::new());
    for (profile, all) in cited.iter().filter(|(p, _)| clause.source == MQTT || clause.source == p.document) {
        let citing = all.get(clause.id);
        modules.push((profile.name.clone(), citing.map(|c| c.cases.clone()).unwrap_or_default()));
        unfit.extend(citing.into_iter().flat_map(|c| c.unfit.iter().map(String::as_str)));
    }
    let checks = |id: &&String| modules.iter().any(|(_, cases)| cases.contains(id));
    let cases: Vec<String> = order.iter().filter(checks).cloned().collect();
    let why_none = || match (clause.note, unfit.as_slice()) {
        // What the note says of every case may never be provoked where those about the clause do not apply.
        (Some(note), [_, ..]) => format!("its cases do not apply: {}; {note}", unfit.join("; ")),
        (None, [_, ..]) => format!("its cases do not apply: {}", unfit.join("; ")),
        (Some(note), []) => note.to_owned(),
        (None, []) if clause.observable == Observable::Nowhere => "not observable on a bench".to_owned(),
        (None, []) => "no case cites it".to_owned(),
    };
    let reason = cases.is_empty().then(why_none);
    let said = |(module, _): &(String, Vec<String>)| Some(seen?.of_clause(module, clause.id)?.clone());
    let evidence = modules.iter().map(said).collect();
    Row { clause, modules, cases, reason, evidence }
}
