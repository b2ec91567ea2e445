//! A run over two modules with all six verdicts, as an operator could meet it, and how it is told to a reporter.

use atspec_model::{
    mqtt::Level,
    run::{CaseRecord, ExcerptLine, Record, RunEnd, RunEvent, RunStart, SCHEMA},
    verdict::Verdict,
};
use atspec_reports::Reporter;

/// The records in the order in which they were written: the modules ran side by side.
pub(crate) fn records() -> Vec<Record> {
    let cases = cases();
    let end = RunEnd::count(&cases, false);
    let starts = [
        start("air780e", "AirM2M_780E_V1161_LTE_AT", "/dev/ttyUSB0"),
        start("l506", "L506_REV:LongSung_V1.0", "emulated"),
    ];
    let starts = starts.into_iter().map(Record::Run);
    starts.chain(cases.into_iter().map(Record::Case)).chain([Record::End(end)]).collect()
}

/// The failure that DESIGN.md shows.
pub(crate) fn failure() -> CaseRecord {
    CaseRecord {
        cites: cites(&["MQTT-3.3.1-1", "MQTT-4.4.0-1"]),
        asks: "a PUBLISH sent again after a lost PUBACK has DUP set and the same packet id".into(),
        expected: "PUBLISH, the same again, with DUP".into(),
        observed: "PUBLISH id 1 without DUP at 6.204 s".into(),
        message: "the PUBLISH sent again has no DUP".into(),
        excerpt: vec![
            line(113, "serial >", "AT+MPUB=\"t\",1,0,\"hello\"", false),
            line(113_400, "wire <", "PUBLISH id=1 qos=1 dup=0 \"t\" 5 B", false),
            line(6_204_310, "wire <", "PUBLISH id=1 qos=1 dup=0 \"t\" 5 B", true),
        ],
        ..case("air780e", "publish/qos1-resent-with-dup", Verdict::Fail, 6412)
    }
}

fn cases() -> Vec<CaseRecord> {
    vec![
        case("air780e", "connect/clean-session", Verdict::Pass, 412),
        case("l506", "connect/clean-session", Verdict::Pass, 87),
        CaseRecord {
            cites: cites(&["A780-8.2-12"]),
            level: Level::Should,
            message: "the document shows `CONNECT OK` in one place and `CONNACK OK` in another; this module says `CONNACK OK`".into(),
            ..case("air780e", "connect/connack-urc", Verdict::Warning, 388)
        },
        failure(),
        CaseRecord {
            cites: cites(&["L506-4.3-7"]),
            asks: "an SSL connection with a pre-shared key is opened".into(),
            message: "l506 has no `set-psk`".into(),
            timeline: None,
            ..case("l506", "tls/psk", Verdict::Skipped, 0)
        },
        CaseRecord {
            cites: cites(&["MQTT-3.1.2-8"]),
            asks: "the will is published when the connection is lost".into(),
            message: "`AT+CMQTTCONNECT=0,…` was answered with `ERROR`, so there was no connection to lose".into(),
            excerpt: vec![
                line(2_100, "serial >", "AT+CMQTTCONNECT=0,\"tcp://127.0.0.1:40123\",60,1", false),
                line(14_870, "serial <", "ERROR", true),
            ],
            ..case("l506", "will/published-on-loss", Verdict::Inconclusive, 1204)
        },
        CaseRecord { retries: 1, ..case("l506", "subscribe/qos1", Verdict::Pass, 640) },
        CaseRecord {
            message: "/dev/ttyUSB0 is gone: No such device (os error 19)".into(),
            ..case("air780e", "session/kept", Verdict::Error, 30_004)
        },
        case("air780e", "subscribe/qos1", Verdict::Pass, 512),
    ]
}

pub(crate) fn case(module: &str, id: &str, verdict: Verdict, took_ms: u64) -> CaseRecord {
    CaseRecord {
        cites: cites(&["MQTT-3.1.0-1"]),
        asks: "what the module has to do".into(),
        took_ms,
        timeline: Some(format!("timelines/{module}/{id}.jsonl")),
        ..CaseRecord::plain(module, id, verdict)
    }
}

pub(crate) fn start(module: &str, identity: &str, port: &str) -> RunStart {
    RunStart {
        schema: SCHEMA,
        started: "2026-11-20T08:00:00Z".into(),
        atspec: "0.1.0".into(),
        seed: 1,
        module: module.into(),
        identity: identity.into(),
        port: port.into(),
    }
}

/// Tells a reporter what led to the records.
pub(crate) fn replay(records: &[Record], to: &mut impl Reporter) {
    let cases_of =
        |module: &str| records.iter().filter(|r| matches!(r, Record::Case(c) if c.module == module)).count();
    for record in records {
        match record {
            Record::Run(start) => {
                to.on(&RunEvent::ModuleStarted { start, cases: cases_of(&start.module) }).unwrap();
            }
            Record::Case(record) => {
                to.on(&RunEvent::CaseStarted { module: &record.module, id: &record.id }).unwrap();
                to.on(&RunEvent::CaseDone { record, timeline: None }).unwrap();
            }
            Record::Policy(record) => {
                to.on(&RunEvent::PolicyDone { record }).unwrap();
            }
            Record::End(end) => {
                for start in
                    records.iter().filter_map(|r| if let Record::Run(start) = r { Some(start) } else { None })
                {
                    to.on(&RunEvent::ModuleDone { module: &start.module }).unwrap();
                }
                to.on(&RunEvent::Ended { end }).unwrap();
            }
        }
    }
}

fn cites(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.into()).collect()
}

fn line(at_us: u64, lane: &str, text: &str, here: bool) -> ExcerptLine {
    ExcerptLine { at_us, lane: lane.into(), text: text.into(), here }
}
