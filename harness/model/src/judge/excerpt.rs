//! The part of a timeline around an offence, as people read it.

use super::View;
use crate::{
    at::Item,
    case::Case,
    judge::Serial,
    profile::Profile,
    run::ExcerptLine,
    text,
    timeline::{Close, Side, Timeline, What},
};

/// Lines kept before the offence.
const BEFORE: usize = 9;
/// Lines kept behind the offence.
const BEHIND: usize = 3;

/// The lines of a timeline around the event `offence`, or its last ones.
pub fn excerpt(
    case: &Case,
    profile: &Profile,
    timeline: &Timeline,
    offence: Option<usize>,
) -> Vec<ExcerptLine> {
    let view = View::new(case, profile, timeline);
    let mut lines = lines(&view);
    lines.sort_by_key(|(at, _)| *at);
    let here = match offence {
        // The nearest readable line at or before the offence.
        Some(event) => lines.iter().rposition(|(at, _)| *at <= event),
        None => lines.len().checked_sub(1),
    };
    let Some(here) = here else { return Vec::new() };
    if offence.is_some() {
        lines[here].1.here = true;
    }
    let from = here.saturating_sub(BEFORE);
    let to = (here + BEHIND + 1).min(lines.len());
    lines.drain(from..to).map(|(_, line)| line).collect()
}

fn lines(view: &View<'_>) -> Vec<(usize, ExcerptLine)> {
    let mut lines = Vec::new();
    let mut put = |at: usize, lane: &str, text: String| {
        lines.push((at, ExcerptLine { at_us: view.time_us(at), lane: lane.to_owned(), text, here: false }));
    };
    for serial in view.steps.iter().flat_map(|s| &s.serial) {
        match serial {
            Serial::Sent { at, bytes, .. } => {
                put(*at, "serial >", text::shortened(bytes.trim_ascii_end(), 100));
            }
            Serial::Printed { item: Item::Echo(_), .. } => {}
            Serial::Printed { at, item, .. } => put(*at, "serial <", show(item)),
        }
    }
    for p in &view.packets {
        put(p.at, if p.from == Side::Module { "wire   <" } else { "wire   >" }, p.packet.to_string());
    }
    for (at, event) in view.timeline.events.iter().enumerate() {
        let (lane, words) = match &event.what {
            What::Silence { awaited, waited_ms } => ("silence ", format!("no {awaited} for {waited_ms} ms")),
            What::Opened { .. } => ("wire   <", "TCP connection opened".to_owned()),
            What::Closed { by: Side::Module, how, .. } => {
                ("wire   <", format!("TCP connection closed ({})", word(*how)))
            }
            What::Closed { by: Side::Broker, how, .. } => {
                ("wire   >", format!("TCP connection closed ({})", word(*how)))
            }
            What::Altered { packet, action, .. } => (
                "broker  ",
                format!("{packet} {action:?}").to_lowercase().replacen(
                    &packet.name().to_lowercase(),
                    packet.name(),
                    1,
                ),
            ),
            What::Broker { command } => ("broker  ", command.clone()),
            What::PortLost { why } => ("serial <", format!("port lost: {why}")),
            What::Flooded { bytes } => ("serial <", format!("flooded: {bytes} bytes")),
            What::Stalled { ms } => ("bench   ", format!("stood still for {} s", super::steps::seconds(*ms))),
            What::Fault { what } => ("bench   ", what.clone()),
            What::Stranger { why, .. } => {
                ("wire   <", format!("a connection that is not the module's: {why}"))
            }
            What::Teardown => break,
            _ => continue,
        };
        put(at, lane, words);
    }
    lines
}

fn show(item: &Item) -> String {
    match item {
        Item::Echo(bytes) | Item::Line(bytes) => text::shortened(bytes, 100),
        Item::Prompt => ">".to_owned(),
        Item::Message { head, payload, .. } => {
            format!("{}{}", text::visible(head), text::shortened(payload, 80))
        }
        Item::Excess(bytes) => {
            format!("… and {} more bytes on this line: {}", bytes.len(), text::shortened(bytes, 60))
        }
        Item::Overlong(bytes) => format!("{} bytes without a line end", bytes.len()),
    }
}

fn word(how: Close) -> &'static str {
    match how {
        Close::Fin => "FIN",
        Close::Rst => "RST",
    }
}
