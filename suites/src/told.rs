//! What the commands of a step came to, and what a profile says of its steps: words for expectations.

use atspec_model::{
    case::{Case, Context, Step},
    judge::{Told, View},
    mqtt::PacketType,
    profile::{Exchange, Profile},
};

use crate::words::*;

/// Every command of a step that was sent in the case, in order.
pub(crate) fn told<'v>(view: &'v View<'_>, step: &str) -> Vec<&'v Told> {
    view.steps.iter().flat_map(|s| &s.dialogues).filter(|told| is_command(view, step, told)).collect()
}

/// Whether a command is one of the step.
pub(crate) fn is_command(view: &View<'_>, step: &str, told: &Told) -> bool {
    let mut templates = exchanges(view.profile, step).flat_map(|e| &e.send);
    templates.any(|template| template.read(&told.line, Some(b'\\')).is_some())
}

/// The exchanges of a step; none where the module has no such step.
pub(crate) fn exchanges<'p>(profile: &'p Profile, step: &str) -> impl Iterator<Item = &'p Exchange> {
    profile.steps.get(step).into_iter().flat_map(|s| &s.exchanges)
}

/// Whether a line of failure of the step tells something by this name.
pub(crate) fn failure_tells(profile: &Profile, step: &str, name: &str) -> bool {
    let mut lines = exchanges(profile, step).flat_map(|e| &e.failure);
    lines.any(|line| names(line.source(), name))
}

/// Whether a template has an argument of this name.
pub(crate) fn names(template: &str, name: &str) -> bool {
    template.contains(&format!("{{{name}}}")) || template.contains(&format!("{{{name}:n}}"))
}

/// A value as it is meant: blanks around it and quotes are the way it is printed.
pub(crate) fn bare(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    let inner = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

/// Where success may be told before the broker's packet, the packet has to come and to be read before it shows.
pub(crate) fn settled(cx: &Context<'_>, step: &str, packet: PacketType, count: usize) -> Vec<Step> {
    if exchanges(cx.profile, step).all(|e| e.is_certain(0)) {
        return Vec::new();
    }
    vec![Wait(atspec_model::case::Await::ToModule(packet, count)), Quiet]
}

/// The connection as the subject of the case, apart from TCP: it must be answered as documented.
pub(crate) fn as_subject(session: &Session<'_>) -> Vec<Step> {
    session.commands().map(|op| if op.step == "open" { Do(op) } else { Check(op) }).collect()
}

/// The case, where there is something to make it of.
pub(crate) fn only_if(possible: bool, case: impl FnOnce() -> Case) -> Option<Case> {
    possible.then(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_blanks_are_the_way_a_value_is_printed() {
        assert_eq!(bare(b" \"192.168.0.102\""), b"192.168.0.102");
        assert_eq!(bare(b"1"), b"1");
        assert_eq!(bare(b"\""), b"\"");
        assert_eq!(bare(b"\"\""), b"");
    }

    #[test]
    fn a_template_has_the_arguments_it_names() {
        let template = "+MQTTCONN:{link},{state},{port:n}";
        assert!(names(template, "state") && names(template, "port"));
        assert!(!names(template, "stat"));
    }
}
