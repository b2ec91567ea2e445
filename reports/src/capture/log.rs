//! What the bench did and saw besides bytes, as lines of a log.

use atspec_model::timeline::{Alteration, Close, Side, What};

/// The longest line, in bytes.
const LONGEST: usize = 1000;

/// The log so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Name of the last step, which is not said twice where it is a command to the broker.
    step: String,
}

impl Log {
    /// An event as a line, and the connection it is about with the side that acted; nothing where its bytes say it.
    pub(super) fn line(&mut self, what: &What) -> Option<(String, Option<(u32, Side)>)> {
        let on = |conn: &u32, side| Some((*conn, side));
        Some(match what {
            What::Step { index, name } => {
                self.step.clone_from(name);
                (format!("step {}: {name}", index + 1), None)
            }
            What::Broker { command } if self.step.strip_prefix("broker: ") == Some(command) => return None,
            What::Teardown => ("clearing up: packets and lines below are not judged".to_owned(), None),
            What::PortLost { why } => (format!("the serial port is gone: {why}"), None),
            What::Flooded { bytes } => {
                (format!("{bytes} bytes on the serial line: more is not recorded"), None)
            }
            What::Silence { awaited, waited_ms } => (format!("no {awaited} for {waited_ms} ms"), None),
            What::Opened { conn, peer } => {
                (format!("connection {conn} opened by {peer}"), on(conn, Side::Module))
            }
            What::Closed { conn, by, how } => {
                (format!("connection {conn} closed by {} ({})", side(*by), close(*how)), on(conn, *by))
            }
            What::Altered { conn, packet, action } => {
                (format!("connection {conn}: {packet} {}", altered(*action)), on(conn, Side::Broker))
            }
            What::Broker { command } => (format!("broker: {command}"), None),
            What::Stranger { conn, why } => {
                (format!("connection {conn} is not the module's: {why}"), on(conn, Side::Module))
            }
            What::Stalled { ms } => (format!("the bench stood still for {ms} ms"), None),
            What::Fault { what } => (format!("the bench failed: {what}"), None),
            What::Interrupted => ("the run was interrupted".to_owned(), None),
            What::StepDone { .. }
            | What::Sent { .. }
            | What::Received { .. }
            | What::FromModule { .. }
            | What::ToModule { .. } => return None,
        })
    }
}

/// A log line as the bytes of its frame: one line, whatever words of a module stand in it.
pub(super) fn bytes(line: &str) -> Vec<u8> {
    let safe = crate::safe::xml_safe(line);
    safe.as_bytes()[..safe.floor_char_boundary(LONGEST)].to_vec()
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Module => "the module",
        Side::Broker => "the broker",
    }
}

fn close(how: Close) -> &'static str {
    match how {
        Close::Fin => "FIN",
        Close::Rst => "RST",
    }
}

fn altered(action: Alteration) -> &'static str {
    match action {
        Alteration::Held => "held back until it is released",
        Alteration::Delayed => "delayed",
        Alteration::Released => "let go after it was held back or delayed",
        Alteration::Withheld => "withheld, never sent",
        Alteration::Ignored => "ignored, as if it had not come",
        Alteration::Replaced => "sent with other bytes",
        Alteration::Injected => "put in by the case",
    }
}
