//! The serial side: templates that fill and read back, the reader that frames what a module prints, and the
//! dialogue of one command.

mod command;
mod dialogue;
mod line;
mod reader;

pub use command::{CommandTemplate, Fill, TemplateError, Values};
pub use dialogue::{Dialogue, Heard, Outcome, Owed, Stage};
pub use line::{Captures, LineTemplate};
pub use reader::{Item, Read, Reader};
