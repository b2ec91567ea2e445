//! `atspec check`: every mistake of profiles at once.

use std::fs;

use atspec_model::{
    case::Context,
    profile::{Profile, format, render},
    timeline::Bindings,
};

use crate::{
    args::CheckArgs,
    failure::{Failure, USAGE},
    out,
    select::nearest,
};

/// Checks every file; 0 where none has a mistake.
pub(crate) fn check(args: &CheckArgs) -> Result<u8, Failure> {
    if args.keys {
        out::line(format::describe().trim_end())?;
    }
    let mut wrong = false;
    for path in &args.profiles {
        let file = path.display().to_string();
        let source = match fs::read_to_string(path) {
            Ok(source) => source,
            Err(e) => {
                out::line(format!("error: cannot read {file}: {e}\n"))?;
                wrong = true;
                continue;
            }
        };
        match Profile::load(&source) {
            Ok(profile) => {
                let unknown = unknown_cases(&profile);
                wrong |= !unknown.is_empty();
                if unknown.is_empty() {
                    let bindings = Bindings::default();
                    let cases = atspec_suites::cases(&Context { profile: &profile, bindings: &bindings });
                    let applying = cases.iter().filter(|case| case.applies(&profile).is_ok()).count();
                    out::line(format!(
                        "{file}: ok, {applying} of {} cases apply to `{}`",
                        cases.len(),
                        profile.name
                    ))?;
                }
                for text in unknown {
                    out::line(format!("error: {text}\n --> {file}"))?;
                }
            }
            Err(mistakes) => {
                wrong = true;
                out::line(render(&file, &source, &mistakes).trim_end())?;
            }
        }
    }
    Ok(if wrong { USAGE } else { 0 })
}

/// Keys of `[cites]` that name no case.
fn unknown_cases(profile: &Profile) -> Vec<String> {
    let bindings = Bindings::default();
    let cases = atspec_suites::cases(&Context { profile, bindings: &bindings });
    let ids = || cases.iter().map(|case| case.id.as_str());
    let unknown = profile.cites.keys().filter(|key| !ids().any(|id| id == key.as_str()));
    unknown
        .map(|key| {
            let near = nearest(key, ids()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            format!("[cites] names `{key}`, which is no case{near}")
        })
        .collect()
}
