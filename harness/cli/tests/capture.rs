//! `atspec capture`, and what Wireshark reads in its files. Where tshark is not installed that part is skipped, and said so.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use atspec_model::{
    mqtt::{Body, Frame, Framer, Packet, decode},
    text,
    timeline::{Side, Timeline, What},
};
use common::{atspec, run, stderr, stdout, temp};
use tempfile::TempDir;

/// A run of an emulated module: the directory, and the timeline of `case`.
fn recorded(port: &str, case: &str) -> (TempDir, PathBuf) {
    let dir = temp();
    let out = dir.path().join("report");
    run(&["run", "--module", "air780e", "--port", port, "--only", case, "--out", &out.display().to_string()]);
    let timeline = out.join(format!("timelines/air780e/{case}.jsonl"));
    assert!(timeline.is_file(), "{case} was run");
    (dir, timeline)
}

fn capture(args: &[&Path]) -> std::process::Output {
    atspec().arg("capture").args(args).output().expect("the program starts")
}

/// Lines of tab-separated fields, one for each frame; nothing without tshark.
fn fields(file: &Path, filter: &str, fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut tshark = Command::new("tshark");
    tshark.env("WIRESHARK_CONFIG_DIR", file.parent().expect("in a directory")).arg("-n");
    tshark.arg("-r").arg(file).args(["-Y", filter, "-T", "fields"]);
    tshark.args(fields.iter().flat_map(|field| ["-e", field]));
    let Ok(output) = tshark.stderr(Stdio::null()).output() else {
        eprintln!("skipped: tshark is not installed, so nobody else reads the capture");
        return None;
    };
    assert!(output.status.success(), "tshark reads {}", file.display());
    let line = |line: &str| line.split('\t').map(str::to_owned).collect();
    Some(stdout(&output).lines().map(line).collect())
}

fn timeline(file: &Path) -> Timeline {
    Timeline::from_json_lines(&fs::read_to_string(file).expect("written")).expect("readable")
}

/// Who sent it, type, packet identifier, topic and payload, as tshark tells them.
fn row(from: Side, packet: &Packet) -> [String; 5] {
    let id = packet.id().map_or(String::new(), |id| id.to_string());
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let (topic, payload) = match &packet.body {
        Body::Publish(p) => (p.topic.to_string(), hex(&p.payload)),
        Body::Subscribe(s) => (s.filters[0].0.to_string(), String::new()),
        _ => (String::new(), String::new()),
    };
    [format!("{from:?}"), (packet.kind as u8).to_string(), id, topic, payload]
}

fn packets(timeline: &Timeline) -> Vec<[String; 5]> {
    let mut framers = [Framer::new(1 << 20), Framer::new(1 << 20)];
    let mut rows = Vec::new();
    for event in &timeline.events {
        let (from, bytes) = match &event.what {
            What::FromModule { bytes, .. } => (Side::Module, bytes),
            What::ToModule { bytes, .. } => (Side::Broker, bytes),
            _ => continue,
        };
        let framer = &mut framers[usize::from(from == Side::Broker)];
        framer.push(bytes);
        while let Some(frame) = framer.next_frame() {
            let Frame::Packet(raw) = frame else { panic!("an honest module") };
            rows.push(row(from, &decode(&raw)));
        }
    }
    rows
}

#[test]
fn wireshark_reads_the_same_packets_and_the_serial_line() {
    let (_dir, file) = recorded("emulated", "publish/qos1");
    let output = capture(&[&file]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let written = file.with_extension("pcapng");
    assert!(stdout(&output).starts_with(&format!("{}: ", written.display())), "{}", stdout(&output));
    let recorded = timeline(&file);
    let broker = recorded.header.bindings.port.to_string();
    let wanted = ["exported_pdu.src_port", "mqtt.msgtype", "mqtt.msgid", "mqtt.topic", "mqtt.msg"];
    let Some(seen) = fields(&written, "mqtt", &wanted) else { return };
    let seen: Vec<[String; 5]> = seen
        .into_iter()
        .map(|row| {
            let [port, kind, id, topic, payload] = row.try_into().expect("five fields");
            let from = if port == broker { Side::Broker } else { Side::Module };
            [format!("{from:?}"), kind, id, topic, payload.replace(':', "")]
        })
        .collect();
    assert!(seen.len() >= 5, "{seen:?}");
    assert_eq!(seen, packets(&recorded));

    let serial = fields(&written, "at", &["_ws.col.Info", "frame.interface_name"]).expect("tshark is there");
    let told: Vec<String> = serial.into_iter().map(|row| format!("{}: {}", row[1], row[0])).collect();
    for event in &recorded.events {
        if let What::Sent { bytes, .. } = &event.what {
            let line = format!("serial: Sent AT Command: {}", text::visible(bytes.trim_ascii_end()));
            assert!(told.iter().any(|told| told.trim_end() == line), "{line}: {told:#?}");
        }
    }
    let answers = told.iter().filter(|told| told.trim_end().ends_with(" OK"));
    assert!(answers.clone().count() >= 3 && answers.clone().all(|told| told.contains("Rcvd")), "{told:#?}");
    assert!(
        told.iter().any(|told| told.contains("Rcvd AT Command:") && told.contains("PUBACK")),
        "{told:#?}"
    );
    let comments = fields(&written, "frame.comment", &["frame.number"]).expect("tshark is there");
    assert_eq!(comments, [[""; 0]; 0], "nothing is wrong with this recording");
    let steps = fields(&written, "syslog.msg contains \"step \"", &["syslog.msg"]).expect("tshark is there");
    let begun = recorded.events.iter().filter(|e| matches!(e.what, What::Step { .. })).count();
    assert_eq!(steps.len(), begun);
}

#[test]
fn the_offending_packet_has_the_judges_words() {
    let (dir, file) = recorded("emulated:no-dup-again", "session/qos1-sent-again");
    let out = dir.path().join("captures/");
    let output = capture(&[&file, "--out".as_ref(), &out]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let written = out.join("air780e/session/qos1-sent-again.pcapng");
    let wanted = ["mqtt.msgtype", "mqtt.dupflag", "frame.comment"];
    let Some(seen) = fields(&written, "frame.comment", &wanted) else { return };
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0][..2], ["3", "0"], "a PUBLISH without DUP");
    assert!(seen[0][2].starts_with("FAIL MQTT-4.4.0-1"), "{}", seen[0][2]);
    assert!(seen[0][2].contains("without DUP"), "{}", seen[0][2]);
}

#[test]
fn times_are_those_of_the_clock() {
    let (_dir, file) = recorded("emulated", "connect/client-id");
    capture(&[&file]);
    let began = timeline(&file).header.began_us.expect("known");
    let Some(seen) = fields(&file.with_extension("pcapng"), "frame", &["frame.time_epoch"]) else { return };
    let first: f64 = seen[0][0].parse().expect("seconds");
    #[expect(clippy::cast_precision_loss, reason = "a millisecond is near enough")]
    let began = began as f64 / 1e6;
    assert!((first - began).abs() < 0.001, "{first} instead of {began}");
}

#[test]
fn standard_output_takes_one_capture() {
    let (_dir, file) = recorded("emulated", "connect/client-id");
    let output = capture(&[&file, "--out".as_ref(), "-".as_ref()]);
    assert!(output.stdout.starts_with(b"\x0a\x0d\x0d\x0a"), "{}", stderr(&output));
    let output = capture(&[&file, &file, "--out".as_ref(), "-".as_ref()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("only one capture can go to standard output"), "{}", stderr(&output));
}

#[test]
fn only_captures_of_ours_are_replaced() {
    let (_dir, file) = recorded("emulated", "connect/client-id");
    let target = file.with_extension("pcapng");
    fs::write(&target, "of somebody else").expect("written");
    let output = capture(&[&file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("exists and is no capture made by atspec"), "{}", stderr(&output));
    assert_eq!(fs::read(&target).expect("there"), b"of somebody else");
    fs::remove_file(&target).expect("removed");
    for _ in 0..2 {
        let output = capture(&[&file]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

#[test]
fn mistakes_are_told() {
    let (dir, file) = recorded("emulated", "connect/client-id");
    let missing = dir.path().join("no-such.jsonl");
    let output = capture(&[&missing]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot read"), "{}", stderr(&output));
    let broken = dir.path().join("broken.jsonl");
    fs::write(&broken, "{\"type\":\"timeline\"}\n").expect("written");
    let output = capture(&[&broken]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("broken.jsonl: line 1: missing field"), "{}", stderr(&output));
    let output = capture(&[&file, &file, "--out".as_ref(), &broken]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("2 captures need a directory"), "{}", stderr(&output));
    // A name out of a file leads nowhere else.
    let text = fs::read_to_string(&file).expect("written").replace("connect/client-id", "../../../escaped");
    fs::write(&broken, text).expect("written");
    let output = capture(&[&broken, "--module".as_ref(), "air780e".as_ref(), "--out".as_ref(), dir.path()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("are no name of a file"), "{}", stderr(&output));
}
