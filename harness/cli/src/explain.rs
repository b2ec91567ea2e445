//! `atspec explain`: a case or a clause in words.

use std::fmt::Write as _;

use atspec_model::{
    case::{Case, Context},
    profile::Profile,
    timeline::Bindings,
};

use crate::{args::ExplainArgs, failure::Failure, modules, out, select::nearest};

/// Explains a case or a clause.
pub(crate) fn explain(args: &ExplainArgs) -> Result<u8, Failure> {
    let profiles = modules::find_all(&args.module)?;
    let bindings = placeholders();
    let all: Vec<(&Profile, Vec<Case>)> = profiles
        .iter()
        .map(|profile| (profile, atspec_suites::cases(&Context { profile, bindings: &bindings })))
        .collect();
    let what = args.what.as_str();
    if let Some((_, case)) = all.iter().find_map(|(p, cases)| Some((p, cases.iter().find(|c| c.id == what)?))) {
        return out::line(explain_case(case, &all).trim_end()).map(|()| 0);
    }
    let citing: Vec<(&Profile, &Case)> = all
        .iter()
        .flat_map(|(profile, cases)| cases.iter().map(move |case| (*profile, case)))
        .filter(|(profile, case)| case.all_cites(profile).iter().any(|cite| cite == what))
        .collect();
    if !citing.is_empty() {
        let mut text = format!("{what}\n\nchecked by\n");
        for (profile, case) in citing {
            let _ = writeln!(text, "  {:<10} {:<40} {}", profile.name, case.id, case.asks);
        }
        return out::line(text.trim_end()).map(|()| 0);
    }
    let known: Vec<String> = all
        .iter()
        .flat_map(|(p, cases)| cases.iter().flat_map(|c| std::iter::once(c.id.clone()).chain(c.all_cites(p))))
        .collect();
    let near = nearest(what, known.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Err(Failure::usage(format!("`{what}` is no case and no clause that a case checks{near}")))
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

fn explain_case(case: &Case, all: &[(&Profile, Vec<Case>)]) -> String {
    let mut text = format!("{}  ({})\n  {}\n", case.id, case.level, case.asks);
    text += "\nhow it is provoked\n";
    for step in &case.steps {
        let _ = writeln!(text, "  - {step}");
    }
    text += "\nwhat must be seen\n";
    text += "  - the steps' own demands: success as documented, refusal, or no success, as each says\n";
    for expect in &case.expect {
        let _ = writeln!(text, "  - {} ({})", expect.what, expect.level);
    }
    text += "  - in every case: well-formed packets, keep-alive kept, no success without its cause or unasked\n";
    text += "\non the modules\n";
    for (profile, cases) in all {
        let Some(case) = cases.iter().find(|c| c.id == case.id) else { continue };
        let state = match case.applies(profile) {
            Ok(()) => case.all_cites(profile).join(" "),
            Err(why) => format!("does not apply: {why}"),
        };
        let _ = writeln!(text, "  {:<10} {state}", profile.name);
    }
    text
}
