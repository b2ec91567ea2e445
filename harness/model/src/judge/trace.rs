//! The trace of a case: what was said on both lines, one event a line, so that a profile can tell by a pattern which form of a
//! documented alternative a module uses.
//!
//! `> ` a command line of the host, `* ` so many bytes of data; `< ` a line of the module, a prompt as it is printed, or the head
//! of a message; `~ ` a packet of the module, `= ` of the broker; `x ` who closed TCP.

use crate::{
    at::Item,
    judge::{Serial, View},
    text::visible,
    timeline::{Purpose, Side},
    verdict::Use,
};

/// The trace of a recording.
pub fn trace(view: &View<'_>) -> String {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let printed = view.printed();
    for serial in view.steps.iter().flat_map(|step| &step.serial) {
        let (at, text) = match serial {
            Serial::Sent { at, purpose: Purpose::Data, bytes } => (at, format!("* {}", bytes.len())),
            Serial::Sent { at, bytes, .. } => (at, format!("> {}", visible(bytes.trim_ascii_end()))),
            Serial::Printed { at, item: Item::Line(line), .. } => (at, format!("< {}", visible(line))),
            Serial::Printed { at, item: Item::Message { head, .. }, .. } => {
                (at, format!("< {}", visible(head)))
            }
            Serial::Printed { at, end, item: Item::Prompt } => {
                (at, format!("< {}", prompt(printed.get(end - 1..).unwrap_or_default())))
            }
            Serial::Printed { .. } => continue,
        };
        lines.push((*at, text));
    }
    for p in &view.packets {
        let mark = if p.from == Side::Module { '~' } else { '=' };
        lines.push((p.at, format!("{mark} {}", p.packet)));
    }
    for (at, by, _) in view.connections.iter().flat_map(|c| &c.closed) {
        lines.push((*at, format!("x {}", if *by == Side::Module { "module" } else { "broker" })));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

/// A prompt with everything of it that follows its first byte.
fn prompt(bytes: &[u8]) -> String {
    let len = bytes.iter().take_while(|b| matches!(b, b'>' | b' ')).count();
    visible(&bytes[..len])
}

/// The forms of the profile's alternatives that a recording shows.
pub(super) fn uses(view: &View<'_>) -> Vec<Use> {
    if view.profile.alternatives.is_empty() {
        return Vec::new();
    }
    let trace = trace(view);
    let uses = view.profile.alternatives.iter().flat_map(|alternative| {
        let forms = alternative.forms.iter().filter(|(_, pattern)| pattern.is_match(trace.as_bytes()));
        forms.map(|(form, _)| Use {
            id: alternative.id.clone(),
            about: alternative.text.clone(),
            form: form.clone(),
        })
    });
    uses.collect()
}
