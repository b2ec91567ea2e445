//! `atspec list`: every case with its requirement and clauses.

use std::fmt::Write as _;

use atspec_model::{case::Context, timeline::Bindings};
use atspec_suites::policy::policy;
use serde_json::json;

use crate::{
    args::{Format, ListArgs},
    failure::Failure,
    modules, out, policies,
};

/// Lists the cases of the modules.
pub(crate) fn list(args: &ListArgs) -> Result<u8, Failure> {
    let profiles = modules::find_all(&args.module)?;
    let bindings = Bindings::default();
    let asked = policies::chosen(&args.policy)?;
    let mut rows = Vec::new();
    let mut text = String::new();
    for profile in &profiles {
        let cases = if asked.is_empty() {
            atspec_suites::cases(&Context { profile, bindings: &bindings })
        } else {
            policies::cases(profile, &bindings, &asked)
        };
        let applying = cases.iter().filter(|case| case.applies(profile).is_ok()).count();
        let _ = writeln!(text, "{}: {applying} of {} cases apply", profile.name, cases.len());
        for case in &cases {
            let why = case.applies(profile).err();
            let cites = case.all_cites(profile);
            let mark = why.as_ref().map_or(String::new(), |why| format!("  (does not apply: {why})"));
            let _ = writeln!(text, "  {:<44} {}{mark}", case.id, case.asks);
            let policy = case.policy.and_then(policy);
            let whence = match policy {
                None => format!("{} {}", case.level, cites.join(" ")),
                Some(policy) => format!("asked by {}", policy.source),
            };
            let _ = writeln!(text, "  {:<44} {whence}", "");
            let mut row = json!({
                "id": case.id, "module": profile.name, "suite": case.suite(), "asks": case.asks,
                "level": case.level, "cites": cites, "applies": why.is_none(), "why": why,
            });
            if let Some(policy) = policy {
                row["policy"] = json!(policy.name);
                row["source"] = json!(policy.source);
            }
            rows.push(row);
        }
    }
    match args.format {
        Format::Text => out::line(text.trim_end())?,
        Format::Json => out::line(serde_json::Value::from(rows))?,
    }
    Ok(0)
}
