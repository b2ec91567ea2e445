//! How a message travels through a broker of the user's: under a level of this tap's own, and with its QoS and number.
//!
//! A broker may share its topics with others, refuse control characters, keep `$` to itself, deliver one copy for each of
//! two overlapping filters, and it forgets with which QoS a message was published. On the way back everything is as it was.
//! Both are kept readable, so that somebody who watches the broker sees what goes on: `Text%20of/a%FFtopic` and
//! `1 42 payload`.

use atspec_model::{mqtt::topic, partner::RoutedMessage};

/// The longest topic of MQTT.
const MAX_TOPIC: usize = u16::MAX as usize;

/// A topic or filter below the tap's own level; `None` where it is too long then.
pub(super) fn wrap(prefix: &str, topic: &[u8]) -> Option<Vec<u8>> {
    let mut path = prefix.as_bytes().to_vec();
    for level in topic.split(|&byte| byte == b'/') {
        path.push(b'/');
        match level {
            b"+" | b"#" => path.extend(level),
            _ => level.iter().for_each(|&byte| write(&mut path, byte)),
        }
    }
    (path.len() <= MAX_TOPIC).then_some(path)
}

/// A byte as it is, where every broker takes it.
fn write(path: &mut Vec<u8>, byte: u8) {
    match byte {
        b'%' | b'+' | b'#' | b'$' | ..=b' ' | 0x7f.. => path.extend(format!("%{byte:02X}").into_bytes()),
        _ => path.push(byte),
    }
}

/// The topic again; `None` where it is not one of this tap's.
pub(super) fn restore(prefix: &str, path: &[u8]) -> Option<Vec<u8>> {
    let mut rest = path.strip_prefix(prefix.as_bytes())?.strip_prefix(b"/")?;
    let mut topic = Vec::with_capacity(rest.len());
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        if byte != b'%' {
            topic.push(byte);
            continue;
        }
        let (digits, more) = rest.split_first_chunk::<2>()?;
        topic.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = more;
    }
    topic::valid_name(&topic).then_some(topic)
}

/// A payload with the QoS and the number of its message in front.
pub(super) fn seal(payload: &[u8], qos: u8, number: u64) -> Vec<u8> {
    let mut sealed = format!("{qos} {number} ").into_bytes();
    sealed.extend(payload);
    sealed
}

/// Number and message of what was sealed; `None` where it is none of ours.
pub(super) fn unseal(topic: Vec<u8>, sealed: &[u8], retained: bool) -> Option<(u64, RoutedMessage)> {
    let mut parts = sealed.splitn(3, |&byte| byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let (qos, number) = (u8::try_from(number()?).ok().filter(|qos| *qos <= 2)?, number()?);
    let payload = parts.next()?.to_vec();
    Some((number, RoutedMessage { topic, payload, qos, retained }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test panics to fail")]

    use super::*;

    #[test]
    fn topics_come_back_as_they_were() {
        for topic in ["a", "/", "a//b", "$SYS/x", "温度/\u{1}", "100%/a b", "\u{ffff}", "a+b", "%41"] {
            let path = wrap("p", topic.as_bytes()).unwrap();
            assert!(path.iter().all(u8::is_ascii_graphic), "{path:?}");
            let back = restore("p", &path);
            // Where no topic is valid, none comes back.
            assert_eq!(back.as_deref(), Some(topic.as_bytes()).filter(|t| topic::valid_name(t)), "{topic}");
        }
        assert_eq!(restore("p", b"q/a"), None);
        assert_eq!(restore("p", b"p/%4"), None);
        assert_eq!(restore("p", b"p/%zz"), None);
        assert_eq!(wrap("p", &vec![b'x'; MAX_TOPIC]), None);
    }

    #[test]
    fn wildcards_stay_what_they_are() {
        assert_eq!(wrap("p", b"+/a/#").unwrap(), b"p/+/a/#");
        assert_eq!(wrap("p", b"$SYS/+").unwrap(), b"p/%24SYS/+");
    }

    #[test]
    fn messages_come_back_as_they_were() {
        for payload in [b"".as_slice(), b" ", b"1 2 3", b"\0\xff"] {
            let expected =
                RoutedMessage { topic: b"t".to_vec(), payload: payload.to_vec(), qos: 2, retained: true };
            assert_eq!(unseal(b"t".to_vec(), &seal(payload, 2, u64::MAX), true), Some((u64::MAX, expected)));
        }
        for foreign in [b"".as_slice(), b"1 ", b"1 2", b"3 1 x", b"x y z", b"hello"] {
            assert_eq!(unseal(b"t".to_vec(), foreign, false), None);
        }
    }
}
