//! Standard output; a reader that goes away (`| head`) ends the program quietly.

use std::{
    fmt,
    io::{self, Write as _},
};

use crate::failure::Failure;

/// Prints a text and a line end.
pub(crate) fn line(text: impl fmt::Display) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(Failure::bench(format!("cannot write to standard output: {e}"))),
        Ok(()) => Ok(()),
    }
}
