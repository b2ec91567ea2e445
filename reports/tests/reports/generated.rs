//! Records that hold anything: texts nobody made visible, ids that are no ids, the same case twice.

use atspec_model::{
    mqtt::Level,
    run::{CaseRecord, ExcerptLine, Record, RunEnd, RunStart},
    text::visible,
    verdict::Verdict,
};
use proptest::{collection::vec, prelude::*, sample::select};

/// Any run: with or without starts and an end, its modules and cases from small pools so that they collide.
pub(crate) fn any_run() -> impl Strategy<Value = Vec<Record>> {
    let end = proptest::option::of(any::<bool>());
    (vec(any_start(), 0..3), vec(any_case(), 0..12), end).prop_map(|(starts, cases, end)| {
        let end = end.map(|partial| Record::End(RunEnd::count(&cases, partial)));
        let starts = starts.into_iter().map(Record::Run);
        starts.chain(cases.into_iter().map(Record::Case)).chain(end).collect()
    })
}

/// Text as it may stand in any field.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    let nasty = vec![
        "]]>",
        "a]]>b]]>]]>",
        "<![CDATA[",
        "\u{fffe}",
        "\u{1b}[2J",
        "&amp;<x>\"'",
        "\0",
        " ",
        "\r\n",
        "\\x1a",
        "\u{e000}",
        "]]\u{e000}>",
    ];
    prop_oneof![
        any::<String>(),
        vec(any::<u8>(), 0..40).prop_map(|bytes| visible(&bytes)),
        vec(select(nasty), 0..5).prop_map(|parts| parts.concat()),
        Just(String::new()),
    ]
}

fn any_module() -> impl Strategy<Value = String> {
    prop_oneof![3 => select(vec!["a", "a.b", ""]).prop_map(String::from), 1 => any_text()]
}

fn any_id() -> impl Strategy<Value = String> {
    let known = vec!["b/c", "b/c (2)", "c/d", "b.c/d", "/", "", "noslash", "b/", "b/\u{7f}", "b/\\x7f"];
    prop_oneof![3 => select(known).prop_map(String::from), 1 => any_text()]
}

fn any_start() -> impl Strategy<Value = RunStart> {
    let started = prop_oneof![
        Just("2026-11-20T08:00:00Z".to_owned()),
        Just("-000042-03-01T00:00:00Z".to_owned()),
        Just("9999-12-30T22:00:00.999Z".to_owned()),
        any_text()
    ];
    (any::<u32>(), started, any_text(), any::<u64>(), any_module(), any_text(), any_text()).prop_map(
        |(schema, started, atspec, seed, module, identity, port)| RunStart {
            schema,
            started,
            atspec,
            seed,
            module,
            identity,
            port,
        },
    )
}

fn any_case() -> impl Strategy<Value = CaseRecord> {
    let head = (
        any_module(),
        any_id(),
        select(Verdict::ALL.as_slice()),
        select(vec![Level::Info, Level::Should, Level::Must]),
    );
    let words = (any_text(), any_text(), any_text(), any_text(), vec(any_text(), 0..3));
    let rest = (
        vec(any_text(), 0..3),
        vec(any_excerpt(), 0..3),
        any_took(),
        0..3_u32,
        proptest::option::of(any_text()),
    );
    (head, words, rest).prop_map(
        |(
            (module, id, verdict, level),
            (asks, expected, observed, message, notes),
            (cites, excerpt, took_ms, retries, timeline),
        )| {
            CaseRecord {
                module,
                id,
                verdict,
                level,
                cites,
                asks,
                took_ms,
                expected,
                observed,
                message,
                notes,
                uses: Vec::new(),
                kept: Vec::new(),
                excerpt,
                retries,
                timeline,
            }
        },
    )
}

fn any_took() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..100_000_u64, 1 => any::<u64>()]
}

fn any_excerpt() -> impl Strategy<Value = ExcerptLine> {
    (any::<u64>(), any_text(), any_text(), any::<bool>()).prop_map(|(at_us, lane, text, here)| ExcerptLine {
        at_us,
        lane,
        text,
        here,
    })
}
