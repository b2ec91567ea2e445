//! Ten thousand generated packets, good and bad, as our decoder and as Wireshark's dissector see them. (Every packet of whole
//! runs is compared in `recordings.rs`.) Where tshark is not installed this is skipped, and said so.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod dissector;
mod generate;

use atspec_model::mqtt::{Level, PacketType, decode};
use dissector::{Opinion, agree, explain, names, ours, version};

/// How many packets are generated, half of them meant to be well-formed.
const PACKETS: usize = 10_000;

#[test]
fn ten_thousand_packets_look_the_same_to_wireshark() {
    let samples = generate::packets(PACKETS);
    let Some(used) = agree(&samples) else {
        eprintln!("skipped: tshark is not installed, so there is no dissector to compare with");
        return;
    };
    eprintln!("{} packets compared with {}", samples.len(), version().unwrap_or_default());
    let unused: Vec<_> = names().filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "known disagreements that no packet shows any more: {unused:?}");
}

#[test]
fn a_difference_that_is_not_known_is_told() {
    let publish = decode(b"\x32\x08\0\x01t\0\x01abc");
    let same = ours(&publish);
    assert!(explain(&publish, &same, &same).1.is_empty());
    let spoil: [fn(&mut Opinion); 5] = [
        |theirs| theirs.malformed = true,
        |theirs| theirs.packets = 2,
        |theirs| theirs.flags = Some(3),
        |theirs| theirs.fields.get_mut("packet id").expect("has one")[0][1] = 2,
        |theirs| drop(theirs.fields.remove("payload")),
    ];
    for spoil in spoil {
        let mut theirs = ours(&publish);
        spoil(&mut theirs);
        let (known, unexplained) = explain(&publish, &same, &theirs);
        assert!(known.is_empty() && unexplained.len() == 1, "{theirs:?}: {unexplained:?}");
    }
}

#[test]
fn every_type_is_generated_good_and_bad() {
    let samples = generate::packets(PACKETS);
    for kind in &PacketType::ALL[1..15] {
        let of_kind = samples.iter().map(|s| decode(&s.raw)).filter(|p| p.kind == *kind);
        let (bad, good): (Vec<_>, Vec<_>) = of_kind.partition(|p| p.worst(Level::Must).is_some());
        assert!(bad.len() >= 50 && good.len() >= 200, "{kind}: {} good, {} bad", good.len(), bad.len());
    }
}
