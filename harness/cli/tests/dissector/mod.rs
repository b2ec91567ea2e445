//! Our strict decoder beside Wireshark's dissector, packet by packet.
//!
//! Both opinions become the same kind of thing, [`Opinion`], and are compared. Wireshark shows packets, it does not judge
//! them: where it lets pass what breaks a rule, the tables in [`known`] have to say so, with the statement that is broken.
#![allow(dead_code, unused_imports, clippy::allow_attributes, reason = "every test file uses another part")]

mod known;
mod opinion;
mod tshark;

use std::collections::{BTreeMap, BTreeSet};

use atspec_model::{
    mqtt::{Frame, Framer, decode},
    text,
    timeline::{Side, Timeline, What},
};

pub(crate) use known::{explain, names};
pub(crate) use opinion::{Opinion, ours};
pub(crate) use tshark::{Sample, dissect, version};

/// Asks Wireshark about every packet and compares; returns what of the tables explained something, or nothing
/// where there is no tshark. Panics at what nothing explains.
pub(crate) fn agree(samples: &[Sample]) -> Option<BTreeSet<&'static str>> {
    let theirs = dissect(samples)?;
    assert_eq!(theirs.len(), samples.len(), "tshark tells a frame for each packet");
    let mut used = BTreeSet::new();
    // One example of each sort, and how many there are.
    let mut unexplained: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (sample, theirs) in samples.iter().zip(&theirs) {
        let packet = decode(&sample.raw);
        let (known, differences) = explain(&packet, &ours(&packet), theirs);
        used.extend(known);
        for difference in differences {
            let example = format!(
                "{}: {}\n    {packet}\n    {}",
                sample.what,
                text::shortened(&sample.raw, 80),
                difference.here
            );
            unexplained.entry(difference.sort).or_insert((0, example)).0 += 1;
        }
    }
    let told = unexplained.iter().map(|(sort, (count, example))| format!("{count} × {sort}\n  {example}\n"));
    let told: String = told.collect();
    assert!(
        told.is_empty(),
        "what {} sees otherwise, for no known reason:\n{told}",
        version().unwrap_or_default()
    );
    Some(used)
}

/// Every control packet of a recording, both ways, with a conversation of its own for each connection.
pub(crate) fn packets(timeline: &Timeline, conversation: &mut u32) -> Vec<Sample> {
    let mut framers = BTreeMap::new();
    let mut conversations = BTreeMap::new();
    let mut samples = Vec::new();
    for event in &timeline.events {
        let (conn, from, bytes) = match &event.what {
            What::FromModule { conn, bytes } => (*conn, Side::Module, bytes),
            What::ToModule { conn, bytes } => (*conn, Side::Broker, bytes),
            _ => continue,
        };
        let conversation = *conversations.entry(conn).or_insert_with(|| {
            *conversation += 1;
            *conversation
        });
        let framer = framers.entry((conn, from)).or_insert_with(|| Framer::new(1024 * 1024));
        framer.push(bytes);
        while let Some(frame) = framer.next_frame() {
            if let Frame::Packet(raw) = frame {
                let what = format!("{}, connection {conn}, {from:?}", timeline.header.case);
                samples.push(Sample { what, raw, conversation, from });
            }
        }
    }
    samples
}
