//! Received messages of modules whose document gives no form for them: whatever is printed with topic and payload in it, after
//! the broker delivered the message, is that message.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    mqtt::{self, Frame, Framer},
    timeline::{Event, What},
};

/// The largest control packet that is framed.
const MAX_PACKET: usize = 1024 * 1024;

/// A message of the broker that was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Index of the event that completed it.
    pub at: usize,
    /// Its topic.
    pub topic: Vec<u8>,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// The messages that the broker delivered and the module printed, in the order of the delivery. One that comes again with DUP
/// counts once.
pub fn formless(events: &[Event]) -> Vec<Told> {
    let (printed, places) = printed(events);
    let mut from = 0;
    let mut told = Vec::new();
    for (delivered, topic, payload) in delivered(events) {
        let before: usize = places.iter().filter(|(at, _)| *at < delivered).map(|(_, len)| len).sum();
        let start = from.max(before);
        let Some(end) = behind(&printed, start, &topic).and_then(|end| behind(&printed, end, &payload))
        else {
            continue;
        };
        from = end;
        told.push(Told { at: event_of(&places, end), topic, payload });
    }
    told
}

/// Everything printed, and the length that each event brought.
fn printed(events: &[Event]) -> (Vec<u8>, Vec<(usize, usize)>) {
    let mut all = Vec::new();
    let mut places = Vec::new();
    for (at, event) in events.iter().enumerate() {
        match &event.what {
            What::Received { bytes } => {
                all.extend_from_slice(bytes);
                places.push((at, bytes.len()));
            }
            What::Teardown => break,
            _ => {}
        }
    }
    (all, places)
}

/// PUBLISH packets to the module: event, topic, payload.
fn delivered(events: &[Event]) -> Vec<(usize, Vec<u8>, Vec<u8>)> {
    let mut framers: BTreeMap<u32, Framer> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let What::ToModule { conn, bytes } = &event.what else { continue };
        let framer = framers.entry(*conn).or_insert_with(|| Framer::new(MAX_PACKET));
        framer.push(bytes);
        while let Some(Frame::Packet(raw)) = framer.next_frame() {
            let packet = mqtt::decode(&raw);
            let Some(publish) = packet.as_publish() else { continue };
            let key = (publish.id, publish.topic.as_bytes().to_vec(), publish.payload.clone());
            if publish.dup && seen.contains(&key) {
                continue;
            }
            seen.insert(key);
            out.push((at, publish.topic.as_bytes().to_vec(), publish.payload.clone()));
        }
    }
    out
}

/// The offset behind the first occurrence of `part` at or behind `from`.
fn behind(all: &[u8], from: usize, part: &[u8]) -> Option<usize> {
    let rest = all.get(from..)?;
    if part.is_empty() {
        return Some(from);
    }
    rest.windows(part.len()).position(|window| window == part).map(|at| from + at + part.len())
}

/// The event that brought the byte before an offset.
fn event_of(places: &[(usize, usize)], end: usize) -> usize {
    let mut sum = 0;
    for (at, len) in places {
        sum += len;
        if sum >= end {
            return *at;
        }
    }
    places.last().map_or(0, |(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::{Body, Publish, Text, encode};

    fn event(what: What) -> Event {
        Event { at_us: 0, what }
    }

    fn delivery(payload: &str, dup: bool) -> Event {
        let (topic, payload) = (Text::from("a/b"), payload.as_bytes().to_vec());
        let publish = Publish { dup, qos: 1, retain: false, topic, id: Some(1), payload };
        event(What::ToModule { conn: 1, bytes: encode(&Body::Publish(publish)) })
    }

    fn print(text: &str) -> Event {
        event(What::Received { bytes: text.as_bytes().to_vec() })
    }

    #[test]
    fn a_message_is_what_has_its_topic_and_payload_after_its_delivery() {
        let told = formless(&[
            print("+RECV: a/b,early\r\n"),
            delivery("early", false),
            print("\r\n+RECV: 0,\"a/b\","),
            print("\"early\"\r\n"),
            delivery("early", true),
            delivery("late", false),
        ]);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].at, told[0].payload.as_slice()), (3, b"early".as_slice()));
    }
}
