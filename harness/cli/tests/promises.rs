//! A case that cites a promise depends on it: for every command of every module some deviant breaks it, and cases
//! see it. That they do is what `deviants.rs` runs; here is what they have to be.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use atspec_emulator::Deviant;
use atspec_fixtures::{DEVIANTS, Firmness, PROFILES, clause};
use atspec_model::{
    case::{Case, Context, Step},
    mqtt::Level,
    profile::{Known, Profile, StepProfile, format::OWN_STEP},
    timeline::Bindings,
};

/// The step that only asks whether the port answers: it promises nothing.
const PROBE: &str = "probe";

/// How the ids of the standard's statements begin.
const STATEMENT: &str = "MQTT-";

/// A shipped module with the cases that apply to it.
struct Module {
    profile: Profile,
    cases: BTreeMap<String, Case>,
}

fn modules() -> Vec<Module> {
    let load = |(name, _): &(&str, &str)| {
        let profile = Profile::clone(&common::profile(name));
        let cases = atspec_suites::cases(&Context { profile: &profile, bindings: &Bindings::default() });
        let applying = cases.into_iter().filter(|case| case.applies(&profile).is_ok());
        let cases = applying.map(|case| (case.id.clone(), case)).collect();
        Module { profile, cases }
    };
    PROFILES.iter().map(load).collect()
}

/// The steps that a case is about: what it does only as a means could fail for any reason.
fn subjects(case: &Case) -> impl Iterator<Item = &str> {
    let asked = case.steps.iter().filter(|step| !matches!(step, Step::Do(_)));
    asked.filter_map(Step::op).map(|op| op.step.as_str())
}

/// Whether the document promises anything of a step. A vendor's own step of which it has only the name shows
/// nothing on the connection either.
fn promises(step: &str, told: &StepProfile) -> bool {
    let described = told.exchanges.iter().any(|exchange| exchange.known == Known::Full);
    step != PROBE && (described || !step.starts_with(OWN_STEP))
}

#[test]
fn every_command_has_a_deviant_that_a_case_about_it_catches() {
    let deviants: Vec<Deviant> = DEVIANTS.iter().filter_map(|(_, text)| Deviant::load(text).ok()).collect();
    assert_eq!(deviants.len(), DEVIANTS.len());
    let mut open = Vec::new();
    for Module { profile, cases } in modules() {
        let caught = deviants.iter().filter(|deviant| deviant.module == profile.name);
        let caught: Vec<&Case> = caught.flat_map(|d| &d.caught_by).filter_map(|id| cases.get(id)).collect();
        let covered = |step: &str| caught.iter().any(|case| subjects(case).any(|subject| subject == step));
        let promising = profile.steps.iter().filter(|(step, told)| promises(step, told));
        let steps = promising.map(|(step, _)| step).filter(|step| !covered(step));
        open.extend(steps.map(|step| format!("{}: {step}", profile.name)));
    }
    assert_eq!(open, Vec::<String>::new(), "no deviant breaks these, seen by a case about them");
}

#[test]
fn a_deviant_is_named_after_its_module_and_caught_by_cases_that_apply_to_it() {
    let modules = modules();
    let mut wrong = Vec::new();
    for (name, text) in DEVIANTS {
        let deviant = Deviant::load(text).unwrap_or_else(|why| panic!("{name}: {why}"));
        let Some(module) = modules.iter().find(|module| module.profile.name == deviant.module) else {
            wrong.push(format!("{name}: no module {}", deviant.module));
            continue;
        };
        let others = modules.iter().filter(|other| other.profile.name != deviant.module);
        let misnamed =
            others.map(|other| &other.profile.name).find(|other| name.starts_with(&format!("{other}-")));
        wrong.extend(misnamed.map(|other| format!("{name}: named after {other}, of {}", deviant.module)));
        let strange = deviant.caught_by.iter().filter(|id| !module.cases.contains_key(*id));
        wrong.extend(strange.map(|id| format!("{name}: {id} does not apply to {}", deviant.module)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_profile_names_is_a_case_that_applies_and_a_clause_of_its_document_or_of_mqtt() {
    let mut wrong = Vec::new();
    for Module { profile, cases } in modules() {
        let strange = |id: &&String| !cases.contains_key(*id);
        let told = |what: &str, id: &str| format!("{}: {what} names {id}", profile.name);
        wrong.extend(profile.implied.iter().filter(strange).map(|id| told("implied", id)));
        wrong.extend(profile.cites.keys().filter(strange).map(|id| told("[cites]", id)));
        for (case, cites) in &profile.cites {
            let own = |id: &String| {
                id.starts_with(STATEMENT) || clause(id).is_some_and(|known| known.source == profile.document)
            };
            let foreign = |id: &&String| clause(id).is_none() || !own(id);
            wrong.extend(cites.iter().filter(foreign).map(|id| told(case, id)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_case_about_what_a_document_only_implies_only_warns() {
    let mut wrong = Vec::new();
    for Module { profile, cases } in modules() {
        for case in cases.values() {
            let cites = case.all_cites(&profile);
            let implied = |id: &String| clause(id).is_some_and(|known| known.firmness == Firmness::Implied);
            if !cites.is_empty() && cites.iter().all(implied) && case.level != Level::Should {
                wrong.push(format!("{}: {} ({})", profile.name, case.id, cites.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "implied, and yet they must:\n{}", wrong.join("\n"));
}

/// The contradictions of each document, by number: each is decided, or each of its forms is accepted and told.
#[test]
fn every_contradiction_of_a_document_is_decided_or_told() {
    let of_document: [(&str, &[u32]); 5] = [
        ("air720", &[1, 2, 3, 4, 5, 6, 7, 8, 72]),
        (
            "l506",
            &[
                9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 67, 69, 73, 74, 78,
                79, 80,
            ],
        ),
        ("bk7238", &[29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 56, 81]),
        ("air780e", &[3, 5, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 67, 68, 69, 70, 71, 75, 76, 77]),
        ("nt35e", &[53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66]),
    ];
    let mut open = Vec::new();
    for (name, numbers) in of_document {
        let source = atspec_fixtures::profile(name).expect("shipped");
        let profile = Profile::load(source).expect("without mistakes");
        let decided = profile.decisions.iter().map(|decision| decision.id.as_str());
        let told: BTreeSet<&str> =
            decided.chain(profile.alternatives.iter().map(|one| one.id.as_str())).collect();
        let ids = numbers.iter().map(|number| format!("X{number:02}"));
        open.extend(ids.filter(|id| !told.contains(id.as_str())).map(|id| format!("{name}: {id}")));
    }
    assert_eq!(open, Vec::<String>::new(), "neither decided nor told");
}
