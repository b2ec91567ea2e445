//! Arguments outside their range, and too few or too many of them.

use atspec_model::{
    at::CommandTemplate,
    case::{Await, Case, Context, Expect, Op, Step},
    mqtt::{Level, PacketType},
    profile::Argument,
};

use crate::words::*;

/// An operation whose arguments are tried, and what it needs before it.
struct Subject {
    op: Op,
    before: Vec<Step>,
    /// The same with everything that may be left out.
    full: Op,
    /// What shows that the module still works.
    after: Vec<Step>,
    /// What the right command after the refused one must show on the wire.
    unchanged: fn(&Context<'_>, &Op) -> Expect,
    /// Whether the document leaves no doubt about the number of arguments.
    counted: bool,
    /// How firmly a range binds at most.
    level: Level,
}

pub(super) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for subject in subjects(cx).iter().filter(|s| has(cx, &s.op.step)) {
        let templates = templates(cx, &subject.op.step);
        let mut done: Vec<&str> = Vec::new();
        for name in templates.iter().flat_map(|template| template.arguments()) {
            if !done.contains(&name) {
                done.push(name);
                cases.extend(out_of_range(cx, subject, name));
            }
        }
        if subject.counted {
            for template in &templates {
                cases.extend(too_few(cx, subject, template));
            }
            cases.extend(templates.first().and_then(|template| too_many(cx, subject, template)));
        }
    }
    cases
}

fn subjects(cx: &Context<'_>) -> Vec<Subject> {
    let t = topic(cx, "t");
    let right = session(cx);
    let with_will = right.clone().will(&topic(cx, "will"), 0, false);
    let subject = |op: Op, before: Vec<Step>| Subject {
        full: op.clone(),
        after: vec![Check(op.clone())],
        op,
        before,
        unchanged: |_, _| count(PacketType::Publish, 0),
        counted: true,
        level: Level::Must,
    };
    let publication = |op: Op| {
        let wait = Wait(Await::FromModule(PacketType::Publish, 1));
        let plain = subject(op.clone(), connected(cx));
        Subject { after: vec![Check(op), wait], unchanged: the_publication, ..plain }
    };
    let connection = has(cx, "open").then(|| Do(right.open())).into_iter().chain([Do(right.connect())]);
    let again = then(vec![Check(right.configure())], connection);
    let connect = subject(right.connect(), right.opened());
    // An attempt that was taken although it can only fail may still go on: it is cleared away first.
    let attempted = !has(cx, "open") && !certain(cx, "connect");
    let cleared = if attempted { then(hung_up(cx), right.configured()) } else { Vec::new() };
    let slot = Op::new("read-message").with("slot", "0");
    vec![
        Subject {
            full: with_will.configure(),
            after: again,
            unchanged: the_configuration,
            ..subject(right.configure(), Vec::new())
        },
        subject(right.open(), right.configured()),
        Subject { after: then(cleared, connect.after.clone()), unchanged: the_connection, ..connect },
        Subject {
            unchanged: |_, _| count(PacketType::Subscribe, 1),
            ..subject(subscribe(&t, 0), connected(cx))
        },
        publication(publish(&t, 0, "refused")),
        publication(publish_data(&t, 0, "refused")),
        subject(message_mode(0), Vec::new()),
        subject(Op::new("secure").with("tls", "0"), Vec::new()),
        // What an empty place is answered with is told nowhere, and without its argument the command may be another one.
        Subject { after: Vec::new(), counted: false, level: Level::Should, ..subject(slot, Vec::new()) },
        Subject { counted: false, ..subject(disconnect(), connected(cx)) },
    ]
}

/// The usual spelling of each command of a step.
fn templates<'p>(cx: &Context<'p>, step: &str) -> Vec<&'p CommandTemplate> {
    let exchanges = cx.profile.steps.get(step).into_iter().flat_map(|s| &s.exchanges);
    exchanges.filter_map(|exchange| exchange.send.first()).collect()
}

/// One below and one above the range, far above it, where a number of eight or sixteen bits begins anew or flags are hidden, and a
/// word where a number belongs.
fn out_of_range(cx: &Context<'_>, subject: &Subject, name: &str) -> Vec<Case> {
    let step = &subject.op.step;
    let Some(argument @ Argument { range: Some((min, max)), .. }) = cx.profile.argument(step, name) else {
        return Vec::new();
    };
    // A keep alive of 0 means none in MQTT, whatever a range says.
    let below = Some(min - 1).filter(|below| name != "keepalive" || *below != 0).map(|n| n.to_string());
    let far = [Some(max + 10), (*max < 255).then_some(256)].into_iter().flatten().map(|n| n.to_string());
    let near = below.into_iter().chain([(max + 1).to_string(), "x".to_owned()]);
    let values =
        near.map(|value| (value.clone(), value, false)).chain(far.map(|value| (value.clone(), value, true)));
    // A port number of more than sixteen bits, whose last sixteen are those of the bench.
    let wrapped = (name == "port")
        .then(|| ("wrapped".to_owned(), (65536 + u32::from(cx.bindings.port)).to_string(), true));
    let right = if name.starts_with("will_") { &subject.full } else { &subject.op };
    values
        .chain(wrapped)
        .map(|(called, value, is_far)| {
            let mut op = right.clone().with(name, &value);
            if cx.profile.takes(step, "keepalive") && name != "keepalive" {
                op = op.with("keepalive", "77");
            }
            if name == "len"
                && let Ok(len) = value.parse::<usize>()
            {
                op = op.with("payload", letters(len));
            }
            let asks = match called.as_str() {
                "wrapped" => format!("`{name}` with 65536 more than that of the broker is refused"),
                _ => format!("`{name}` {value} is outside its range {min} to {max} and is refused"),
            };
            let level = firmness(argument).min(subject.level);
            let case = refused(cx, subject, &format!("{name}-{called}"), &asks, op, level);
            let near = format!("refuse/{step}-{name}-{}", max + 1).replace('_', "-");
            let case = if is_far { case.like(cx, &near) } else { case };
            case.citing(forbidden(step, name, &value))
        })
        .collect()
}

/// The statement of MQTT that forbids a value too.
fn forbidden(step: &str, name: &str, value: &str) -> &'static [&'static str] {
    match (name, value) {
        ("will_qos", "3") => &["MQTT-3.1.2-14"],
        ("qos", "3") if step.starts_with("publish") => &["MQTT-3.3.1-4"],
        ("qos", "3") if step == "subscribe" => &["MQTT-3-8.3-4"],
        _ => &[],
    }
}

/// A command without one of its arguments: the last that has to be there, and every number of arguments that lies between two
/// optional parts.
fn too_few(cx: &Context<'_>, subject: &Subject, template: &CommandTemplate) -> Vec<Case> {
    let groups = groups(template.source());
    if let [all] = groups.as_slice() {
        let given = |name: &&String| {
            cx.profile.argument(&subject.op.step, name).is_none_or(|argument| argument.default.is_none())
        };
        let Some(last) = all.iter().rfind(given) else { return Vec::new() };
        let asks = format!("a command without its `{last}` is refused");
        let op = subject.op.clone().without(last);
        return vec![refused(cx, subject, &format!("{last}-missing"), &asks, op, counted(cx))];
    }
    let mut cases = Vec::new();
    for (n, group) in groups.iter().enumerate().skip(1) {
        let outer: usize = groups[..n].iter().map(Vec::len).sum();
        for given in 1..group.len() {
            // Deeper groups have no values in the plain operation, and all of them in the full one.
            let right = if n + 1 == groups.len() { &subject.full } else { &subject.op };
            let op = group[given..].iter().fold(right.clone(), |op, name| op.without(name));
            let arguments = outer + given;
            let asks =
                format!("a command with {arguments} arguments, which lies between its forms, is refused");
            cases.push(refused(cx, subject, &format!("{arguments}-arguments"), &asks, op, counted(cx)));
        }
    }
    cases
}

/// More arguments than the longest form has. Where the last is text without quotes, what follows may be its own.
fn too_many(cx: &Context<'_>, subject: &Subject, template: &CommandTemplate) -> Option<Case> {
    let step = &subject.op.step;
    let last = *template.arguments().last()?;
    let ranged = cx.profile.argument(step, last).is_some_and(|argument| argument.range.is_some());
    (ranged || template.quotes(last)).then(|| {
        let op = subject.full.clone().followed_by(",1,2,3");
        let asks = "a command with more arguments than it has is refused";
        refused(cx, subject, "too-many", asks, op, counted(cx))
    })
}

/// The arguments of a template by the part in which they stand: first those that have to be there, then each part in brackets.
fn groups(source: &str) -> Vec<Vec<String>> {
    let mut groups = vec![Vec::new()];
    let mut open = vec![0];
    for (at, c) in source.char_indices() {
        match c {
            '[' => {
                open.push(groups.len());
                groups.push(Vec::new());
            }
            ']' => {
                open.pop();
            }
            '{' => {
                let name = source[at + 1..].split('}').next().unwrap_or_default();
                groups[open.last().copied().unwrap_or(0)].push(name.to_owned());
            }
            _ => {}
        }
    }
    groups
}

/// How firmly the number of arguments binds.
fn counted(cx: &Context<'_>) -> Level {
    if cx.profile.behaviour.format_errors { Level::Must } else { Level::Should }
}

/// A range that stands in the document binds; one that is only known from the family warns.
fn firmness(argument: &Argument) -> Level {
    if argument.cites.is_empty() { Level::Should } else { Level::Must }
}

/// A refused command changes nothing: the same command with right arguments still works, and with its own values.
fn refused(cx: &Context<'_>, subject: &Subject, name: &str, asks: &str, op: Op, level: Level) -> Case {
    let mut case = case(&format!("refuse/{}-{name}", op.step), asks, &[])
        .steps(subject.before.clone())
        .steps([Refuse(op)])
        .steps(subject.after.clone())
        .expect([(subject.unchanged)(cx, &subject.op)]);
    case.level = level;
    case
}

fn the_publication(_: &Context<'_>, op: &Op) -> Expect {
    publications(vec![sent(&op.text("topic"), 0, "refused")])
}

fn the_configuration(cx: &Context<'_>, op: &Op) -> Expect {
    let (client, keep_alive) = (op.values.get("client").cloned(), takes(cx, "keepalive"));
    connect_has("the values of the command that was not refused", move |c| {
        client.as_deref() == Some(c.client_id.as_bytes())
            && c.will.is_none()
            && (!keep_alive || c.keep_alive == KEEP_ALIVE)
    })
}

fn the_connection(cx: &Context<'_>, _: &Op) -> Expect {
    let (clean, keep_alive) = (takes(cx, "clean"), takes(cx, "keepalive"));
    connect_has("the values of the command that was not refused", move |c| {
        (!clean || c.clean_session()) && (!keep_alive || c.keep_alive == KEEP_ALIVE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart_by_their_brackets() {
        let source = "AT+MCONFIG={client}[,{username},{password}[,{will_qos},\"{will_topic}\"]]";
        assert_eq!(
            groups(source),
            [vec!["client"], vec!["username", "password"], vec!["will_qos", "will_topic"]]
        );
        assert_eq!(groups("AT+MCONNECT={clean},{keepalive}"), [vec!["clean", "keepalive"]]);
    }
}
