//! The documented flow from the first command to the last, every reply as printed.

use atspec_model::{
    case::{Await, Case, Context, Op, Step},
    mqtt::PacketType,
};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let out = topic(cx, "sub");
    vec![
        plain(cx),
        case("flow/twice", "the whole flow works a second time after it was closed", &[])
            .steps(then(session(cx).checked(), ended(cx)))
            .steps(then(session(cx).checked(), [Check(send(cx, &out, 1, "again"))]))
            .expect([publications(vec![sent(&out, 1, "again")]), count(PacketType::Connect, 2)]),
    ]
}

/// The flow with as many of its commands as the module has, so that it applies to every module.
fn plain(cx: &Context<'_>) -> Case {
    let (out, inward) = (topic(cx, "sub"), topic(cx, "pub"));
    let check = |op: Op| has(cx, &op.step).then_some(Check(op));
    let ready = ["identify", "sim", "registration", "attachment"].map(|step| check(Op::new(step)));
    let plain_tcp = check(Op::new("secure").with("tls", "0"));
    let mut steps: Vec<Step> = ready.into_iter().chain([plain_tcp]).flatten().collect();
    steps.extend(session(cx).with("keepalive", "60").checked());
    steps.extend(check(subscribe(&inward, 0)));
    steps.extend([
        Check(send(cx, &out, 0, "data from 4G module")),
        Wait(Await::FromModule(PacketType::Publish, 1)),
    ]);
    let mut expect = vec![publications(vec![sent(&out, 0, "data from 4G module")])];
    if has(cx, "subscribe") {
        steps.extend([other_publishes(&inward, 0, "data from tcp server"), Wait(Await::Messages(1))]);
        expect.push(printed(vec![(inward, b"data from tcp server".to_vec())]));
    }
    let ends: Vec<Step> = [disconnect(), close()].into_iter().filter_map(check).collect();
    if !ends.is_empty() {
        steps.extend(then(ends, [Wait(Await::Closed)]));
    }
    case(
        "flow/plain",
        "the documented flow works from the first command to the last, with every reply as printed",
        &[],
    )
    .steps(steps)
    .expect(expect)
}
