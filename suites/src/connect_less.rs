//! Connections with less than everything: no user name, no client id, no configuration, no will QoS.

use atspec_model::{
    case::{Case, Context, Expect, Op, Step},
    mqtt::Will,
};

use crate::{told::*, words::*};

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    [username_only(cx), no_client_id(cx), will_defaults(cx)].into_iter().flatten().collect()
}

/// The part of the configuration that is only done where the case gives a keep alive is left out: its defaults hold. Run before
/// any other case, since what those configure may last.
pub(crate) fn unconfigured(cx: &Context<'_>) -> Vec<Case> {
    let optional = exchanges(cx.profile, "configure").any(|e| e.when.as_deref() == Some("keepalive"));
    let default = cx.profile.behaviour.keepalive_zero.filter(|_| optional);
    let s = session(cx).without("keepalive").without("clean");
    default
        .map(|keep_alive| {
            // Implied, and no document says that what an earlier case configured is forgotten.
            case("connect/unconfigured", "without a configuration of the session its defaults hold", &[])
                .should()
                .steps(then(s.opened(), [Try(s.connect())]))
                .expect([Expect::new(
                    format!("CONNECT with keep alive {keep_alive} and no will, or a refusal"),
                    {
                        let has = connect_has("the defaults", move |c| {
                            c.keep_alive == keep_alive && c.will.is_none()
                        });
                        // Whether the configuration may be left out does not stand in the document either.
                        move |view| if view.packets.is_empty() { Ok(()) } else { (has.check)(view) }
                    },
                )])
        })
        .into_iter()
        .collect()
}

/// A user name without a password, where the command can be written so.
fn username_only(cx: &Context<'_>) -> Option<Case> {
    let user = cx.bindings.username.clone();
    let s = session(cx).without("password").choosing("username", &user);
    // Whether there is such a case must not depend on the values of a run.
    let named = s.clone().with("client", "c").with("username", "named");
    let possible = says(cx, &[named.configure(), named.connect()], "username", "password");
    only_if(possible, || {
        case(
            "connect/username-only",
            "a user name without a password stands in CONNECT as given",
            &["MQTT-3.1.2-19", "MQTT-3.1.2-20"],
        )
        .should()
        .steps(as_subject(&s))
        .expect([connect_has(&format!("user name \"{user}\", no password"), move |c| {
            c.username.as_ref().is_some_and(|u| u.as_bytes() == user.as_bytes()) && c.password.is_none()
        })])
    })
}

/// Whether the operations, as they are written, say the one value and not the other.
fn says(cx: &Context<'_>, ops: &[Op], value: &str, not: &str) -> bool {
    let written = |op: &&Op| cx.profile.steps.contains_key(&op.step);
    let mut said = Vec::new();
    for op in ops.iter().filter(written) {
        let Ok(spoken) = op.exchanges(cx.profile) else { return false };
        // A value counts where it stands in the line: an optional part may have been left out with it.
        said.extend(spoken.into_iter().flat_map(|one| {
            let line = one.line;
            one.said.into_iter().filter(move |(_, v)| stands_in(&line, v)).map(|(name, _)| name)
        }));
    }
    said.iter().any(|name| name == value) && !said.iter().any(|name| name == not)
}

fn stands_in(line: &[u8], value: &[u8]) -> bool {
    value.is_empty() || line.windows(value.len()).any(|part| part == value)
}

/// No client id at all, where the command can be written so. A module that makes one up does what the server would do.
fn no_client_id(cx: &Context<'_>) -> Option<Case> {
    let s = session(cx).without("client").without("username").without("password");
    let ops = [s.configure(), s.connect()];
    let op = ops.into_iter().find(|op| cx.profile.takes(&op.step, "client"))?;
    let says_one = op.exchanges(cx.profile).ok()?.iter().any(|one| one.said.contains_key("client"));
    let before = cx.bindings.client.clone();
    only_if(!says_one, || {
        let mut case = case(
            "connect/no-client-id",
            "a connection without a client id asks for a clean session",
            &["MQTT-3.1.3-7"],
        )
        // What the connection before had is not used again.
        .steps(if has(cx, "disconnect") { then(connected(cx), ended(cx)) } else { Vec::new() })
        .steps(as_subject(&s))
        .expect([
            connect_has("clean session 1, or a client id", |c| {
                c.clean_session() || !c.client_id.as_bytes().is_empty()
            }),
            connect_has("no client id", |c| c.client_id.as_bytes().is_empty()).should(),
            connect_has("another client id than that of the connection before", move |c| {
                c.client_id.as_bytes() != before.as_bytes()
            }),
            connect_has("no user name, no password", |c| c.username.is_none() && c.password.is_none()),
        ]);
        case.anonymous = true;
        case
    })
}

/// The last arguments of a will left out, where the document gives them defaults: implied, never shown (X81).
fn will_defaults(cx: &Context<'_>) -> Option<Case> {
    let last = ["will_qos", "will_retain"];
    let trailing = exchanges(cx.profile, "configure").filter_map(|e| e.send.first()).any(|t| {
        let arguments = t.arguments();
        arguments.contains(&"will_topic") && arguments.ends_with(&last)
    });
    let default = |name: &str| {
        let argument = cx.profile.argument("configure", name);
        argument.and_then(|a| a.default.as_ref()).is_some_and(|value| value == "0")
    };
    let will = topic(cx, "will");
    only_if(trailing && last.iter().all(|name| default(name)), || {
        let s = session(cx).choosing("will_topic", &will).with("will_message", WILL_MESSAGE);
        let short = |mut op: Op| {
            if op.step == "configure" {
                op.omit.extend(last.map(str::to_owned));
            }
            Try(op)
        };
        let steps: Vec<Step> = s.commands().map(short).collect();
        case("connect/will-defaults", "a will without QoS and retain has both 0", &[])
            .should()
            .steps(steps)
            .expect([Expect::new(format!("CONNECT with will \"{will}\" qos=0 retain=0, or a refusal"), {
                let plain = move |w: &Will| w.topic.as_bytes() == will.as_bytes() && w.qos == 0 && !w.retain;
                let has = connect_has("the will", move |c| c.will.as_ref().is_some_and(&plain));
                // That arguments may be left out does not stand in the document either.
                move |view| {
                    let configured = view.step(0).is_some_and(atspec_model::judge::StepView::claimed);
                    if configured { (has.check)(view) } else { Ok(()) }
                }
            })])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_in_a_line_where_it_was_written() {
        assert!(stands_in(b"AT+X=\"user\"", b"user"));
        assert!(!stands_in(b"AT+X=0", b"user"));
        assert!(stands_in(b"AT+X=", b""));
    }
}
