//! Finding modules by name or file.

use std::{fs, path::Path};

use atspec_fixtures as fixtures;
use atspec_model::profile::{Profile, render};

use crate::{failure::Failure, select::nearest};

/// The profile of a built-in module or a file.
pub(crate) fn find(name: &str) -> Result<Profile, Failure> {
    if let Some(source) = fixtures::profile(name) {
        return load(&format!("built-in {name}"), source);
    }
    let path = Path::new(name);
    let is_file = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"))
        || name.contains('/')
        || path.exists();
    if !is_file {
        let known: Vec<&str> = fixtures::PROFILES.iter().map(|(name, _)| *name).collect();
        let near = nearest(name, known.iter().copied())
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return Err(Failure::usage(format!(
            "no module `{name}`{near}\n  built-in modules: {}\n  or give the file of a profile, FILE.toml",
            known.join(", ")
        )));
    }
    let source = fs::read_to_string(path).map_err(|e| Failure::usage(format!("cannot read {name}: {e}")))?;
    load(name, &source)
}

/// The named modules, or every built-in one where none is named. No name twice.
pub(crate) fn find_all(names: &[String]) -> Result<Vec<Profile>, Failure> {
    let profiles = if names.is_empty() {
        fixtures::PROFILES.iter().map(|(name, _)| find(name)).collect::<Result<Vec<_>, _>>()?
    } else {
        names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?
    };
    for (i, profile) in profiles.iter().enumerate() {
        if profiles[..i].iter().any(|other| other.name == profile.name) {
            return Err(Failure::usage(format!("the module `{}` is named twice", profile.name)));
        }
    }
    Ok(profiles)
}

fn load(file: &str, source: &str) -> Result<Profile, Failure> {
    Profile::load(source).map_err(|mistakes| Failure::usage(render(file, source, &mistakes)))
}
