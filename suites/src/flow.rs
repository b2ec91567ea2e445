//! The documented flow from the first command to the last, every reply as printed.

use atspec_model::{
    case::{Await, Case, Context, Op},
    mqtt::PacketType,
};

use crate::words::*;

pub(crate) fn cases(cx: &Context<'_>) -> Vec<Case> {
    let (out, inward) = (topic(cx, "sub"), topic(cx, "pub"));
    vec![
        case(
            "flow/plain",
            "the documented flow works from the first command to the last, with every reply as printed",
            &[],
        )
        .steps([
            Check(Op::new("identify")),
            Check(Op::new("registration")),
            Check(Op::new("attachment")),
            Check(configure(cx)),
            Check(open(cx)),
            Check(connect(true, 60)),
            Check(subscribe(&inward, 0)),
            Check(publish(&out, 0, "data from 4G module")),
            Wait(Await::FromModule(PacketType::Publish, 1)),
            other_publishes(&inward, 0, "data from tcp server"),
            Wait(Await::Messages(1)),
            Check(disconnect()),
            Check(close()),
            Wait(Await::Closed),
        ])
        .expect([
            publications(vec![sent(&out, 0, "data from 4G module")]),
            printed(vec![(inward.clone(), b"data from tcp server".to_vec())]),
        ]),
        case("flow/twice", "the whole flow works a second time after it was closed", &[])
            .steps(then(connected(cx), [Do(disconnect()), Do(close()), Wait(Await::Closed)]))
            .steps([
                Check(configure(cx)),
                Check(open(cx)),
                Check(connect(true, KEEP_ALIVE)),
                Check(publish(&out, 1, "again")),
            ])
            .expect([publications(vec![sent(&out, 1, "again")]), count(PacketType::Connect, 2)]),
    ]
}
