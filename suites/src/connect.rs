//! CONNECT, field by field, and what is said of CONNACK.

use atspec_model::{
    case::{Case, Context, Expect, Unmet},
    judge::View,
    mqtt::PacketType,
    partner::{Action, Command, Rule},
    timeline::Close,
};

use crate::{told::*, words::*};

/// As long as an IMEI.
const DIGITS: &str = "001234567890123";

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let mut cases = fields(cx);
    cases.extend(keep_alives(cx));
    cases.extend(spelled(cx));
    cases.extend(answers(cx));
    cases
}

fn fields(cx: &Context<'_>) -> Vec<Case> {
    let b = cx.bindings;
    let (client, user, password) = (b.client.clone(), b.username.clone(), b.password.clone());
    let only_client = session(cx).without("username").without("password").choosing("client", &client);
    let credentials = session(cx).choosing("username", &user).choosing("password", &password);
    let (id, long) = (client.clone(), format!("{client}-longer-than-23"));
    let long_id = long.clone();
    let clean = |clean: &str| session(cx).choosing("clean", clean).connected();
    let older = cx.profile.behaviour.mqtt31;
    vec![
        case(
            "connect/protocol",
            "CONNECT names MQTT 3.1.1",
            &["MQTT-3.1.2-1", "MQTT-3.1.2-2", "MQTT-3.1.2-3"],
        )
        .steps(connected(cx))
        .expect([connect_has("protocol MQTT level 4", move |c| {
            (c.protocol.as_bytes() == b"MQTT" && c.level == 4) || (older && c.is_older())
        })]),
        case(
            "connect/client-id",
            "the client id stands in CONNECT as configured",
            &["MQTT-3.1.3-3", "MQTT-3.1.3-4"],
        )
        .steps(session(cx).choosing("client", &client).connected())
        .expect([connect_has(&format!("client id \"{client}\""), move |c| {
            c.client_id.as_bytes() == client.as_bytes()
        })]),
        case(
            "connect/client-id-digits",
            "a client id of digits alone, as many devices have theirs, stands in CONNECT with its zeros in front",
            &["MQTT-3.1.3-3"],
        )
        .steps(session(cx).choosing("client", DIGITS).connected())
        .expect([connect_has(&format!("client id \"{DIGITS}\""), |c| c.client_id.as_bytes() == DIGITS.as_bytes())]),
        case(
            "connect/client-id-only",
            "without user name and password CONNECT has neither",
            &["MQTT-3.1.2-18", "MQTT-3.1.2-20", "MQTT-3.1.2-22"],
        )
        .steps(only_client.checked())
        .expect([connect_has(&format!("client id \"{id}\", no user name, no password"), move |c| {
            c.client_id.as_bytes() == id.as_bytes() && c.username.is_none() && c.password.is_none()
        })]),
        case("connect/client-id-long", "a client id beyond 23 characters stands whole in CONNECT", &[])
            .should()
            .steps(session(cx).choosing("client", &long).connected())
            .expect([connect_has(&format!("client id \"{long}\""), move |c| {
                c.client_id.as_bytes() == long_id.as_bytes()
            })])
            // Its length must not depend on the values of a run.
            .unless(client_beyond(cx, long.len().max(24))),
        case(
            "connect/credentials",
            "user name and password stand in CONNECT as configured",
            &["MQTT-3.1.2-19", "MQTT-3.1.2-21", "MQTT-3.1.3-11"],
        )
        .steps(credentials.connected())
        .expect([connect_has(&format!("user name \"{user}\", password \"{password}\""), move |c| {
            c.username.as_ref().is_some_and(|u| u.as_bytes() == user.as_bytes())
                && c.password.as_deref() == Some(password.as_bytes())
        })]),
        case("connect/clean-session-1", "clean session 1 is asked for as commanded", &[])
            .steps(clean("1"))
            .expect([connect_has("clean session 1", atspec_model::mqtt::Connect::clean_session)]),
        case("connect/clean-session-0", "clean session 0 is asked for as commanded", &[])
            .steps(clean("0"))
            .expect([connect_has("clean session 0", |c| !c.clean_session())]),
        case(
            "connect/once",
            "a connection begins with CONNECT and carries one, also when it is commanded twice",
            &["MQTT-3.1.0-1", "MQTT-3.1.0-2"],
        )
        .steps(then(connected(cx), [Try(session(cx).connect()), Quiet])),
    ]
}

/// Why a client id of this length is not for this module, if the document allows none so long.
fn client_beyond(cx: &Context<'_>, len: usize) -> Option<String> {
    let (_, max) = text_lengths(cx, "client")?;
    (len > max).then(|| format!("a client id of {} has {max} bytes at most", cx.profile.name))
}

fn keep_alives(cx: &Context<'_>) -> Vec<Case> {
    let asked = |seconds: u16| {
        let session = session(cx).choosing("keepalive", seconds.to_string());
        then(session.opened(), [Check(session.connect())])
    };
    let of = |seconds: u16| {
        case(
            &format!("connect/keep-alive-{seconds}"),
            &format!("a keep alive of {seconds} s stands in CONNECT"),
            &[],
        )
        .steps(asked(seconds))
        .expect([connect_has(&format!("keep alive {seconds}"), move |c| c.keep_alive == seconds)])
    };
    let firm = cx.profile.argument("connect", "keepalive").or(cx.profile.argument("configure", "keepalive"));
    let firm = firm.is_some_and(|argument| !argument.cites.is_empty());
    let mut all: Vec<Case> = [60, 120, 240, 600].map(of).into();
    // Some documents advise against so short a one.
    all.push(of(5).only_should(!firm).like(cx, "connect/keep-alive-60"));
    all
}

/// Every documented spelling of the configuration gives the same CONNECT.
fn spelled(cx: &Context<'_>) -> Vec<Case> {
    (1..spellings(cx, "configure"))
        .map(|spelling| {
            let b = cx.bindings;
            let (client, user, password) = (b.client.clone(), b.username.clone(), b.password.clone());
            case(
                &format!("connect/spelling-{}", spelling + 1),
                "another documented spelling of the configuration gives the same CONNECT",
                &[],
            )
            .steps([Check(session(cx).configure().spelled(spelling))])
            .steps(has(cx, "open").then(|| Do(session(cx).open())))
            .steps([Check(session(cx).connect())])
            .expect([connect_has(
                "client id, user name and password without quotes",
                move |c| {
                    c.client_id.as_bytes() == client.as_bytes()
                        && c.username.as_ref().is_some_and(|u| u.as_bytes() == user.as_bytes())
                        && c.password.as_deref() == Some(password.as_bytes())
                },
            )])
        })
        .collect()
}

fn answers(cx: &Context<'_>) -> Vec<Case> {
    let to_module = |action: Action| Broker(Command::Rule(Rule::to_module(PacketType::ConnAck, action)));
    let attempt = || session(cx).connect();
    let mut cases = vec![
        case("connect/held-connack", "success is not reported before CONNACK came, and is soon after", &[])
            .steps(then(opened(cx), [Held { packet: PacketType::ConnAck, op: attempt() }])),
        case("connect/no-connack", "success is not reported where CONNACK never comes", &[])
            .steps(then(opened(cx), [to_module(Action::Withhold), NoSuccess(attempt())]))
            .expect([not_restarted()]),
        case(
            "connect/closed-instead-of-connack",
            "success is not reported where the broker closes instead of CONNACK",
            &[],
        )
        .steps(then(
            opened(cx),
            [
                Broker(Command::Rule(Rule::from_module(PacketType::Connect, Action::ThenClose(Close::Fin)))),
                to_module(Action::Withhold),
                NoSuccess(attempt()),
            ],
        ))
        .expect([not_restarted()]),
    ];
    let reasons = [
        "protocol version",
        "client id",
        "server unavailable",
        "bad user name or password",
        "not authorised",
    ];
    for (code, reason) in (1..).zip(reasons) {
        cases.push(
            case(
                &format!("connect/refused-{code}"),
                &format!("success is not reported where CONNACK refuses with {code} ({reason})"),
                &[],
            )
            .steps(then(opened(cx), [to_module(Action::Code(code)), NoSuccess(attempt())]))
            .expect([not_restarted(), answered()]),
        );
    }
    for code in [6, 255] {
        cases.push(
            case(
                &format!("connect/refused-{code}"),
                &format!("success is not reported for the reserved code {code} of CONNACK"),
                &["MQTT-3.2.2.3"],
            )
            .steps(then(opened(cx), [to_module(Action::Code(code)), NoSuccess(attempt())]))
            .expect([not_restarted()]),
        );
    }
    cases
}

/// A refusal is no reason to leave the host without an answer: whoever asked would wait for ever.
fn answered() -> Expect {
    Expect::new("a final result code, or a line that tells the refusal", |view: &View<'_>| {
        let Some(last) = told(view, "connect").into_iter().next_back() else {
            return Err(Unmet::not_provoked("the command was not sent"));
        };
        let o = &last.outcome;
        if [&o.answer, &o.refusal, &o.result, &o.failure].into_iter().any(Option::is_some) {
            return Ok(());
        }
        Err(Unmet::at("nothing", last.asked).citing(last.cites.clone()))
    })
}
