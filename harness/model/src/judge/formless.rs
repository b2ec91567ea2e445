//! Received messages of modules whose document gives no form for them: whatever is printed with topic and payload in it, after
//! the broker delivered the message, is that message.

use std::{collections::BTreeMap, ops::Range};

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
/// counts once. One that is printed again although it was delivered once comes twice.
pub fn formless(events: &[Event]) -> Vec<Told> {
    let (printed, places) = printed(events);
    let (mut found, mut missing): (Vec<(Range<usize>, Delivered)>, Vec<Delivered>) = Default::default();
    for message in delivered(events) {
        let before: usize = places.iter().filter(|(at, _)| *at < message.at).map(|(_, len)| len).sum();
        let from = found.last().map_or(0, |(range, _)| range.end).max(before);
        match message.within(&printed, from..printed.len()) {
            Some(range) => found.push((range, message)),
            None => missing.push(message),
        }
    }
    let mut told: Vec<Told> = Vec::new();
    for (n, (range, message)) in found.iter().enumerate() {
        let before = n.checked_sub(1).map_or(&[][..], |before| &found[before].1.payload);
        let tail = tail_of(before, message, &printed[range.end..]);
        let next = found.get(n + 1).map_or(printed.len(), |(next, _)| next.start);
        // What begins like it may be a longer one that is still being printed.
        let begins = missing.iter().any(|other| message.begins(other));
        let again = message.within(&printed, range.end..next).filter(|_| message.shows_again() && !begins);
        for range in [Some(range.clone()), again].into_iter().flatten() {
            let (topic, payload) = (message.topic.clone(), [&message.payload, tail].concat());
            told.push(Told { at: event_of(&places, range.end), topic, payload });
        }
    }
    told
}

/// So many bytes that are alike are no chance.
const TAIL: usize = 4;

/// What is printed behind a message as the message before it had it at that place: firmware that prints out of one buffer shows
/// the tail of a longer one.
fn tail_of<'b>(before: &'b [u8], message: &Delivered, printed: &[u8]) -> &'b [u8] {
    let rest = before.get(message.payload.len()..).unwrap_or_default();
    let alike = rest.iter().zip(printed).take_while(|(a, b)| a == b).count();
    if alike < TAIL || message.payload.is_empty() { &[] } else { &rest[..alike] }
}

/// A message of the broker.
struct Delivered {
    /// The event that brought it.
    at: usize,
    topic: Vec<u8>,
    payload: Vec<u8>,
    /// It came again with DUP, and may be printed again.
    again: bool,
}

impl Delivered {
    /// Where it is printed: its topic, and behind it what its payload has between characters that a line may have to write in
    /// another way. No document says which those are.
    fn within(&self, printed: &[u8], range: Range<usize>) -> Option<Range<usize>> {
        let topic = find(printed, range.clone(), &self.topic)?;
        let mut end = topic.end;
        for run in self.payload.split(|byte| !is_plain(*byte)) {
            end = find(printed, end..range.end, run)?.end;
        }
        Some(topic.start..end)
    }

    /// Whether another message begins like this one.
    fn begins(&self, other: &Self) -> bool {
        self.topic == other.topic && other.payload.starts_with(&self.payload)
    }

    /// Whether its topic and payload once more are the message once more.
    fn shows_again(&self) -> bool {
        !self.again && self.payload.len() >= TAIL
    }
}

/// Characters that stand for themselves wherever text is printed.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
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

/// PUBLISH packets to the module.
fn delivered(events: &[Event]) -> Vec<Delivered> {
    let mut framers: BTreeMap<u32, Framer> = BTreeMap::new();
    let mut out: Vec<(Option<u16>, Delivered)> = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let What::ToModule { conn, bytes } = &event.what else { continue };
        let framer = framers.entry(*conn).or_insert_with(|| Framer::new(MAX_PACKET));
        framer.push(bytes);
        while let Some(Frame::Packet(raw)) = framer.next_frame() {
            let packet = mqtt::decode(&raw);
            let Some(publish) = packet.as_publish() else { continue };
            let (topic, payload) = (publish.topic.as_bytes().to_vec(), publish.payload.clone());
            let same = |(id, one): &&mut (Option<u16>, Delivered)| {
                (*id, &one.topic, &one.payload) == (publish.id, &topic, &payload)
            };
            match out.iter_mut().find(same) {
                Some((_, first)) if publish.dup => first.again = true,
                _ => out.push((publish.id, Delivered { at, topic, payload, again: false })),
            }
        }
    }
    out.into_iter().map(|(_, message)| message).collect()
}

/// The first occurrence of `part` in a range; at its beginning where the part is empty.
fn find(all: &[u8], range: Range<usize>, part: &[u8]) -> Option<Range<usize>> {
    let within = all.get(range.clone())?;
    let at =
        if part.is_empty() { 0 } else { within.windows(part.len()).position(|window| window == part)? };
    Some(range.start + at..range.start + at + part.len())
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
    fn printed_twice_it_is_two_messages_unless_it_came_twice() {
        let twice = || [print("a/b early\r\n"), print("a/b early\r\n")];
        let once = formless(&[[delivery("early", false)].as_slice(), &twice()].concat());
        assert_eq!(once.len(), 2);
        let again = [delivery("early", false), delivery("early", true)];
        assert_eq!(formless(&[again.as_slice(), &twice()].concat()).len(), 1);
    }

    #[test]
    fn a_longer_message_that_is_still_being_printed_is_not_the_shorter_one_again() {
        let events = [
            delivery("a-message", false),
            print("a/b,a-message\r\n"),
            delivery("a-message-that-goes-on", false),
            print("a/b,a-message-that"),
        ];
        assert_eq!(formless(&events).len(), 1);
        let whole = [events.as_slice(), &[print("-goes-on\r\n")]].concat();
        assert_eq!(formless(&whole).len(), 2);
    }

    #[test]
    fn the_tail_of_the_message_before_is_part_of_what_was_printed() {
        let events = [
            delivery("a-long-message", false),
            print("a/b,a-long-message\r\n"),
            delivery("short", false),
            print("a/b,shortg-message\r\n"),
        ];
        let told = formless(&events);
        assert_eq!(told[1].payload, b"shortg-message");
    }

    #[test]
    fn characters_that_a_line_may_write_in_another_way_are_not_compared() {
        let told = |line: &str| formless(&[delivery("one\"two", false), print(line)]).len();
        assert_eq!(told("a/b,\"one\\22two\"\r\n"), 1);
        assert_eq!(told("a/b,\"one\"\r\n"), 0);
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
