//! Policies: what clouds ask of a device and MQTT 3.1.1 does not. Apart from conformance, and off unless asked for.
//!
//! A policy is a name, a rule, who asks for it, and the case that shows whether a module keeps it. Its case is like any other,
//! apart from this: it is kept, broken or not to be seen, never a pass or a fail.

#![cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "`words` is the vocabulary of every suite"))]

mod credentials;
mod life;
mod reconnecting;

use atspec_model::case::{Case, Context};

/// A rule that somebody's cloud asks for.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// What `--policy` takes.
    pub name: &'static str,
    /// The rule in words.
    pub rule: &'static str,
    /// Who asks for it, and where.
    pub source: &'static str,
    /// The case that shows it.
    case: fn(&Context<'_>) -> Case,
}

/// Every policy, in the order in which they are tried.
pub const POLICIES: &[Policy] = &[
    Policy {
        name: "reconnect-backoff",
        rule: "while the broker refuses, the pauses between the module's own attempts to connect again grow",
        source: "AWS IoT Device Advisor, MQTT tests \"device re-connect with jitter backoff\"; Azure IoT, guidance for \
                 reconnecting many devices",
        case: reconnecting::backs_off,
    },
    Policy {
        name: "reconnect-jitter",
        rule: "the pause before the module connects again differs from loss to loss, so that a fleet does not come back at once",
        source: "AWS IoT Device Advisor, MQTT tests \"device connect retries with jitter backoff\"; Azure IoT, guidance for \
                 reconnecting many devices",
        case: reconnecting::jitters,
    },
    Policy {
        name: "resubscribe",
        rule: "after it connected again by itself with a clean session, the module subscribes again",
        source: "AWS IoT Core, developer guide, MQTT: without a persistent session a device has to subscribe again after each \
                 connection",
        case: reconnecting::subscribes_again,
    },
    Policy {
        name: "republish",
        rule: "a PUBLISH of QoS 1 without PUBACK is sent again on the same connection, with DUP and its packet id",
        source: "AWS IoT Device Advisor, MQTT tests \"QoS1 publish with retry, no PUBACK\"",
        case: life::republishes,
    },
    Policy {
        name: "ping-timeout",
        rule: "a module that gets no PINGRESP closes the connection within one and a half times the keep alive",
        source: "AWS IoT Device Advisor, MQTT tests \"no ack for PINGREQ\"",
        case: life::gives_up_on_silence,
    },
    Policy {
        name: "keep-alive-range",
        rule: "the keep alive of a host that names none lies between 30 and 1200 seconds",
        source: "AWS IoT Core, quotas of the message broker: keep-alive interval; Azure IoT Hub accepts it too (at most 1767 s)",
        case: life::keep_alive_in_range,
    },
    Policy {
        name: "persistent-session",
        rule: "with clean session 0 a module that connects again gets what came meanwhile, and does not subscribe again",
        source: "AWS IoT Device Advisor, MQTT tests \"persistent session (happy case)\"",
        case: life::session_resumed,
    },
    Policy {
        name: "long-client-id",
        rule: "a client id of 128 characters arrives whole",
        source: "Azure IoT Hub: a device id has up to 128 characters, and is the client id; AWS IoT Core: client ids of up to \
                 128 bytes",
        case: credentials::long_client,
    },
    Policy {
        name: "token-password",
        rule: "a signed token arrives whole as the password, with the user name that goes with it",
        source: "Azure IoT Hub, MQTT support: user name with api-version, password a shared access signature",
        case: credentials::token,
    },
];

/// The policy of a name.
pub fn policy(name: &str) -> Option<&'static Policy> {
    POLICIES.iter().find(|policy| policy.name == name)
}

/// The cases of every policy for a module, also those that do not apply to it.
pub fn cases(cx: &Context<'_>) -> Vec<Case> {
    let cases = POLICIES.iter().map(|policy| Case { policy: Some(policy.name), ..(policy.case)(cx) });
    crate::finished(cx, cases.collect())
}

/// The case of this id.
pub fn case(cx: &Context<'_>, id: &str) -> Option<Case> {
    cases(cx).into_iter().find(|case| case.id == id)
}

/// A case with the name and the rule of its policy.
fn case_of(name: &str) -> Case {
    let rule = policy(name).map_or("", |policy| policy.rule);
    crate::words::case(&format!("policy/{name}"), rule, &[])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_each_has_its_rule_and_source() {
        let names: BTreeSet<&str> = POLICIES.iter().map(|p| p.name).collect();
        assert_eq!(names.len(), POLICIES.len());
        assert!(!names.contains("all"), "`--policy all` means every one");
        assert!(POLICIES.iter().all(|p| !p.rule.is_empty() && !p.source.is_empty()));
    }
}
