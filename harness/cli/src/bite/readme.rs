//! The score in a file for people, between two marks; nobody types it.

use std::{fs, path::Path};

use super::{score::Report, show};
use crate::failure::Failure;

const BEGIN: &str = "<!-- bite:begin -->";
const END: &str = "<!-- bite:end -->";

/// Whether the file has the two marks: told before anything is driven.
pub(crate) fn check(file: &Path) -> Result<(), Failure> {
    read(file).map(|_| ())
}

/// Puts the score between the marks.
pub(crate) fn write(file: &Path, report: &Report) -> Result<(), Failure> {
    let (before, after) = read(file)?;
    let text = format!("{before}{BEGIN}\n{}.\n{END}{after}", show::score(report));
    fs::write(file, text).map_err(|e| Failure::bench(format!("cannot write {}: {e}", file.display())))
}

/// What stands before and behind the marks.
fn read(file: &Path) -> Result<(String, String), Failure> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|e| Failure::usage(format!("cannot read {name}: {e}")))?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        return Err(Failure::usage(format!("{name} has no `{BEGIN}` with `{END}` behind it")));
    };
    Ok((before.to_owned(), after.to_owned()))
}
