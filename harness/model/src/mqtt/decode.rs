//! The strict decoder: every rule of MQTT 3.1.1 that one packet can break by its bytes alone.
//!
//! The rules are the table below; the functions after it only find where they are broken. Rules that the
//! standard states twice (1.5.3-1 and the rule of the field, 3.1.2-11 and -13) are one entry with several clauses.

use std::fmt;

use super::frame::{Header, header};
use super::packet::{
    Ack, Body, ConnAck, Connect, Level, Packet, PacketType, Publish, SubAck, Subscribe, Text, Unsubscribe,
    Violation, Will,
};
use super::topic;
use crate::text;

/// One way to break a packet.
struct Rule {
    /// What it counts as; one violation for each.
    clauses: &'static [&'static str],
    level: Level,
    /// What is wrong, for a person; the finder appends the particulars.
    meaning: &'static str,
}

macro_rules! rules {
    ($($name:ident: $level:ident [$($clause:literal),+] $meaning:literal;)+) => {
        $(const $name: Rule = Rule { clauses: &[$($clause),+], level: Level::$level, meaning: $meaning };)+
        #[cfg(test)]
        const ALL_RULES: &[Rule] = &[$($name),+];
    };
}

rules! {
    // Fixed header.
    NO_HEADER:           Must   ["MQTT-2.2"]   "no fixed header";
    RESERVED_TYPE:       Must   ["MQTT-2.2.1"] "reserved packet type";
    FLAGS:               Must   ["MQTT-2.2.2-1"] "reserved flags of the fixed header";
    FLAGS_PUBREL:        Must   ["MQTT-2.2.2-1", "MQTT-3.6.1-1"]  "reserved flags of PUBREL";
    FLAGS_SUBSCRIBE:     Must   ["MQTT-2.2.2-1", "MQTT-3.8.1-1"]  "reserved flags of SUBSCRIBE";
    FLAGS_UNSUBSCRIBE:   Must   ["MQTT-2.2.2-1", "MQTT-3.10.1-1"] "reserved flags of UNSUBSCRIBE";
    FLAGS_DISCONNECT:    Must   ["MQTT-2.2.2-1", "MQTT-3.14.1-1"] "reserved flags of DISCONNECT";
    LENGTH_CUT:          Must   ["MQTT-2.2.3"] "ends within the Remaining Length";
    LENGTH_ENDLESS:      Must   ["MQTT-2.2.3"] "Remaining Length goes on after its fourth byte";
    LENGTH_NOT_MINIMAL:  Should ["MQTT-2.2.3"] "Remaining Length in more bytes than it needs";
    PACKET_CUT:          Must   ["MQTT-2.2.3"] "shorter than its Remaining Length says";
    PACKET_LONG:         Must   ["MQTT-2.2.3"] "longer than its Remaining Length says";

    // Packets of one size.
    SIZE_CONNACK:        Must   ["MQTT-3.2.1"]  "CONNACK has a Remaining Length of 2";
    SIZE_PUBACK:         Must   ["MQTT-3.4.1"]  "PUBACK has a Remaining Length of 2";
    SIZE_PUBREC:         Must   ["MQTT-3.5.1"]  "PUBREC has a Remaining Length of 2";
    SIZE_PUBREL:         Must   ["MQTT-3.6.1"]  "PUBREL has a Remaining Length of 2";
    SIZE_PUBCOMP:        Must   ["MQTT-3.7.1"]  "PUBCOMP has a Remaining Length of 2";
    SIZE_UNSUBACK:       Must   ["MQTT-3.11.1"] "UNSUBACK has a Remaining Length of 2";
    SIZE_PINGREQ:        Must   ["MQTT-3.12.1"] "PINGREQ has no body";
    SIZE_PINGRESP:       Must   ["MQTT-3.13.1"] "PINGRESP has no body";
    SIZE_DISCONNECT:     Must   ["MQTT-3.14.1"] "DISCONNECT has no body";

    // Packet identifiers.
    ID_MISSING:          Must   ["MQTT-2.3.1-1"] "no packet identifier";
    ID_ZERO:             Must   ["MQTT-2.3.1-1"] "packet identifier is 0";
    // No statement of its own: an honest packet that could be answered with it cannot exist.
    ID_ZERO_ANSWER:      Must   ["MQTT-2.3.1"]   "acknowledges packet identifier 0";

    // Strings.
    STRING_CUT:          Must   ["MQTT-1.5.3"]   "string is longer than the rest of the packet";
    UTF8:                Must   ["MQTT-1.5.3-1"] "ill-formed UTF-8";
    UTF8_CLIENT_ID:      Must   ["MQTT-1.5.3-1", "MQTT-3.1.3-4"]  "ill-formed UTF-8 in the client identifier";
    UTF8_WILL_TOPIC:     Must   ["MQTT-1.5.3-1", "MQTT-3.1.3-10"] "ill-formed UTF-8 in the will topic";
    UTF8_USER_NAME:      Must   ["MQTT-1.5.3-1", "MQTT-3.1.3-11"] "ill-formed UTF-8 in the user name";
    UTF8_TOPIC:          Must   ["MQTT-1.5.3-1", "MQTT-3.3.2-1"]  "ill-formed UTF-8 in the topic name";
    UTF8_SUBSCRIBE:      Must   ["MQTT-1.5.3-1", "MQTT-3.8.3-1"]  "ill-formed UTF-8 in a filter of SUBSCRIBE";
    UTF8_UNSUBSCRIBE:    Must   ["MQTT-1.5.3-1", "MQTT-3.10.3-1"] "ill-formed UTF-8 in a filter of UNSUBSCRIBE";
    NUL:                 Must   ["MQTT-1.5.3-2"] "U+0000";
    NUL_IN_TOPIC:        Must   ["MQTT-1.5.3-2", "MQTT-4.7.3-2"]  "U+0000 in a topic name or filter";
    DISCOURAGED:         Info   ["MQTT-1.5.3"]   "control character or non-character";
    TOPIC_EMPTY:         Must   ["MQTT-4.7.3-1"] "empty topic name or filter";
    TOPIC_WILDCARD:      Must   ["MQTT-3.3.2-2", "MQTT-4.7.1-1"]  "wildcard in the topic name";
    WILL_WILDCARD:       Must   ["MQTT-4.7.1-1"] "wildcard in the will topic";
    FILTER_HASH:         Must   ["MQTT-4.7.1-2"] "'#' is not alone in the last level";
    FILTER_PLUS:         Must   ["MQTT-4.7.1-3"] "'+' does not fill its level";

    // CONNECT, CONNACK.
    CONNECT_CUT:         Must   ["MQTT-3.1.2"]   "CONNECT ends within its variable header";
    PROTOCOL_NAME:       Must   ["MQTT-3.1.2-1"] "protocol name is not \"MQTT\"";
    PROTOCOL_LEVEL:      Must   ["MQTT-3.1.2-2"] "protocol level is not 4";
    CONNECT_FLAG:        Must   ["MQTT-3.1.2-3"] "reserved bit of the connect flags";
    NO_WILL_QOS:         Must   ["MQTT-3.1.2-11", "MQTT-3.1.2-13"] "Will Flag is 0, Will QoS is not";
    NO_WILL_RETAIN:      Must   ["MQTT-3.1.2-11", "MQTT-3.1.2-15"] "Will Flag is 0, Will Retain is not";
    WILL_QOS_3:          Must   ["MQTT-3.1.2-14"] "Will QoS is 3";
    PASSWORD_ALONE:      Must   ["MQTT-3.1.2-22"] "Password Flag without User Name Flag";
    CLIENT_ID_MISSING:   Must   ["MQTT-3.1.3-3"] "no client identifier";
    CLIENT_ID_EMPTY:     Must   ["MQTT-3.1.3-7"] "empty client identifier with Clean Session 0";
    WILL_MISSING:        Must   ["MQTT-3.1.2-9"]  "Will Flag is 1, will topic or message is missing";
    USER_NAME_MISSING:   Must   ["MQTT-3.1.2-19"] "User Name Flag is 1, the user name is missing";
    PASSWORD_MISSING:    Must   ["MQTT-3.1.2-21"] "Password Flag is 1, the password is missing";
    WILL_MESSAGE_CUT:    Must   ["MQTT-3.1.3.3"] "will message is longer than the rest of the packet";
    PASSWORD_CUT:        Must   ["MQTT-3.1.3.5"] "password is longer than the rest of the packet";
    // What a surplus field was meant to be is a guess by its place.
    WILL_SURPLUS:        Must   ["MQTT-3.1.2-11"] "two surplus fields, Will Flag is 0";
    USER_NAME_SURPLUS:   Must   ["MQTT-3.1.2-18"] "surplus field, User Name Flag is 0";
    PASSWORD_SURPLUS:    Must   ["MQTT-3.1.2-20"] "surplus field, Password Flag is 0";
    CONNECT_SURPLUS:     Must   ["MQTT-3.1.3"]   "bytes after the last field of CONNECT";
    CONNACK_FLAGS:       Must   ["MQTT-3.2.2.1"] "reserved bits of the connect acknowledge flags";
    CONNACK_PRESENT:     Must   ["MQTT-3.2.2-4"] "session present with a refusal";
    CONNACK_CODE:        Must   ["MQTT-3.2.2.3"] "reserved connect return code";

    // PUBLISH.
    PUBLISH_QOS_3:       Must   ["MQTT-3.3.1-4"] "QoS is 3";
    PUBLISH_DUP:         Must   ["MQTT-3.3.1-2", "MQTT-4.3.1-1"] "DUP with QoS 0";
    TOPIC_MISSING:       Must   ["MQTT-3.3.2-1"] "no topic name";

    // SUBSCRIBE, SUBACK, UNSUBSCRIBE.
    SUBSCRIBE_EMPTY:     Must   ["MQTT-3.8.3-3"] "SUBSCRIBE without a filter and its QoS";
    SUBSCRIBE_CUT:       Must   ["MQTT-3.8.3"]   "no requested QoS after the filter";
    SUBSCRIBE_QOS:       Must   ["MQTT-3-8.3-4"] "requested QoS is not 0, 1 or 2";
    SUBACK_ID_MISSING:   Must   ["MQTT-3.9.2"]   "SUBACK without a packet identifier";
    SUBACK_EMPTY:        Must   ["MQTT-3.9.3"]   "SUBACK without a return code";
    SUBACK_CODE:         Must   ["MQTT-3.9.3-2"] "reserved return code";
    UNSUBSCRIBE_EMPTY:   Must   ["MQTT-3.10.3-2"] "UNSUBSCRIBE without a filter";
}

/// What a string may hold besides well-formed UTF-8.
enum Syntax {
    Free,
    /// A topic name; the rule is for wildcards in it.
    Name(Rule),
    Filter,
}

/// A UTF-8 string of a packet.
struct Field {
    name: &'static str,
    utf8: Rule,
    syntax: Syntax,
}

const PROTOCOL: Field = Field { name: "protocol name", utf8: UTF8, syntax: Syntax::Free };
const CLIENT_ID: Field = Field { name: "client identifier", utf8: UTF8_CLIENT_ID, syntax: Syntax::Free };
const WILL_TOPIC: Field =
    Field { name: "will topic", utf8: UTF8_WILL_TOPIC, syntax: Syntax::Name(WILL_WILDCARD) };
const USER_NAME: Field = Field { name: "user name", utf8: UTF8_USER_NAME, syntax: Syntax::Free };
const TOPIC: Field = Field { name: "topic name", utf8: UTF8_TOPIC, syntax: Syntax::Name(TOPIC_WILDCARD) };
const SUBSCRIBE_FILTER: Field = Field { name: "topic filter", utf8: UTF8_SUBSCRIBE, syntax: Syntax::Filter };
const UNSUBSCRIBE_FILTER: Field =
    Field { name: "topic filter", utf8: UTF8_UNSUBSCRIBE, syntax: Syntax::Filter };

/// How often one clause is told for one packet: hostile packets can break it at every third byte.
const REPEATS: usize = 16;

/// Reads one control packet, or whatever the bytes are.
///
/// Never fails and never panics. Each broken rule is told with its offset, at most sixteen times per clause; what
/// could not be read is empty or zero in the body. Where the bytes stop too early, the fields that might have
/// followed are not called missing. After a CONNECT of protocol level 5 only the variable header is read: the payload
/// has the layout of MQTT 5.
pub fn decode(raw: &[u8]) -> Packet {
    let first = raw.first().copied().unwrap_or(0);
    let (kind, flags) = (PacketType::of(first), first & 0x0f);
    let mut found = Found::default();
    let mut lost = true;
    let (mut start, mut end) = (raw.len(), raw.len());
    match header(raw) {
        Header::Incomplete if raw.is_empty() => found.add(&NO_HEADER, 0, ""),
        Header::Incomplete => found.add(&LENGTH_CUT, raw.len(), ""),
        Header::Endless => found.add(&LENGTH_ENDLESS, 1, ""),
        Header::Known { len, remaining } => {
            if len > 2 && raw[len - 1] == 0 {
                found.add(&LENGTH_NOT_MINIMAL, 1, format_args!("{} B for {remaining}", len - 1));
            }
            let there = raw.len() - len;
            if there < remaining {
                found.add(&PACKET_CUT, raw.len(), format_args!("{there} of {remaining} B"));
            } else if there > remaining {
                found.add(&PACKET_LONG, len + remaining, format_args!("by {} B", there - remaining));
            }
            lost = there < remaining;
            start = len;
            end = raw.len().min(len + remaining);
        }
    }
    if !raw.is_empty() {
        check_first_byte(kind, flags, &mut found);
    }
    let mut reader = Reader { bytes: &raw[..end], at: start, lost, found };
    let body = read_body(kind, flags, &mut reader);
    let mut violations = reader.found.0;
    violations.sort_by_key(|v| v.offset);
    Packet { raw: raw.to_vec(), kind, flags, body, violations }
}

fn check_first_byte(kind: PacketType, flags: u8, found: &mut Found) {
    let (expected, rule) = match kind {
        PacketType::Reserved0 | PacketType::Reserved15 => return found.add(&RESERVED_TYPE, 0, kind as u8),
        PacketType::Publish => {
            let qos = flags >> 1 & 3;
            if qos == 3 {
                found.add(&PUBLISH_QOS_3, 0, "");
            }
            if qos == 0 && flags & 8 != 0 {
                found.add(&PUBLISH_DUP, 0, "");
            }
            return;
        }
        PacketType::PubRel => (2, &FLAGS_PUBREL),
        PacketType::Subscribe => (2, &FLAGS_SUBSCRIBE),
        PacketType::Unsubscribe => (2, &FLAGS_UNSUBSCRIBE),
        PacketType::Disconnect => (0, &FLAGS_DISCONNECT),
        _ => (0, &FLAGS),
    };
    if flags != expected {
        found.add(rule, 0, format_args!("{flags:04b} instead of {expected:04b}"));
    }
}

fn read_body(kind: PacketType, flags: u8, r: &mut Reader<'_>) -> Body {
    match kind {
        PacketType::Reserved0 | PacketType::Reserved15 => Body::Reserved,
        PacketType::Connect => Body::Connect(connect(r)),
        PacketType::ConnAck => Body::ConnAck(connack(r)),
        PacketType::Publish => Body::Publish(publish(flags, r)),
        PacketType::PubAck => Body::PubAck(ack(r, &SIZE_PUBACK)),
        PacketType::PubRec => Body::PubRec(ack(r, &SIZE_PUBREC)),
        PacketType::PubRel => Body::PubRel(ack(r, &SIZE_PUBREL)),
        PacketType::PubComp => Body::PubComp(ack(r, &SIZE_PUBCOMP)),
        PacketType::UnsubAck => Body::UnsubAck(ack(r, &SIZE_UNSUBACK)),
        PacketType::Subscribe => Body::Subscribe(subscribe(r)),
        PacketType::SubAck => Body::SubAck(suback(r)),
        PacketType::Unsubscribe => Body::Unsubscribe(unsubscribe(r)),
        PacketType::PingReq => {
            r.size(0, &SIZE_PINGREQ);
            Body::PingReq
        }
        PacketType::PingResp => {
            r.size(0, &SIZE_PINGRESP);
            Body::PingResp
        }
        PacketType::Disconnect => {
            r.size(0, &SIZE_DISCONNECT);
            Body::Disconnect
        }
    }
}

fn connect(r: &mut Reader<'_>) -> Connect {
    let mut c = Connect::default();
    if connect_header(r, &mut c).is_none() {
        r.missing(&CONNECT_CUT);
        return c;
    }
    if c.level == 5 && c.protocol.as_bytes() == b"MQTT" {
        return c;
    }
    let at = r.at;
    match r.string(&CLIENT_ID, Some(&CLIENT_ID_MISSING)) {
        Some(id) if id.0.is_empty() && !c.clean_session() => r.found.add(&CLIENT_ID_EMPTY, at, ""),
        id => c.client_id = id.unwrap_or_default(),
    }
    if c.flags & 0x04 != 0 {
        let mut will = Will { qos: c.flags >> 3 & 3, retain: c.flags & 0x20 != 0, ..Will::default() };
        if let Some(topic) = r.string(&WILL_TOPIC, Some(&WILL_MISSING)) {
            will.topic = topic;
            will.message = r.binary(&WILL_MISSING, &WILL_MESSAGE_CUT);
        }
        c.will = Some(will);
    }
    if c.flags & 0x80 != 0 {
        c.username = Some(r.string(&USER_NAME, Some(&USER_NAME_MISSING)).unwrap_or_default());
    }
    if c.flags & 0x40 != 0 {
        c.password = Some(r.binary(&PASSWORD_MISSING, &PASSWORD_CUT));
    }
    connect_surplus(r, c.flags);
    c
}

/// Protocol name to keep alive; `None` where the packet ends within them.
fn connect_header(r: &mut Reader<'_>, c: &mut Connect) -> Option<()> {
    let at = r.at;
    c.protocol = r.string(&PROTOCOL, None)?;
    if c.protocol.as_bytes() != b"MQTT" {
        r.found.add(&PROTOCOL_NAME, at, shown(c.protocol.as_bytes()));
    }
    let at = r.at;
    c.level = r.byte()?;
    if c.level != 4 {
        r.found.add(&PROTOCOL_LEVEL, at, c.level);
    }
    let at = r.at;
    c.flags = r.byte()?;
    let (qos, has) = (c.flags >> 3 & 3, |bit| c.flags & bit != 0);
    let broken = [
        (has(0x01), &CONNECT_FLAG),
        (!has(0x04) && qos != 0, &NO_WILL_QOS),
        (!has(0x04) && has(0x20), &NO_WILL_RETAIN),
        (has(0x04) && qos == 3, &WILL_QOS_3),
        (has(0x40) && !has(0x80), &PASSWORD_ALONE),
    ];
    for (_, rule) in broken.iter().filter(|(broken, _)| *broken) {
        r.found.add(rule, at, format_args!("connect flags {:#04x}", c.flags));
    }
    c.keep_alive = r.number()?;
    Some(())
}

/// Names what is left over after the fields that the flags announce, if it has the shape of fields.
fn connect_surplus(r: &mut Reader<'_>, flags: u8) {
    let rest = &r.bytes[r.at..];
    if rest.is_empty() {
        return;
    }
    let mut absent: Vec<&Rule> = Vec::new();
    if flags & 0x80 == 0 {
        absent.push(&USER_NAME_SURPLUS);
    }
    if flags & 0x40 == 0 {
        absent.push(&PASSWORD_SURPLUS);
    }
    let fields = count_fields(rest).unwrap_or(usize::MAX);
    let with_will = fields.saturating_sub(2);
    if fields > absent.len().max(1) && flags & 0x04 == 0 && with_will <= absent.len() {
        absent.truncate(with_will);
        absent.insert(0, &WILL_SURPLUS);
    } else if fields <= absent.len() {
        absent.truncate(fields);
    } else {
        absent = vec![&CONNECT_SURPLUS];
    }
    for rule in absent {
        r.found.add(rule, r.at, format_args!("{} B: {}", rest.len(), shown(rest)));
    }
}

/// Of how many length-prefixed fields `rest` consists exactly; no more than the four optional ones of CONNECT.
fn count_fields(mut rest: &[u8]) -> Option<usize> {
    for count in 0..=4 {
        if rest.is_empty() {
            return Some(count);
        }
        let (prefix, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_be_bytes(*prefix))..)?;
    }
    None
}

fn connack(r: &mut Reader<'_>) -> ConnAck {
    r.size(2, &SIZE_CONNACK);
    let at = r.at;
    let ack = ConnAck { flags: r.byte().unwrap_or(0), code: r.byte().unwrap_or(0) };
    if ack.flags > 1 {
        r.found.add(&CONNACK_FLAGS, at, format_args!("{:#04x}", ack.flags));
    }
    if ack.flags & 1 != 0 && ack.code != 0 {
        r.found.add(&CONNACK_PRESENT, at, format_args!("return code {}", ack.code));
    }
    if ack.code > 5 {
        r.found.add(&CONNACK_CODE, at + 1, ack.code);
    }
    ack
}

fn publish(flags: u8, r: &mut Reader<'_>) -> Publish {
    let qos = flags >> 1 & 3;
    let topic = r.string(&TOPIC, Some(&TOPIC_MISSING)).unwrap_or_default();
    let id = (qos > 0).then(|| r.packet_id());
    Publish { dup: flags & 8 != 0, qos, retain: flags & 1 != 0, topic, id, payload: r.rest().to_vec() }
}

fn ack(r: &mut Reader<'_>, size: &Rule) -> Ack {
    r.size(2, size);
    let at = r.at;
    let id = r.number();
    if id == Some(0) {
        r.found.add(&ID_ZERO_ANSWER, at, "");
    }
    Ack { id: id.unwrap_or(0) }
}

fn subscribe(r: &mut Reader<'_>) -> Subscribe {
    let id = r.packet_id();
    let mut filters = Vec::new();
    while let Some(filter) = r.string(&SUBSCRIBE_FILTER, None) {
        let at = r.at;
        let Some(qos) = r.byte() else {
            r.missing(&SUBSCRIBE_CUT);
            break;
        };
        if qos > 2 {
            r.found.add(&SUBSCRIBE_QOS, at, format_args!("{qos:#04x}"));
        }
        filters.push((filter, qos));
    }
    if filters.is_empty() {
        r.missing(&SUBSCRIBE_EMPTY);
    }
    Subscribe { id, filters }
}

fn suback(r: &mut Reader<'_>) -> SubAck {
    let at = r.at;
    let id = r.number();
    match id {
        Some(0) => r.found.add(&ID_ZERO_ANSWER, at, ""),
        Some(_) => {}
        None => r.missing(&SUBACK_ID_MISSING),
    }
    let at = r.at;
    let codes = r.rest().to_vec();
    if codes.is_empty() {
        r.missing(&SUBACK_EMPTY);
    }
    for (index, code) in codes.iter().enumerate().filter(|(_, code)| !matches!(code, 0..=2 | 0x80)) {
        r.found.add(&SUBACK_CODE, at + index, format_args!("{code:#04x}"));
    }
    SubAck { id: id.unwrap_or(0), codes }
}

fn unsubscribe(r: &mut Reader<'_>) -> Unsubscribe {
    let id = r.packet_id();
    let filters: Vec<Text> = std::iter::from_fn(|| r.string(&UNSUBSCRIBE_FILTER, None)).collect();
    if filters.is_empty() {
        r.missing(&UNSUBSCRIBE_EMPTY);
    }
    Unsubscribe { id, filters }
}

/// The violations so far.
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, rule: &Rule, offset: usize, particulars: impl fmt::Display) {
        let particulars = particulars.to_string();
        for &clause in rule.clauses {
            if self.0.iter().filter(|v| v.clause == clause && v.level == rule.level).count() < REPEATS {
                let colon = if particulars.is_empty() { "" } else { ": " };
                let what = format!("{}{colon}{particulars}", rule.meaning);
                self.0.push(Violation { clause, level: rule.level, offset, what });
            }
        }
    }
}

/// Walks through the variable header and the payload.
struct Reader<'a> {
    /// The packet up to its declared end; offsets count from the fixed header.
    bytes: &'a [u8],
    at: usize,
    /// Set once the bytes have stopped within something: nothing after that can be called missing.
    lost: bool,
    found: Found,
}

impl<'a> Reader<'a> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(taken)
    }

    fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    /// Something is missing here. Bytes too few for it are no field either, so the rest is given up with it.
    fn missing(&mut self, rule: &Rule) {
        if !self.lost {
            self.found.add(rule, self.at, "");
            self.lost = self.left() > 0;
        }
        self.at = self.bytes.len();
    }

    /// The body of a packet whose size the standard fixes.
    fn size(&mut self, expected: usize, rule: &Rule) {
        let left = self.left();
        if left > expected || (left < expected && !self.lost) {
            self.found.add(rule, self.at + left.min(expected), format_args!("{left} B"));
        }
    }

    fn packet_id(&mut self) -> u16 {
        let at = self.at;
        let id = self.number();
        match id {
            Some(0) => self.found.add(&ID_ZERO, at, ""),
            Some(_) => {}
            None => self.missing(&ID_MISSING),
        }
        id.unwrap_or(0)
    }

    /// A field behind its two length bytes; `None` where the packet ends before or within it.
    fn prefixed(&mut self, missing: Option<&Rule>, cut: &Rule, name: &str) -> Option<&'a [u8]> {
        let at = self.at;
        if self.left() == 0 {
            if let Some(rule) = missing {
                self.missing(rule);
            }
            return None;
        }
        let field = self.number().and_then(|len| self.take(usize::from(len)));
        if field.is_none() {
            if !self.lost {
                self.found.add(cut, at, name);
            }
            self.lost = true;
            self.at = self.bytes.len();
        }
        field
    }

    fn binary(&mut self, missing: &Rule, cut: &Rule) -> Vec<u8> {
        self.prefixed(Some(missing), cut, "").unwrap_or_default().to_vec()
    }

    fn string(&mut self, field: &Field, missing: Option<&Rule>) -> Option<Text> {
        let bytes = self.prefixed(missing, &STRING_CUT, field.name)?;
        check_string(field, self.at - bytes.len(), bytes, &mut self.found);
        Some(Text(bytes.to_vec()))
    }
}

/// Every rule for the content of a string that stands at `start`.
fn check_string(field: &Field, start: usize, bytes: &[u8], found: &mut Found) {
    let mut tell = |rule: &Rule, at: Option<usize>| {
        if let Some(at) = at {
            found.add(rule, start + at, format_args!("{} \"{}\"", field.name, shown(bytes)));
        }
    };
    tell(&field.utf8, std::str::from_utf8(bytes).err().map(|e| e.valid_up_to()));
    tell(&DISCOURAGED, discouraged(bytes));
    let nul = bytes.iter().position(|&b| b == 0);
    match &field.syntax {
        Syntax::Free => tell(&NUL, nul),
        Syntax::Name(wildcard) => {
            tell(&NUL_IN_TOPIC, nul);
            tell(wildcard, topic::wildcard(bytes));
        }
        Syntax::Filter => {
            tell(&NUL_IN_TOPIC, nul);
            tell(&FILTER_HASH, topic::misplaced_hash(bytes));
            tell(&FILTER_PLUS, topic::misplaced_plus(bytes));
        }
    }
    if bytes.is_empty() && !matches!(field.syntax, Syntax::Free) {
        found.add(&TOPIC_EMPTY, start, field.name);
    }
}

/// The first character that 1.5.3 advises against: U+0001 to U+001F, U+007F to U+009F, or a non-character.
fn discouraged(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        let bad = |c: char| (c.is_control() && c != '\0') || is_non_character(c);
        if let Some(inside) = chunk.valid().find(bad) {
            return Some(at + inside);
        }
        at += chunk.valid().len() + chunk.invalid().len();
    }
    None
}

fn is_non_character(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// Bytes for a person, shortened.
fn shown(bytes: &[u8]) -> String {
    text::shortened(bytes, 60)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use rstest::rstest;

    use super::super::encode::{encode, remaining_length};
    use super::super::frame::{Frame, Framer};
    use super::*;

    /// A packet with the length that its body has.
    fn packet(first: u8, body: &[u8]) -> Vec<u8> {
        let mut raw = vec![first];
        remaining_length(&mut raw, body.len());
        raw.extend(body);
        raw
    }

    /// A CONNECT with these flags and this payload.
    fn connect_with(flags: u8, payload: &[u8]) -> Vec<u8> {
        packet(0x10, &[b"\0\x04MQTT\x04", &[flags][..], b"\0\x3c", payload].concat())
    }

    /// Clauses and offsets, in order.
    fn findings(raw: &[u8]) -> Vec<(&'static str, usize)> {
        decode(raw).violations.iter().map(|v| (v.clause, v.offset)).collect()
    }

    /// Name, bytes, clauses and offsets.
    type BrokenPacket = (&'static str, Vec<u8>, Vec<(&'static str, usize)>);

    /// One packet or more for every rule, each with exactly what it breaks (the `MQTT-` left out) and where.
    #[rustfmt::skip] // one case a line
    fn broken_packets() -> Vec<BrokenPacket> {
        let mut nothing_but_filters = b"\0\x01".to_vec();
        nothing_but_filters.extend(b"\0\x01a\x03".repeat(40));
        vec![
            // Fixed header.
            ("nothing", b"".to_vec(), vec![("2.2", 0)]),
            ("type only", b"\xc0".to_vec(), vec![("2.2.3", 1)]),
            ("length cut", b"\x10\x80\x80".to_vec(), vec![("2.2.3", 3)]),
            ("length endless", b"\x30\x80\x80\x80\x80\x01".to_vec(), vec![("2.2.3", 1)]),
            ("length not minimal", b"\xc0\x80\0".to_vec(), vec![("2.2.3", 1)]),
            ("length not minimal, publish", b"\x30\x83\x80\0\0\x01t".to_vec(), vec![("2.2.3", 1)]),
            ("packet cut", b"\x32\x0a\0\x01t\0\x01".to_vec(), vec![("2.2.3", 7)]),
            ("packet cut in a string", b"\x32\x0a\0\x08t".to_vec(), vec![("2.2.3", 5)]),
            ("packet cut, faults before it", b"\x3a\x0a\0\x01+\0".to_vec(), vec![("3.3.2-2", 4), ("4.7.1-1", 4), ("2.2.3", 6)]),
            ("connect cut", b"\x10\x20\0\x04MQTT".to_vec(), vec![("2.2.3", 8)]),
            ("subscribe cut", b"\x82\x06\0\x01".to_vec(), vec![("2.2.3", 4)]),
            ("puback cut", b"\x40\x02\x01".to_vec(), vec![("2.2.3", 3)]),
            ("packet long", b"\x40\x02\0\x01\0".to_vec(), vec![("2.2.3", 4)]),
            ("type 0", b"\0\0".to_vec(), vec![("2.2.1", 0)]),
            ("type 15", b"\xf3\x01a".to_vec(), vec![("2.2.1", 0)]),
            ("flags of connect", { let mut raw = connect_with(2, b"\0\0"); raw[0] = 0x11; raw }, vec![("2.2.2-1", 0)]),
            ("flags of connack", b"\x21\x02\0\0".to_vec(), vec![("2.2.2-1", 0)]),
            ("flags of puback", b"\x42\x02\0\x01".to_vec(), vec![("2.2.2-1", 0)]),
            ("flags of pubrec", b"\x58\x02\0\x01".to_vec(), vec![("2.2.2-1", 0)]),
            ("flags of pubrel", b"\x60\x02\0\x01".to_vec(), vec![("2.2.2-1", 0), ("3.6.1-1", 0)]),
            ("flags of pubcomp", b"\x72\x02\0\x01".to_vec(), vec![("2.2.2-1", 0)]),
            ("flags of subscribe", b"\x80\x06\0\x01\0\x01a\0".to_vec(), vec![("2.2.2-1", 0), ("3.8.1-1", 0)]),
            ("flags of suback", b"\x92\x03\0\x01\0".to_vec(), vec![("2.2.2-1", 0)]),
            ("flags of unsubscribe", b"\xa3\x05\0\x01\0\x01a".to_vec(), vec![("2.2.2-1", 0), ("3.10.1-1", 0)]),
            ("flags of unsuback", b"\xb2\x02\0\x01".to_vec(), vec![("2.2.2-1", 0)]),
            ("flags of pingreq", b"\xc1\0".to_vec(), vec![("2.2.2-1", 0)]),
            ("flags of pingresp", b"\xd4\0".to_vec(), vec![("2.2.2-1", 0)]),
            ("flags of disconnect", b"\xe1\0".to_vec(), vec![("2.2.2-1", 0), ("3.14.1-1", 0)]),
            // Packets of one size.
            ("connack short", b"\x20\x01\0".to_vec(), vec![("3.2.1", 3)]),
            ("connack long", b"\x20\x03\0\0\0".to_vec(), vec![("3.2.1", 4)]),
            ("puback empty", b"\x40\0".to_vec(), vec![("3.4.1", 2)]),
            ("pubrec short", b"\x50\x01\0".to_vec(), vec![("3.5.1", 3)]),
            ("pubrel long", b"\x62\x03\0\x01\0".to_vec(), vec![("3.6.1", 4)]),
            ("pubcomp long", b"\x70\x04\0\x01\0\0".to_vec(), vec![("3.7.1", 4)]),
            ("unsuback long", b"\xb0\x03\0\x01\0".to_vec(), vec![("3.11.1", 4)]),
            ("pingreq body", b"\xc0\x01\0".to_vec(), vec![("3.12.1", 2)]),
            ("pingresp body", b"\xd0\x01\0".to_vec(), vec![("3.13.1", 2)]),
            ("disconnect body", b"\xe0\x02\0\0".to_vec(), vec![("3.14.1", 2)]),
            // Packet identifiers.
            ("publish without id", packet(0x32, b"\0\x01t"), vec![("2.3.1-1", 5)]),
            ("publish with half an id", packet(0x34, b"\0\x01t\0"), vec![("2.3.1-1", 5)]),
            ("publish id 0", packet(0x32, b"\0\x01t\0\0x"), vec![("2.3.1-1", 5)]),
            ("subscribe id 0", packet(0x82, b"\0\0\0\x01a\0"), vec![("2.3.1-1", 2)]),
            ("unsubscribe id 0", packet(0xa2, b"\0\0\0\x01a"), vec![("2.3.1-1", 2)]),
            ("puback id 0", packet(0x40, b"\0\0"), vec![("2.3.1", 2)]),
            ("pubrec id 0", packet(0x50, b"\0\0"), vec![("2.3.1", 2)]),
            ("pubrel id 0", packet(0x62, b"\0\0"), vec![("2.3.1", 2)]),
            ("pubcomp id 0", packet(0x70, b"\0\0"), vec![("2.3.1", 2)]),
            ("suback id 0", packet(0x90, b"\0\0\0"), vec![("2.3.1", 2)]),
            ("unsuback id 0", packet(0xb0, b"\0\0"), vec![("2.3.1", 2)]),
            // Strings.
            ("topic cut", packet(0x30, b"\0\x03ab"), vec![("1.5.3", 2)]),
            ("topic length cut", packet(0x30, b"\0"), vec![("1.5.3", 2)]),
            ("topic cut hides the id", packet(0x32, b"\0\x03ab"), vec![("1.5.3", 2)]),
            ("filter cut", packet(0x82, b"\0\x01\0\x05ab"), vec![("1.5.3", 4)]),
            ("second filter cut", packet(0xa2, b"\0\x01\0\x01a\0"), vec![("1.5.3", 7)]),
            ("protocol name cut", packet(0x10, b"\0\x09MQTT"), vec![("1.5.3", 2)]),
            ("client id cut hides the rest", connect_with(0xc6, b"\0\x09c"), vec![("1.5.3", 12)]),
            ("bad UTF-8 in protocol name", packet(0x10, b"\0\x04MQT\xff\x04\x02\0\0\0\0"), vec![("3.1.2-1", 2), ("1.5.3-1", 7)]),
            ("bad UTF-8 in client id", connect_with(2, b"\0\x02a\xff"), vec![("1.5.3-1", 15), ("3.1.3-4", 15)]),
            ("bad UTF-8 in will topic", connect_with(6, b"\0\0\0\x01\x80\0\0"), vec![("1.5.3-1", 16), ("3.1.3-10", 16)]),
            ("bad UTF-8 in user name", connect_with(0x82, b"\0\0\0\x01\xc0"), vec![("1.5.3-1", 16), ("3.1.3-11", 16)]),
            ("bad UTF-8 in topic", packet(0x30, b"\0\x02t\xfe"), vec![("1.5.3-1", 5), ("3.3.2-1", 5)]),
            ("surrogate in topic", packet(0x30, b"\0\x03\xed\xa0\x80"), vec![("1.5.3-1", 4), ("3.3.2-1", 4)]),
            ("overlong slash in topic", packet(0x30, b"\0\x02\xc0\xaf"), vec![("1.5.3-1", 4), ("3.3.2-1", 4)]),
            ("bad UTF-8 in subscribe", packet(0x82, b"\0\x01\0\x01\xff\0"), vec![("1.5.3-1", 6), ("3.8.3-1", 6)]),
            ("bad UTF-8 in unsubscribe", packet(0xa2, b"\0\x01\0\x01\xff"), vec![("1.5.3-1", 6), ("3.10.3-1", 6)]),
            ("U+0000 in client id", connect_with(2, b"\0\x02a\0"), vec![("1.5.3-2", 15)]),
            ("U+0000 in user name", connect_with(0x82, b"\0\0\0\x01\0"), vec![("1.5.3-2", 16)]),
            ("U+0000 in topic", packet(0x30, b"\0\x02t\0"), vec![("1.5.3-2", 5), ("4.7.3-2", 5)]),
            ("U+0000 in will topic", connect_with(6, b"\0\0\0\x01\0\0\0"), vec![("1.5.3-2", 16), ("4.7.3-2", 16)]),
            ("U+0000 in filter", packet(0x82, b"\0\x01\0\x01\0\0"), vec![("1.5.3-2", 6), ("4.7.3-2", 6)]),
            ("U+0000 and bad UTF-8", packet(0x30, b"\0\x02\xff\0"), vec![("1.5.3-1", 4), ("3.3.2-1", 4), ("1.5.3-2", 5), ("4.7.3-2", 5)]),
            ("control character", packet(0x30, b"\0\x02a\x01"), vec![("1.5.3", 5)]),
            ("U+007F", packet(0x30, b"\0\x01\x7f"), vec![("1.5.3", 4)]),
            ("U+009F", packet(0x30, b"\0\x02\xc2\x9f"), vec![("1.5.3", 4)]),
            ("U+FFFF", packet(0x30, b"\0\x03\xef\xbf\xbf"), vec![("1.5.3", 4)]),
            ("U+FDD0", packet(0x30, b"\0\x03\xef\xb7\x90"), vec![("1.5.3", 4)]),
            ("U+10FFFE", packet(0x30, b"\0\x04\xf4\x8f\xbf\xbe"), vec![("1.5.3", 4)]),
            ("control after bad UTF-8", packet(0x30, b"\0\x03\xffa\x1f"), vec![("1.5.3-1", 4), ("3.3.2-1", 4), ("1.5.3", 6)]),
            ("empty topic", packet(0x30, b"\0\0x"), vec![("4.7.3-1", 4)]),
            ("empty will topic", connect_with(6, b"\0\0\0\0\0\0"), vec![("4.7.3-1", 16)]),
            ("empty subscribe filter", packet(0x82, b"\0\x01\0\0\0"), vec![("4.7.3-1", 6)]),
            ("empty unsubscribe filter", packet(0xa2, b"\0\x01\0\0"), vec![("4.7.3-1", 6)]),
            ("wildcard in topic", packet(0x30, b"\0\x03a/+"), vec![("3.3.2-2", 6), ("4.7.1-1", 6)]),
            ("hash in topic", packet(0x30, b"\0\x01#"), vec![("3.3.2-2", 4), ("4.7.1-1", 4)]),
            ("wildcard in will topic", connect_with(6, b"\0\0\0\x01#\0\0"), vec![("4.7.1-1", 16)]),
            ("a#", packet(0x82, b"\0\x01\0\x02a#\0"), vec![("4.7.1-2", 7)]),
            ("#/b", packet(0xa2, b"\0\x01\0\x03#/b"), vec![("4.7.1-2", 6)]),
            ("a+", packet(0x82, b"\0\x01\0\x02a+\0"), vec![("4.7.1-3", 7)]),
            ("+#", packet(0xa2, b"\0\x01\0\x02+#"), vec![("4.7.1-3", 6), ("4.7.1-2", 7)]),
            // CONNECT.
            ("connect empty", packet(0x10, b""), vec![("3.1.2", 2)]),
            ("connect without flags", packet(0x10, b"\0\x04MQTT\x04"), vec![("3.1.2", 9)]),
            ("connect with half a keep alive", packet(0x10, b"\0\x04MQTT\x04\x03\0"), vec![("3.1.2-3", 9), ("3.1.2", 10)]),
            ("MQTT 3.1", packet(0x10, b"\0\x06MQIsdp\x03\x02\0\0\0\x01c"), vec![("3.1.2-1", 2), ("3.1.2-2", 10)]),
            ("other protocol name", packet(0x10, b"\0\x04mqtt\x04\x02\0\0\0\0"), vec![("3.1.2-1", 2)]),
            ("protocol level 6", packet(0x10, b"\0\x04MQTT\x06\x02\0\0\0\0"), vec![("3.1.2-2", 8)]),
            ("MQTT 5", packet(0x10, b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\x0a\0\x01c"), vec![("3.1.2-2", 8)]),
            ("reserved connect flag", connect_with(3, b"\0\0"), vec![("3.1.2-3", 9)]),
            ("will QoS without will", connect_with(0x0a, b"\0\0"), vec![("3.1.2-11", 9), ("3.1.2-13", 9)]),
            ("will QoS 3 without will", connect_with(0x1a, b"\0\0"), vec![("3.1.2-11", 9), ("3.1.2-13", 9)]),
            ("will retain without will", connect_with(0x22, b"\0\0"), vec![("3.1.2-11", 9), ("3.1.2-15", 9)]),
            ("will QoS 3", connect_with(0x1e, b"\0\0\0\x01w\0\0"), vec![("3.1.2-14", 9)]),
            ("password without user name", connect_with(0x42, b"\0\0\0\x01p"), vec![("3.1.2-22", 9)]),
            ("no client id", connect_with(2, b""), vec![("3.1.3-3", 12)]),
            ("no payload for three flags", connect_with(0xc6, b""), vec![("3.1.3-3", 12), ("3.1.2-9", 12), ("3.1.2-19", 12), ("3.1.2-21", 12)]),
            ("empty client id, clean session 0", connect_with(0, b"\0\0"), vec![("3.1.3-7", 12)]),
            ("no will", connect_with(6, b"\0\0"), vec![("3.1.2-9", 14)]),
            ("no will message", connect_with(6, b"\0\0\0\x01w"), vec![("3.1.2-9", 17)]),
            ("no user name", connect_with(0x82, b"\0\0"), vec![("3.1.2-19", 14)]),
            ("no password", connect_with(0xc2, b"\0\0\0\x01u"), vec![("3.1.2-21", 17)]),
            ("will message cut", connect_with(6, b"\0\0\0\x01w\0\x02m"), vec![("3.1.3.3", 17)]),
            ("password cut", connect_with(0xc2, b"\0\0\0\x01u\0\x09p"), vec![("3.1.3.5", 17)]),
            ("user name not announced", connect_with(2, b"\0\0\0\x01u"), vec![("3.1.2-18", 14)]),
            ("login not announced", connect_with(2, b"\0\0\0\x01u\0\x01p"), vec![("3.1.2-18", 14), ("3.1.2-20", 14)]),
            ("password not announced", connect_with(0x82, b"\0\0\0\x01u\0\x01p"), vec![("3.1.2-20", 17)]),
            ("will not announced, login is", connect_with(0xc2, b"\0\0\0\x01w\0\x01m\0\x01u\0\x01p"), vec![("3.1.2-11", 20)]),
            ("nothing announced", connect_with(2, b"\0\0\0\x01w\0\x01m\0\x01u\0\x01p"), vec![("3.1.2-11", 14), ("3.1.2-18", 14), ("3.1.2-20", 14)]),
            ("five surplus fields", connect_with(2, &[0; 12]), vec![("3.1.3", 14)]),
            ("one surplus field, all announced", connect_with(0xc6, b"\0\0\0\x01w\0\0\0\0\0\0\0\0"), vec![("3.1.3", 23)]),
            ("one surplus field, login announced", connect_with(0xc2, b"\0\0\0\0\0\0\0\0"), vec![("3.1.3", 18)]),
            ("surplus without shape", connect_with(2, b"\0\0\0"), vec![("3.1.3", 14)]),
            // CONNACK.
            ("connack reserved flags", packet(0x20, b"\x80\0"), vec![("3.2.2.1", 2)]),
            ("connack refusal with session", packet(0x20, b"\x01\x05"), vec![("3.2.2-4", 2)]),
            ("connack code 6", packet(0x20, b"\0\x06"), vec![("3.2.2.3", 3)]),
            // PUBLISH.
            ("publish QoS 3", packet(0x36, b"\0\x01t\0\x01"), vec![("3.3.1-4", 0)]),
            ("publish DUP at QoS 0", packet(0x38, b"\0\x01t"), vec![("3.3.1-2", 0), ("4.3.1-1", 0)]),
            ("publish empty", packet(0x30, b""), vec![("3.3.2-1", 2)]),
            ("publish empty at QoS 1", packet(0x32, b""), vec![("3.3.2-1", 2), ("2.3.1-1", 2)]),
            // SUBSCRIBE, SUBACK, UNSUBSCRIBE.
            ("subscribe empty", packet(0x82, b""), vec![("2.3.1-1", 2), ("3.8.3-3", 2)]),
            ("subscribe with half an id", packet(0x82, b"\0"), vec![("2.3.1-1", 2)]),
            ("subscribe without filter", packet(0x82, b"\0\x01"), vec![("3.8.3-3", 4)]),
            ("subscribe without QoS", packet(0x82, b"\0\x01\0\x01a"), vec![("3.8.3", 7), ("3.8.3-3", 7)]),
            ("subscribe without second QoS", packet(0x82, b"\0\x01\0\x01a\0\0\x01b"), vec![("3.8.3", 11)]),
            ("subscribe QoS 3", packet(0x82, b"\0\x01\0\x01a\x03"), vec![("3-8.3-4", 7)]),
            ("subscribe reserved bits", packet(0x82, b"\0\x01\0\x01a\x81"), vec![("3-8.3-4", 7)]),
            ("the same forty times", packet(0x82, &nothing_but_filters), (0..REPEATS).map(|n| ("3-8.3-4", 8 + 4 * n)).collect()),
            ("suback empty", packet(0x90, b""), vec![("3.9.2", 2), ("3.9.3", 2)]),
            ("suback without code", packet(0x90, b"\0\x01"), vec![("3.9.3", 4)]),
            ("suback code 3", packet(0x90, b"\0\x01\0\x03"), vec![("3.9.3-2", 5)]),
            ("suback code 0x81", packet(0x90, b"\0\x01\x81"), vec![("3.9.3-2", 4)]),
            ("unsubscribe empty", packet(0xa2, b""), vec![("2.3.1-1", 2), ("3.10.3-2", 2)]),
            ("unsubscribe without filter", packet(0xa2, b"\0\x01"), vec![("3.10.3-2", 4)]),
        ]
    }

    #[test]
    fn broken_packets_break_exactly_this() {
        let mut wrong = Vec::new();
        for (name, raw, expected) in broken_packets() {
            let violations = decode(&raw).violations;
            let found: Vec<_> = violations.iter().map(|v| (&v.clause["MQTT-".len()..], v.offset)).collect();
            if found != expected {
                wrong.push((name, expected, violations));
            }
        }
        assert!(wrong.is_empty(), "name, expected, found: {wrong:#?}");
    }

    #[test]
    fn every_rule_has_a_broken_packet() {
        let packets: Vec<Packet> = broken_packets().iter().map(|(_, raw, _)| decode(raw)).collect();
        for rule in ALL_RULES {
            for &clause in rule.clauses {
                let told = |v: &Violation| {
                    v.clause == clause && v.level == rule.level && v.what.starts_with(rule.meaning)
                };
                assert!(packets.iter().any(|p| p.violations.iter().any(told)), "{clause}: {}", rule.meaning);
            }
        }
        let meanings: BTreeSet<&str> = ALL_RULES.iter().map(|rule| rule.meaning).collect();
        assert_eq!(meanings.len(), ALL_RULES.len(), "a person must be able to tell the rules apart");
    }

    #[test]
    fn only_two_rules_do_not_bind() {
        let lax = |raw: &[u8]| decode(raw).worst(Level::Info).map(|v| v.level);
        assert_eq!(lax(b"\xc0\x80\0"), Some(Level::Should));
        assert_eq!(lax(&packet(0x30, b"\0\x01\x01")), Some(Level::Info));
        assert_eq!(ALL_RULES.iter().filter(|rule| rule.level < Level::Must).count(), 2);
    }

    #[rstest]
    #[case::all_fields(&connect_with(0xee, b"\0\x01c\0\x01w\0\x01\xff\0\x01u\0\x02\0\xff"))]
    #[case::empty_user_name(&connect_with(0x82, b"\0\0\0\0"))]
    #[case::bom_in_the_topic(&packet(0x30, b"\0\x04\xef\xbb\xbft"))]
    #[case::spaces_and_dollar(&packet(0x30, b"\0\x03$ /"))]
    #[case::empty_payload_and_retain(&packet(0x3d, b"\0\x01t\xff\xff"))]
    #[case::all_wildcards(&packet(0x82, b"\0\x01\0\x01#\0\0\x05+/a/+\x01\0\x02/#\x02"))]
    #[case::all_granted(&packet(0x90, b"\0\x01\0\x01\x02\x80"))]
    #[case::session_present(&packet(0x20, b"\x01\0"))]
    fn valid_packets(#[case] raw: &[u8]) {
        assert_eq!(findings(raw), []);
        assert_eq!(encode(&decode(raw).body), raw);
    }

    #[test]
    fn fields_of_bad_packets_stay_readable() {
        let packet = decode(&connect_with(0xfe, b"\0\x01c\0\x01w"));
        let connect = packet.as_connect().unwrap();
        assert_eq!((connect.client_id.as_bytes(), connect.keep_alive), (&b"c"[..], 60));
        let will = Will { topic: "w".into(), message: vec![], qos: 3, retain: true };
        assert_eq!(connect.will, Some(will));
        assert_eq!((&connect.username, &connect.password), (&Some(Text::default()), &Some(vec![])));

        let packet = decode(b"\x3d\x09\0\x01t\0");
        let publish = packet.as_publish().unwrap();
        assert_eq!(
            (publish.topic.as_bytes(), publish.qos, publish.dup, publish.retain),
            (&b"t"[..], 2, true, true)
        );

        let packet = decode(b"\x82\x08\0\x07\0\x01a\x83\0\x09");
        assert_eq!(packet.body, Body::Subscribe(Subscribe { id: 7, filters: vec![("a".into(), 0x83)] }));
    }

    #[test]
    fn violations_tell_particulars() {
        let what = |raw: &[u8]| decode(raw).violations[0].what.clone();
        assert_eq!(what(&packet(0x30, b"\0\x03a/+")), "wildcard in the topic name: topic name \"a/+\"");
        assert_eq!(what(b"\x60\x02\0\x01"), "reserved flags of PUBREL: 0000 instead of 0010");
        assert_eq!(what(b"\x40\x03\0\x01\0"), "PUBACK has a Remaining Length of 2: 3 B");
        let long = packet(0x30, &[b"\x7f\xff", "#".repeat(0x7fff).as_bytes()].concat());
        assert!(what(&long).len() < 200);
    }

    /// Text without wildcards, U+0000 and what 1.5.3 advises against.
    fn level() -> impl Strategy<Value = String> {
        let char = prop_oneof![3 => proptest::char::range(' ', '~'), 1 => any::<char>()];
        let fine = |c: &char| !matches!(c, '+' | '#' | '/') && !c.is_control() && !is_non_character(*c);
        vec(char.prop_filter("discouraged", fine), 0..6).prop_map(|chars| chars.into_iter().collect())
    }

    fn joined(levels: &[String]) -> Text {
        let joined = levels.join("/");
        Text::from(if joined.is_empty() { "/" } else { joined.as_str() })
    }

    fn name() -> impl Strategy<Value = Text> {
        vec(level(), 1..4).prop_map(|levels| joined(&levels))
    }

    fn filter() -> impl Strategy<Value = Text> {
        let levels = vec(prop_oneof![3 => level(), 1 => Just("+".to_owned())], 0..4);
        (levels, any::<bool>()).prop_map(|(mut levels, all)| {
            if all {
                levels.push("#".to_owned());
            }
            joined(&levels)
        })
    }

    fn binary() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![9 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 120..300)]
    }

    fn connect_body() -> impl Strategy<Value = Connect> {
        let will = (name(), binary(), 0..3_u8, any::<bool>())
            .prop_map(|(topic, message, qos, retain)| Will { topic, message, qos, retain });
        let login = (level(), proptest::option::of(binary()));
        let parts =
            (any::<bool>(), any::<u16>(), level(), proptest::option::of(will), proptest::option::of(login));
        parts.prop_map(|(clean, keep_alive, id, will, login)| {
            let mut flags = u8::from(clean || id.is_empty()) << 1;
            if let Some(will) = &will {
                flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
            }
            let (username, password) = login.unzip();
            let password = password.flatten();
            flags |= u8::from(username.is_some()) << 7 | u8::from(password.is_some()) << 6;
            Connect {
                protocol: "MQTT".into(),
                level: 4,
                flags,
                keep_alive,
                client_id: id.as_str().into(),
                will,
                username: username.map(|name| name.as_str().into()),
                password,
            }
        })
    }

    fn publish_body() -> impl Strategy<Value = Publish> {
        (any::<bool>(), 0..3_u8, any::<bool>(), name(), 1..=u16::MAX, binary()).prop_map(
            |(dup, qos, retain, topic, id, payload)| {
                let id = (qos > 0).then_some(id);
                Publish { dup: dup && qos > 0, qos, retain, topic, id, payload }
            },
        )
    }

    /// Well-formed packets of all fourteen types.
    fn body() -> impl Strategy<Value = Body> {
        let id = || 1..=u16::MAX;
        let ack = move || id().prop_map(|id| Ack { id });
        let connack = prop_oneof![
            any::<bool>().prop_map(|present| ConnAck { flags: u8::from(present), code: 0 }),
            (1..=5_u8).prop_map(|code| ConnAck { flags: 0, code }),
        ];
        let codes = vec(prop_oneof![0..3_u8, Just(0x80)], 1..5);
        prop_oneof![
            3 => connect_body().prop_map(Body::Connect),
            1 => connack.prop_map(Body::ConnAck),
            3 => publish_body().prop_map(Body::Publish),
            1 => ack().prop_map(Body::PubAck),
            1 => ack().prop_map(Body::PubRec),
            1 => ack().prop_map(Body::PubRel),
            1 => ack().prop_map(Body::PubComp),
            2 => (id(), vec((filter(), 0..3_u8), 1..4)).prop_map(|(id, filters)| Body::Subscribe(Subscribe { id, filters })),
            1 => (id(), codes).prop_map(|(id, codes)| Body::SubAck(SubAck { id, codes })),
            2 => (id(), vec(filter(), 1..4)).prop_map(|(id, filters)| Body::Unsubscribe(Unsubscribe { id, filters })),
            1 => ack().prop_map(Body::UnsubAck),
            1 => Just(Body::PingReq),
            1 => Just(Body::PingResp),
            1 => Just(Body::Disconnect),
        ]
    }

    /// Well-formed packets with a few bytes changed, put in or taken out.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let damage = (0..4_u8, any::<Index>(), any::<u8>());
        (body(), vec(damage, 1..4)).prop_map(|(body, damage)| {
            let mut raw = encode(&body);
            for (kind, at, byte) in damage {
                let at = at.index(raw.len() + 1);
                match kind {
                    0 => raw.insert(at, byte),
                    1 => raw.truncate(at),
                    // A single bit, else flags are rarely nearly right.
                    2 if at < raw.len() => raw[at] ^= 1 << (byte & 7),
                    3 if at < raw.len() => raw[at] = byte,
                    _ => {}
                }
            }
            raw
        })
    }

    /// What mqtt-proto writes after reading the packet; `None` where it refuses it.
    fn second_opinion(raw: &[u8]) -> Option<Vec<u8>> {
        let packet = mqtt_proto::v3::Packet::decode(raw).ok()??;
        let mut again = packet.encode().ok()?.as_ref().to_vec();
        if let mqtt_proto::v3::Packet::Suback(ack) = packet {
            // It reads the return code 0x80 and writes it as 3.
            let codes = again.len() - ack.topics.len();
            again[codes..].iter_mut().filter(|code| **code == 3).for_each(|code| *code = 0x80);
        }
        Some(again)
    }

    /// mqtt-proto takes shared subscriptions of MQTT 5 for their own syntax.
    fn is_shared(packet: &Packet) -> bool {
        let shared = |filter: &Text| filter.as_bytes().starts_with(b"$share/");
        match &packet.body {
            Body::Subscribe(s) => s.filters.iter().any(|(filter, _)| shared(filter)),
            Body::Unsubscribe(u) => u.filters.iter().any(shared),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet(raw in vec(any::<u8>(), 0..300)) {
            let packet = decode(&raw);
            prop_assert!(packet.violations.is_sorted_by_key(|v| v.offset));
            prop_assert!(packet.violations.iter().all(|v| v.offset <= raw.len() && v.clause.starts_with("MQTT-")));
            prop_assert_eq!(packet.raw, raw);
        }

        #[test]
        fn well_formed_packets_have_no_violations(body in body()) {
            let raw = encode(&body);
            let packet = decode(&raw);
            prop_assert_eq!(&packet.violations, &[]);
            prop_assert_eq!(&packet.body, &body);
            prop_assert_eq!(packet.kind, PacketType::of(raw[0]));
            prop_assert_eq!(second_opinion(&raw), Some(raw.clone()));

            let mut framer = Framer::new(raw.len());
            framer.push(&raw);
            prop_assert_eq!(framer.next_frame(), Some(Frame::Packet(raw)));
            prop_assert!(framer.pending().is_empty());
        }

        #[test]
        fn what_passes_means_the_same_to_others(raw in damaged()) {
            let packet = decode(&raw);
            prop_assert!(packet.violations.iter().all(|v| v.offset <= raw.len()));
            prop_assert_eq!(&packet.raw, &raw);
            if packet.worst(Level::Should).is_none() {
                prop_assert_eq!(&encode(&packet.body), &raw, "{:?}", packet);
                if !is_shared(&packet) {
                    prop_assert_eq!(second_opinion(&raw), Some(raw), "{:?}", packet);
                }
            }
        }
    }
}
