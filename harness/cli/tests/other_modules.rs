//! Modules that do as the document says in other ways: never a false alarm.

mod common;

use std::time::Duration;

use atspec_emulator::{Framing, Options, Temper};
use common::{Module, options, run_on, stdout};
use rstest::rstest;

fn plain() -> Temper {
    Temper::default()
}

#[rstest]
#[case::without_echo(Temper { echo: false, ..plain() }, &[])]
#[case::bare_lines(Temper { framing: Framing::Bare, ..plain() }, &[])]
#[case::blank_lines(Temper { framing: Framing::Blank, echo: false, ..plain() }, &[])]
#[case::byte_by_byte(Temper { bytewise: true, ..plain() }, &[])]
#[case::glued(Temper { glued: true, ..plain() }, &[])]
#[case::sprinkled(Temper { sprinkle: true, bear: true, ..plain() }, &[])]
#[case::sprinkled_bytewise_bare(Temper { sprinkle: true, bytewise: true, framing: Framing::Bare, ..plain() }, &[])]
#[case::other_ids(Temper { seed: Some(7), early_ping: true, bear: true, ..plain() }, &[])]
#[case::slow(
    Temper { reply_delay: Duration::from_millis(300), ..plain() },
    &["--only", "flow/*", "--only", "receive/qos*", "--only", "*/held-*", "--only", "cache/read", "--only", "session/qos1*"]
)]
#[case::slow_and_chatty(
    Temper { reply_delay: Duration::from_millis(300), sprinkle: true, bytewise: true, bear: true, ..plain() },
    &["--only", "flow/*", "--only", "connect/*", "--only", "publish-data/qos*", "--only", "close/*"]
)]
fn no_false_alarm(#[case] temper: Temper, #[case] only: &[&str]) {
    let module = Module::start(Options { temper, ..options() });
    let (output, dir) = run_on(&module, only);
    let all = common::verdicts(&dir.path().join("report"));
    let alarms: Vec<_> =
        all.iter().filter(|(_, verdict, _)| verdict != "pass" && verdict != "warning").collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(!all.is_empty());
}
