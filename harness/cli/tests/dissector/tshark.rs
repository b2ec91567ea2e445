//! Wireshark's dissector, asked through `tshark`.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, BufWriter},
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
};

use atspec_model::timeline::Side;
use atspec_reports::capture::{Packet, Tags, Writer};
use serde_json::{Map, Value};

use super::Opinion;

/// A packet to be asked about.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Where it comes from, for a person.
    pub(crate) what: String,
    /// The packet.
    pub(crate) raw: Vec<u8>,
    /// Packets of one conversation are seen after one another: the version of its CONNECT counts.
    pub(crate) conversation: u32,
    /// Who sent it.
    pub(crate) from: Side,
}

/// The version of tshark, if it is installed.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("tshark").arg("--version").stderr(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

/// What Wireshark says of every packet, in order; nothing where there is no tshark.
pub(crate) fn dissect(samples: &[Sample]) -> Option<Vec<Opinion>> {
    version()?;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("packets.pcapng");
    write(&file, samples).expect("a capture is written");
    let mut tshark = Command::new("tshark");
    // Its own settings, not those of whoever runs this.
    tshark.env("WIRESHARK_CONFIG_DIR", dir.path()).args(["-n", "-o", "mqtt.default_version:MQTT v3.1.1"]);
    tshark.arg("-r").arg(&file).args(["-T", "ek", "-x", "-J", "mqtt"]);
    let mut tshark = tshark.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("tshark starts");
    let lines = BufReader::new(tshark.stdout.take().expect("a pipe")).lines();
    let opinions = lines.filter_map(|line| opinion(&line.expect("text"))).collect();
    assert!(tshark.wait().expect("tshark ends").success(), "tshark failed");
    Some(opinions)
}

fn write(path: &std::path::Path, samples: &[Sample]) -> std::io::Result<()> {
    let mut writer = Writer::new(BufWriter::new(File::create(path)?), "atspec tests", "")?;
    let interface = writer.interface("mqtt", "")?;
    for (n, sample) in samples.iter().enumerate() {
        let module = SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + sample.conversation), 50_000));
        let broker = SocketAddr::from(([192, 0, 2, 1], 1883));
        let ends = if sample.from == Side::Module { (module, broker) } else { (broker, module) };
        let head = Tags { ends: Some(ends), ..Tags::new("mqtt") }.to_bytes();
        let packet = Packet { at_us: n as u64, head: &head, data: &sample.raw, comments: &[] };
        writer.packet(interface, &packet)?;
    }
    writer.finish().map(drop)
}

/// A line of `-T ek`; every other one is only an index.
fn opinion(line: &str) -> Option<Opinion> {
    let line: Value = serde_json::from_str(line).expect("a line of JSON");
    let layers = line.get("layers")?;
    let mut opinion = Opinion {
        malformed: ["_ws_malformed", "_ws_unreassembled"].iter().any(|key| layers.get(key).is_some())
            || mentions(layers, "illegal_topic_length"),
        ..Opinion::default()
    };
    let first = match layers.get("mqtt") {
        Some(Value::Array(several)) => {
            opinion.packets = several.len();
            several.first()
        }
        one => {
            opinion.packets = usize::from(one.is_some());
            one
        }
    };
    if let Some(Value::Object(fields)) = first {
        read(fields, &mut opinion);
    }
    Some(opinion)
}

/// Our names of the fields, and Wireshark's; with that of its length, where it has one: an empty field is shown by its
/// length only.
const FIELDS: [(&str, &str, Option<&str>); 17] = [
    ("length", "len", None),
    ("packet id", "msgid", None),
    ("topic", "topic", Some("topic_len")),
    ("payload", "msg", None),
    ("protocol name", "protoname", Some("proto_len")),
    ("protocol level", "ver", None),
    ("connect flags", "conflags", None),
    ("keep alive", "kalive", None),
    ("client id", "clientid", Some("clientid_len")),
    ("will topic", "willtopic", Some("willtopic_len")),
    ("will message", "willmsg", Some("willmsg_len")),
    ("user name", "username", Some("username_len")),
    ("password", "passwd", Some("passwd_len")),
    ("acknowledge flags", "conack_flags", None),
    ("return code", "conack_val", None),
    ("requested QoS", "sub_qos", None),
    ("granted QoS", "suback_qos", None),
];

fn read(fields: &Map<String, Value>, opinion: &mut Opinion) {
    let number = |name: &str| match fields.get(&format!("mqtt_mqtt_{name}"))? {
        Value::Bool(set) => Some(u8::from(*set)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    opinion.kind = number("msgtype");
    let publish = || Some(number("dupflag")? << 3 | number("qos")? << 1 | number("retain")?);
    opinion.flags = number("hdr_reserved").or_else(publish);
    for (ours, theirs, length) in FIELDS {
        let mut values = raw(fields, theirs);
        if let Some(length) = length {
            let mut shown = values.into_iter();
            let field = |len: Vec<u8>| if len == [0, 0] { Some(Vec::new()) } else { shown.next() };
            values = raw(fields, length).into_iter().map_while(field).collect();
        }
        if !values.is_empty() {
            opinion.fields.insert(ours, values);
        }
    }
    if opinion.kind == Some(8) {
        // A filter whose QoS is missing is no entry of the list.
        let entries = opinion.fields.get("requested QoS").map_or(0, Vec::len);
        opinion.fields.entry("topic").or_default().truncate(entries);
        opinion.fields.retain(|_, values| !values.is_empty());
    }
    if opinion.kind == Some(3) && !opinion.malformed {
        opinion.fields.entry("payload").or_insert_with(|| vec![Vec::new()]);
    }
}

/// The bytes of a field, as often as it comes.
fn raw(fields: &Map<String, Value>, name: &str) -> Vec<Vec<u8>> {
    match fields.get(&format!("mqtt_mqtt_{name}_raw")) {
        Some(Value::String(one)) => vec![unhex(one)],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).map(unhex).collect(),
        _ => Vec::new(),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len() / 2 * 2).step_by(2).map(byte).collect()
}

/// Whether a key anywhere in the tree ends so.
fn mentions(tree: &Value, end: &str) -> bool {
    match tree {
        Value::Object(map) => map.iter().any(|(key, value)| key.ends_with(end) || mentions(value, end)),
        Value::Array(several) => several.iter().any(|value| mentions(value, end)),
        _ => false,
    }
}
