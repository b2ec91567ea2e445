//! `atspec explain`: a case or a clause in words.

use std::fmt::Write as _;

use atspec_fixtures::{Clause, Firmness, Observable, clause, clauses};
use atspec_model::{
    case::{Case, Context},
    mqtt::Level,
    profile::Profile,
    timeline::Bindings,
};
use atspec_suites::policy::{self, Policy};

use crate::{args::ExplainArgs, failure::Failure, modules, out, policies, select::nearest};

/// Every module at hand with its cases.
type All<'p> = [(&'p Profile, Vec<Case>)];

/// Explains a case or a clause.
pub(crate) fn explain(args: &ExplainArgs) -> Result<u8, Failure> {
    let profiles = modules::find_all(&args.module)?;
    out::line(text(&args.what, &profiles)?.trim_end()).map(|()| 0)
}

fn text(what: &str, profiles: &[Profile]) -> Result<String, Failure> {
    explained(what, profiles, &with_cases(profiles))
}

fn with_cases(profiles: &[Profile]) -> Vec<(&Profile, Vec<Case>)> {
    let bindings = placeholders();
    let cases = |profile| atspec_suites::cases(&Context { profile, bindings: &bindings });
    profiles.iter().map(|profile| (profile, cases(profile))).collect()
}

fn explained(what: &str, profiles: &[Profile], all: &All<'_>) -> Result<String, Failure> {
    if let Some(policy) = policy::policy(what.strip_prefix("policy/").unwrap_or(what)) {
        return Ok(explain_policy(policy, profiles, &placeholders()));
    }
    if let Some(case) = all.iter().find_map(|(_, cases)| cases.iter().find(|c| c.id == what)) {
        return Ok(explain_case(case, all));
    }
    let cited =
        |(profile, cases): &(&Profile, Vec<Case>)| cases.iter().any(|c| weight(c, profile, what).is_some());
    match clause(what) {
        Some(known) => Ok(explain_clause(known, all)),
        // A profile of somebody else's may go by a document that is not among ours.
        None if all.iter().any(cited) => Ok(format!("{what}\n{}", checked_by(what, all, |_| true, None))),
        None => Err(unknown(what, all)),
    }
}

fn unknown(what: &str, all: &All<'_>) -> Failure {
    let cases = all.iter().flat_map(|(_, cases)| cases.iter().map(|c| c.id.as_str()));
    let policies = policy::POLICIES.iter().map(|p| p.name);
    let near = nearest(what, cases.chain(clauses().map(|c| c.id)).chain(policies));
    let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Failure::usage(format!("`{what}` is no case and no clause{near}"))
}

/// Bindings that read as what they are.
fn placeholders() -> Bindings {
    Bindings {
        host: "HOST".into(),
        port: 1883,
        closed_port: 1,
        client: "CLIENT".into(),
        username: "USER".into(),
        password: "PASSWORD".into(),
        topic: "TOPIC".into(),
    }
}

// ---- a case -----------------------------------------------------------------------------------------------------

fn explain_case(case: &Case, all: &All<'_>) -> String {
    let mut text = format!("{}  ({})\n  {}\n", case.id, case.level, case.asks);
    text += "\nhow it is provoked\n";
    for step in &case.steps {
        let _ = writeln!(text, "  - {step}");
    }
    text += "\nwhat must be seen\n";
    text += "  - the steps' own demands: success as documented, refusal, or no success, as each says\n";
    for expect in &case.expect {
        let _ = writeln!(text, "  - {} ({})", expect.what, expect.level.min(case.level));
    }
    text +=
        "  - in every case: well-formed packets, keep-alive kept, no success without its cause or unasked\n";
    let own = own_cites(case);
    if !own.is_empty() {
        text += "\nwhich statements it checks\n";
        text += &gists("  ", own);
    }
    text += "\non the modules\n";
    for (profile, cases) in all {
        let Some(case) = cases.iter().find(|c| c.id == case.id) else { continue };
        let promised: Vec<&str> =
            profile.cites.get(&case.id).into_iter().flatten().map(String::as_str).collect();
        match case.applies(profile) {
            Ok(()) if promised.is_empty() => {
                let _ = writeln!(
                    text,
                    "  {:<10} no clause of {} asks for it by itself",
                    profile.name, profile.document
                );
            }
            Ok(()) => {
                let _ = writeln!(text, "  {:<10} {}", profile.name, profile.document);
                text += &gists("    ", promised);
            }
            Err(why) => {
                let _ = writeln!(text, "  {:<10} does not apply: {why}", profile.name);
            }
        }
    }
    text
}

/// A policy: its rule, who asks for it, how it is provoked, and on which modules.
fn explain_policy(policy: &Policy, profiles: &[Profile], bindings: &Bindings) -> String {
    let mut text = format!("policy {}\n  {}\n", policy.name, policy.rule);
    let _ = writeln!(text, "\nwho asks for it\n  {}", policy.source);
    text +=
        "  MQTT 3.1.1 does not: it is tried with `--policy`, and never changes a verdict or the exit code\n";
    let cases: Vec<(&Profile, Case)> = profiles
        .iter()
        .flat_map(|profile| {
            policies::cases(profile, bindings, &[policy]).into_iter().map(move |c| (profile, c))
        })
        .collect();
    let applying = cases.iter().find(|(profile, case)| case.applies(profile).is_ok());
    if let Some((_, case)) = applying.or(cases.first()) {
        text += "\nhow it is provoked\n";
        for step in &case.steps {
            let _ = writeln!(text, "  - {step}");
        }
        text += "\nwhat must be seen\n";
        for expect in &case.expect {
            let _ = writeln!(text, "  - {}", expect.what);
        }
    }
    text += "\non the modules\n";
    for (profile, case) in &cases {
        let state = match case.applies(profile) {
            Ok(()) => "can be tried".to_owned(),
            Err(why) => format!("does not apply: {why}"),
        };
        let _ = writeln!(text, "  {:<10} {state}", profile.name);
    }
    text
}

/// The statements of a case and of its expectations, each once.
fn own_cites(case: &Case) -> Vec<&str> {
    let mut cites: Vec<&str> = Vec::new();
    for cite in case.cites.iter().chain(case.expect.iter().flat_map(|e| &e.cites)) {
        if !cites.contains(&cite.as_str()) {
            cites.push(cite);
        }
    }
    cites
}

/// Each id with its gist on a line.
fn gists<'a>(indent: &str, ids: impl IntoIterator<Item = &'a str>) -> String {
    let line = |id: &str| format!("{indent}{id:<14} {}\n", clause(id).map_or("", |c| c.gist));
    ids.into_iter().map(line).collect()
}

// ---- a clause ---------------------------------------------------------------------------------------------------

fn explain_clause(clause: Clause, all: &All<'_>) -> String {
    let mut text = format!("{}  ({}, {})\n  {}\n", clause.id, clause.source, clause.place, clause.gist);
    let _ = writeln!(text, "\nhow firmly it binds\n  {}{}", clause.firmness, consequence(clause, all));
    let _ = writeln!(text, "\nwhere it is seen\n  {}", clause.observable);
    let decided = decisions(clause, all);
    if !decided.is_empty() {
        let _ = write!(text, "\nhow its contradictions are decided\n{decided}");
    }
    text + &checked_by(clause.id, all, |profile| binds(clause, profile), Some(clause))
}

/// Whether a module goes by the document of a clause.
fn binds(clause: Clause, profile: &Profile) -> bool {
    clause.source == profile.document || clause.id.starts_with("MQTT-")
}

/// What follows for a module that breaks it.
fn consequence(clause: Clause, all: &All<'_>) -> &'static str {
    let mut weights =
        all.iter().flat_map(|(p, cases)| cases.iter().filter_map(|c| weight(c, p, clause.id))).peekable();
    let only_warned_of = weights.peek().is_some() && weights.all(|level| level < Level::Must);
    match clause.firmness {
        Firmness::Advice => "; there is nothing to break",
        Firmness::Server => "; a module can break only its own part in it",
        Firmness::Misprint => "; neither used nor asked for",
        Firmness::Unseen => "",
        Firmness::Implied => "; a module that breaks it earns a warning",
        Firmness::Firm | Firmness::Mirror | Firmness::Section if clause.observable == Observable::Nowhere => {
            "; but no bench sees a module break it"
        }
        Firmness::Firm | Firmness::Mirror | Firmness::Section if only_warned_of => {
            "; yet a module that breaks it earns only a warning"
        }
        Firmness::Firm | Firmness::Mirror | Firmness::Section => "; a module that breaks it fails",
    }
}

/// The decisions that the gist names, as the profiles of its document word them.
fn decisions(clause: Clause, all: &All<'_>) -> String {
    let mut text = String::new();
    for id in clause.gist.split(|c: char| !c.is_ascii_alphanumeric()) {
        let of = |(p, _): &(&Profile, Vec<Case>)| {
            let decision = p.decisions.iter().find(|d| d.id == id && binds(clause, p))?;
            Some(format!("  {id:<4} {}\n", decision.text))
        };
        text += &all.iter().find_map(of).unwrap_or_default();
    }
    text
}

/// Module by module the cases that check a clause, or why there is none.
fn checked_by(id: &str, all: &All<'_>, bound: impl Fn(&Profile) -> bool, clause: Option<Clause>) -> String {
    let mut text = "\nchecked by\n".to_owned();
    let mut nowhere = true;
    for (profile, cases) in all.iter().filter(|(profile, _)| bound(profile)) {
        let mut none = true;
        for case in cases {
            let Some(level) = weight(case, profile, id) else { continue };
            let mark = match case.applies(profile) {
                Err(why) => format!("  (does not apply: {why})"),
                Ok(()) if level < Level::Must => "  (only warns)".to_owned(),
                Ok(()) => String::new(),
            };
            let _ = writeln!(text, "  {:<10} {:<34} {}{mark}", profile.name, case.id, case.asks);
            (none, nowhere) = (false, false);
        }
        if none {
            let _ = writeln!(text, "  {:<10} no case of its own", profile.name);
        }
    }
    match clause.and_then(|c| c.note.or_else(|| nowhere.then(|| why_none(c)))) {
        Some(why) => text + "  " + why + "\n",
        None => text,
    }
}

/// Why no case is about a clause, where the data do not say more.
fn why_none(clause: Clause) -> &'static str {
    match (clause.firmness, clause.observable) {
        (Firmness::Advice, _) => "it promises nothing that could be checked",
        (Firmness::Misprint, _) => "nobody is held to a misprint",
        (Firmness::Server, _) => "the bench's own broker keeps it",
        (_, Observable::Nowhere) => "nothing that a module does shows it",
        _ => "no case yet",
    }
}

/// How firmly a case binds a module to a clause; `None` where it does not check it.
fn weight(case: &Case, profile: &Profile, id: &str) -> Option<Level> {
    if case.all_cites(profile).iter().any(|cite| cite == id) {
        return Some(case.level);
    }
    let citing = case.expect.iter().filter(|e| e.cites.iter().any(|cite| cite == id));
    citing.map(|e| e.level.min(case.level)).max()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn shipped() -> Vec<Profile> {
        modules::find_all(&[]).unwrap()
    }

    fn air780e(what: &str) -> String {
        text(what, &[modules::find("air780e").unwrap()]).unwrap()
    }

    #[test]
    fn a_clause_with_cases() {
        insta::assert_snapshot!(air780e("A780-8.2-35"));
    }

    #[test]
    fn a_clause_that_no_case_is_about() {
        insta::assert_snapshot!(air780e("A780-8.2-05"));
    }

    #[test]
    fn a_statement_that_only_warns() {
        insta::assert_snapshot!(air780e("MQTT-3.14.4-1"));
    }

    #[test]
    fn a_case() {
        insta::assert_snapshot!(air780e("publish/qos1"));
    }

    #[test]
    fn every_clause_can_be_explained() {
        let profiles = shipped();
        let all = with_cases(&profiles);
        for clause in clauses() {
            let told = explained(clause.id, &profiles, &all).unwrap();
            assert!(told.contains(clause.gist) && told.contains("checked by"), "{told}");
        }
    }

    #[test]
    fn a_firm_clause_without_a_case_says_why() {
        let profiles = shipped();
        let all = with_cases(&profiles);
        for clause in clauses().filter(|c| c.note.is_none() && c.firmness == Firmness::Firm) {
            let told = explained(clause.id, &profiles, &all).unwrap();
            assert!(!told.contains("no case yet"), "give {} a note or a case\n{told}", clause.id);
        }
    }

    #[test]
    fn every_note_that_denies_a_case_is_true() {
        let profiles = shipped();
        let bindings = placeholders();
        for profile in &profiles {
            for case in atspec_suites::cases(&Context { profile, bindings: &bindings }) {
                for clause in clauses().filter(|c| c.note.is_some_and(|note| note.starts_with("no case yet")))
                {
                    assert_eq!(
                        weight(&case, profile, clause.id),
                        None,
                        "{} has a case, {}: drop its note",
                        clause.id,
                        case.id
                    );
                }
            }
        }
    }

    #[test]
    fn every_case_named_in_the_profiles_exists() {
        let bindings = placeholders();
        for profile in &shipped() {
            let cases = atspec_suites::cases(&Context { profile, bindings: &bindings });
            for id in profile.cites.keys() {
                assert!(
                    cases.iter().any(|c| c.id == *id),
                    "[cites] of {} names {id}, which is no case",
                    profile.name
                );
            }
        }
    }

    #[test]
    fn every_clause_cited_by_a_profile_or_a_case_is_known() {
        let bindings = placeholders();
        let mut cited: BTreeSet<String> = BTreeSet::new();
        for profile in &shipped() {
            cited.extend(profile.message.cites.iter().chain(&profile.escapes.cites).cloned());
            cited.extend(
                profile.arguments.values().flat_map(|of| of.values()).flat_map(|a| a.cites.iter().cloned()),
            );
            cited.extend(profile.cites.values().flatten().cloned());
            let exchanges = profile.steps.values().flat_map(|s| &s.exchanges);
            cited.extend(exchanges.flat_map(|e| e.cites.iter().cloned()));
            for case in atspec_suites::cases(&Context { profile, bindings: &bindings }) {
                cited.extend(own_cites(&case).into_iter().map(str::to_owned));
            }
        }
        let unknown: Vec<&String> = cited.iter().filter(|id| clause(id).is_none()).collect();
        assert!(unknown.is_empty(), "not in fixtures/clauses: {unknown:?}");
    }

    /// The decoder and the passive rules cite in the middle of code: every quoted `MQTT-…` of the model.
    #[test]
    fn every_statement_cited_by_the_judge_is_known() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/src");
        let mut cited: BTreeSet<String> = BTreeSet::new();
        let mut folders = vec![source];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let code = fs::read_to_string(path).unwrap();
                    let quoted = code.split("\"MQTT-").skip(1).filter_map(|rest| rest.split('"').next());
                    let fine = |id: &&str| id.starts_with(|c: char| c.is_ascii_digit());
                    cited.extend(quoted.filter(fine).map(|id| format!("MQTT-{id}")));
                }
            }
        }
        assert!(cited.len() > 50, "{cited:?}");
        let unknown: Vec<&String> = cited.iter().filter(|id| clause(id).is_none()).collect();
        assert!(unknown.is_empty(), "not in fixtures/clauses: {unknown:?}");
    }
}
