//! `--policy`: which policies are asked for, and what becomes of a case that tried one.

use std::fmt::Write as _;

use atspec_model::{
    case::{Case, Context},
    profile::Profile,
    run::{CaseRecord, PolicyRecord},
    timeline::Bindings,
    verdict::Verdict,
};
use atspec_suites::policy::{self, POLICIES, Policy};

use crate::{failure::Failure, select::nearest};

/// The policies of these names, each once and in their order; a name that is none lists them all.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Policy>, Failure> {
    let known = || POLICIES.iter().map(|policy| policy.name).chain(["all"]);
    if let Some(wrong) = names.iter().find(|name| !known().any(|one| one == name.as_str())) {
        let near = nearest(wrong, known()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let mut text = format!("--policy `{wrong}`: there is no such policy{near}");
        for policy in POLICIES {
            let _ = write!(text, "\n  {:<20} {}", policy.name, policy.rule);
        }
        let _ = write!(text, "\n  {:<20} every one of these", "all");
        return Err(Failure::usage(text));
    }
    let asked = |policy: &&Policy| names.iter().any(|name| name == "all" || name == policy.name);
    Ok(POLICIES.iter().filter(asked).collect())
}

/// The cases of these policies for a module.
pub(crate) fn cases(profile: &Profile, bindings: &Bindings, policies: &[&Policy]) -> Vec<Case> {
    let mut cases = policy::cases(&Context { profile, bindings });
    cases.retain(|case| policies.iter().any(|policy| case.policy == Some(policy.name)));
    cases
}

/// The case of an id, of a suite or of a policy.
pub(crate) fn any_case(context: &Context<'_>, id: &str) -> Option<Case> {
    atspec_suites::find(context, id).or_else(|| policy::case(context, id))
}

/// The verdict on a case of a policy, as what it is: kept, broken, or not to be seen.
pub(crate) fn record(case: &Case, record: CaseRecord) -> PolicyRecord {
    let name = case.policy.unwrap_or_default();
    let kept = match record.verdict {
        Verdict::Pass => Some(true),
        Verdict::Fail | Verdict::Warning => Some(false),
        Verdict::Inconclusive | Verdict::Skipped | Verdict::Error => None,
    };
    let wanted: Vec<&str> = case.expect.iter().map(|expect| expect.what.as_str()).collect();
    PolicyRecord {
        policy: name.to_owned(),
        source: policy::policy(name).map_or("", |policy| policy.source).to_owned(),
        kept,
        expected: if record.expected.is_empty() { wanted.join("; ") } else { record.expected },
        module: record.module,
        id: record.id,
        asks: record.asks,
        took_ms: record.took_ms,
        observed: record.observed,
        message: record.message,
        notes: record.notes,
        timeline: record.timeline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_chosen_once_and_in_order() {
        let names = |asked: &[&str]| -> Vec<&str> {
            let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
            chosen(&asked).unwrap().iter().map(|policy| policy.name).collect()
        };
        assert_eq!(names(&[]), [""; 0]);
        assert_eq!(
            names(&["republish", "reconnect-backoff", "republish"]),
            ["reconnect-backoff", "republish"]
        );
        assert_eq!(names(&["all"]).len(), POLICIES.len());
    }

    #[test]
    fn a_name_that_is_none_lists_them_all() {
        insta::assert_debug_snapshot!(chosen(&["reconect-backoff".to_owned()]).unwrap_err());
    }
}
