//! The mini-language in which the broken packets are written.
//!
//! ```text
//! 32 0007          bytes in hexadecimal
//! "text"           the bytes of a text
//! s"text"  s(…)    the same behind their length in two bytes
//! s+1"text"        … behind a length that is wrong by so much
//! { … }            the same behind their Remaining Length
//! {-1: … }         … behind a Remaining Length that is wrong by so much
//! 3*00  3*( … )    repeated
//! id               the packet identifier of the request that this answers
//! ```

use std::{iter::Peekable, str::CharIndices};

/// No packet of the file is longer.
const LONGEST: usize = 128 * 1024;

/// How deep groups may lie within each other.
const DEEPEST: usize = 8;

/// Bytes, and where the packet identifier of the answered request belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) raw: Vec<u8>,
    /// Places of its two bytes, which are 0 in `raw`.
    pub(super) ids: Vec<usize>,
}

impl Bytes {
    /// Reads a packet. `Err` is what is wrong and how to mend it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, chars: text.char_indices().peekable(), depth: 0 };
        let bytes = reader.items(None)?;
        if bytes.raw.is_empty() { Err("no bytes: write at least one, `d0`".to_owned()) } else { Ok(bytes) }
    }

    fn append(&mut self, other: &Self) -> Result<(), String> {
        let start = self.raw.len();
        if start + other.raw.len() > LONGEST {
            return Err(format!("more than {LONGEST} bytes: repeat less often"));
        }
        self.raw.extend_from_slice(&other.raw);
        self.ids.extend(other.ids.iter().map(|place| start + place));
        Ok(())
    }

    /// The same behind other bytes.
    fn behind(self, head: Vec<u8>) -> Result<Self, String> {
        let mut whole = Self { raw: head, ids: Vec::new() };
        whole.append(&self)?;
        Ok(whole)
    }
}

struct Reader<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
    depth: usize,
}

impl Reader<'_> {
    /// Items up to a closing bracket, or to the end.
    fn items(&mut self, close: Option<char>) -> Result<Bytes, String> {
        let mut all = Bytes::default();
        loop {
            match self.peek() {
                Some(c) if c.is_ascii_whitespace() => _ = self.chars.next(),
                Some(c) if Some(c) == close => {
                    self.chars.next();
                    return Ok(all);
                }
                None if close.is_none() => return Ok(all),
                None => return Err(format!("`{}` is missing at the end", close.unwrap_or(')'))),
                Some(_) => all.append(&self.item()?)?,
            }
        }
    }

    fn item(&mut self) -> Result<Bytes, String> {
        match self.peek() {
            Some('"') => self.text(),
            Some('(') => self.group('(', ')'),
            Some('{') => self.body(),
            Some('s') => self.string(),
            Some('i') => self.identifier(),
            Some(c) if c.is_ascii_hexdigit() => self.hex_or_repeated(),
            Some(c) => Err(format!("`{c}` begins nothing: see the head of the file for what does")),
            None => Err("something to repeat is missing at the end".to_owned()),
        }
    }

    fn group(&mut self, open: char, close: char) -> Result<Bytes, String> {
        self.expect(open)?;
        self.deeper(close)
    }

    fn deeper(&mut self, close: char) -> Result<Bytes, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("groups lie more than {DEEPEST} deep: write it flatter"));
        }
        let inner = self.items(Some(close));
        self.depth -= 1;
        inner
    }

    fn text(&mut self) -> Result<Bytes, String> {
        self.expect('"')?;
        let start = self.at();
        for (at, c) in self.chars.by_ref() {
            if c == '"' {
                return Ok(Bytes { raw: self.text[start..at].into(), ids: Vec::new() });
            }
        }
        Err("`\"` is missing at the end of a text".to_owned())
    }

    /// `s"…"`, `s+1(…)`.
    fn string(&mut self) -> Result<Bytes, String> {
        self.expect('s')?;
        let wrong = self.difference()?.unwrap_or(0);
        let inner = match self.peek() {
            Some('"') => self.text()?,
            Some('(') => self.group('(', ')')?,
            _ => return Err("`s` stands before a text or a group: `s\"a/b\"`, `s(c0 80)`".to_owned()),
        };
        let length = told(inner.raw.len(), wrong)?;
        let length = u16::try_from(length).map_err(|_| format!("{length} does not fit into two bytes"))?;
        inner.behind(length.to_be_bytes().to_vec())
    }

    /// `{ … }`, `{+1: … }`.
    fn body(&mut self) -> Result<Bytes, String> {
        self.expect('{')?;
        let wrong = self.difference()?;
        if wrong.is_some() {
            self.expect(':')?;
        }
        let inner = self.deeper('}')?;
        let length = told(inner.raw.len(), wrong.unwrap_or(0))?;
        inner.behind(remaining_length(length))
    }

    fn identifier(&mut self) -> Result<Bytes, String> {
        self.expect('i')?;
        self.expect('d')?;
        Ok(Bytes { raw: vec![0; 2], ids: vec![0] })
    }

    fn hex_or_repeated(&mut self) -> Result<Bytes, String> {
        let start = self.at();
        while self.chars.next_if(|(_, c)| c.is_ascii_hexdigit()).is_some() {}
        let word = &self.text[start..self.at()];
        if self.chars.next_if(|(_, c)| *c == '*').is_some() {
            let times = word.parse::<usize>().map_err(|_| format!("`{word}*` is no number of times"))?;
            return self.repeated(times);
        }
        if word.len() % 2 == 1 {
            return Err(format!("`{word}` is half a byte too long or too short: two digits make a byte"));
        }
        let byte = |at: usize| u8::from_str_radix(&word[at..at + 2], 16).unwrap_or_default();
        Ok(Bytes { raw: (0..word.len()).step_by(2).map(byte).collect(), ids: Vec::new() })
    }

    fn repeated(&mut self, times: usize) -> Result<Bytes, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("repetitions lie more than {DEEPEST} deep: write it flatter"));
        }
        let one = self.item()?;
        self.depth -= 1;
        if times > LONGEST || one.raw.len().saturating_mul(times) > LONGEST {
            return Err(format!("more than {LONGEST} bytes: repeat less often"));
        }
        let mut all = Bytes::default();
        (0..times).try_for_each(|_| all.append(&one))?;
        Ok(all)
    }

    /// `+1` or `-1`, where there is one.
    fn difference(&mut self) -> Result<Option<i64>, String> {
        let start = self.at();
        if self.chars.next_if(|(_, c)| matches!(c, '+' | '-')).is_none() {
            return Ok(None);
        }
        while self.chars.next_if(|(_, c)| c.is_ascii_digit()).is_some() {}
        let word = &self.text[start..self.at()];
        word.parse().map(Some).map_err(|_| format!("`{word}` is no difference: write `+1` or `-1`"))
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    /// Offset of the next character.
    fn at(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        let rest = self.at();
        match self.chars.next_if(|(_, c)| *c == wanted) {
            Some(_) => Ok(()),
            None => Err(format!("`{wanted}` is missing before `{}`", &self.text[rest..])),
        }
    }
}

/// A length that is wrong by so much.
fn told(length: usize, wrong: i64) -> Result<usize, String> {
    let told = i64::try_from(length).ok().and_then(|length| length.checked_add(wrong));
    told.and_then(|told| usize::try_from(told).ok()).ok_or(format!("{length}{wrong:+} is no length"))
}

/// The shortest form; what does not fit into four bytes takes a fifth.
fn remaining_length(mut length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let seven = u8::try_from(length & 0x7f).unwrap_or(0x7f);
        length >>= 7;
        out.push(if length > 0 { seven | 0x80 } else { seven });
        if length == 0 {
            return out;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("36 05 0001 74 0007", b"\x36\x05\0\x01t\0\x07")]
    #[case("36{s\"t\" 0007}", b"\x36\x05\0\x01t\0\x07")]
    #[case("30 {s(c080) \"x\"}", b"\x30\x05\0\x02\xc0\x80x")]
    #[case("30 {s+2\"t\"}", b"\x30\x03\0\x03t")]
    #[case("40 {-1: 0007}", b"\x40\x01\0\x07")]
    #[case("40 {+126: 0007}", b"\x40\x80\x01\0\x07")]
    #[case("3*(61 \"b\") 2*2*00", b"ababab\0\0\0\0")]
    #[case("0*00 d0 {}", b"\xd0\0")]
    #[case("\"温\"", "温".as_bytes())]
    fn packets(#[case] text: &str, #[case] bytes: &[u8]) {
        assert_eq!(Bytes::read(text), Ok(Bytes { raw: bytes.to_vec(), ids: vec![] }));
    }

    #[test]
    fn identifiers_have_their_places() {
        let raw = b"\x40\x02\0\0\x40\x02\0\0".to_vec();
        assert_eq!(Bytes::read("2*(40 {id})"), Ok(Bytes { raw, ids: vec![2, 6] }));
    }

    #[rstest]
    #[case("", "no bytes: write at least one, `d0`")]
    #[case("d", "`d` is half a byte too long or too short: two digits make a byte")]
    #[case("30 {s\"t\"", "`}` is missing at the end")]
    #[case("\"t", "`\"` is missing at the end of a text")]
    #[case("x", "`x` begins nothing: see the head of the file for what does")]
    #[case("s 00", "`s` stands before a text or a group: `s\"a/b\"`, `s(c0 80)`")]
    #[case("s+(00)", "`+` is no difference: write `+1` or `-1`")]
    #[case("{-1:}", "0-1 is no length")]
    #[case("{+1 00}", "`:` is missing before ` 00}`")]
    #[case("s+65535(00)", "65536 does not fit into two bytes")]
    #[case("3*", "something to repeat is missing at the end")]
    #[case("ff*00", "`ff*` is no number of times")]
    #[case("999999*00", "more than 131072 bytes: repeat less often")]
    #[case("400*400*00", "more than 131072 bytes: repeat less often")]
    #[case("((((((((((", "groups lie more than 8 deep: write it flatter")]
    #[case("0*0*0*0*0*0*0*0*0*00", "repetitions lie more than 8 deep: write it flatter")]
    #[case("ix", "`d` is missing before `x`")]
    fn mistakes(#[case] text: &str, #[case] told: &str) {
        assert_eq!(Bytes::read(text), Err(told.to_owned()));
    }

    /// Text that looks like a packet, more or less.
    fn written() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[0-9a-f]{2}",
            "[0-9]{1,6}\\*",
            "s?[+-]?[0-9]{0,5}",
            "[(){}\":]",
            "\"[ -~]{0,4}\"",
            Just("id".to_owned()),
            any::<String>(),
        ];
        proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.join(" "))
    }

    proptest! {
        #[test]
        fn any_text_is_a_packet_or_a_mistake(text in prop_oneof![written(), any::<String>()]) {
            match Bytes::read(&text) {
                Ok(bytes) => {
                    prop_assert!((1..=LONGEST).contains(&bytes.raw.len()));
                    prop_assert!(bytes.ids.iter().all(|place| place + 2 <= bytes.raw.len()));
                }
                Err(told) => prop_assert!(!told.is_empty()),
            }
        }
    }
}
