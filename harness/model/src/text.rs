//! Any bytes as readable text, and back again without loss.
//!
//! Everything atspec writes (timelines, JUnit, the terminal) passes through [`visible`]: control bytes,
//! invalid UTF-8, XML's forbidden characters and invisible formatting characters become `\r`, `\x1a`, …;
//! everything else stays as it is. [`bytes`] is its exact inverse.

use std::fmt::Write as _;

/// Shows any bytes as printable text that [`bytes`] can turn back into the same bytes.
///
/// Printable ASCII and printable UTF-8 stay; `\` becomes `\\`; CR, LF, TAB become `\r`, `\n`, `\t`;
/// every other byte becomes `\xHH`.
pub fn visible(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\r' => out.push_str("\\r"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if is_printable(c) => out.push(c),
                c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| hex(&mut out, b)),
            }
        }
        chunk.invalid().iter().for_each(|&b| hex(&mut out, b));
    }
    out
}

/// Like [`visible`], but at most about `limit` characters: the middle is left out and its length told.
pub fn shortened(bytes: &[u8], limit: usize) -> String {
    if bytes.len() <= limit {
        return visible(bytes);
    }
    let (head, tail) = (limit * 2 / 3, limit / 3);
    format!(
        "{}… {} bytes …{}",
        visible(&bytes[..head]),
        bytes.len() - head - tail,
        visible(&bytes[bytes.len() - tail..])
    )
}

/// Bytes in hex, `32 08 00 01 74`, at most so many of them: the rest is told as a number.
pub fn dump(bytes: &[u8], limit: usize) -> String {
    let mut out = String::with_capacity(bytes.len().min(limit) * 3 + 16);
    for (i, byte) in bytes.iter().take(limit).enumerate() {
        let _ = write!(out, "{}{byte:02x}", if i == 0 { "" } else { " " });
    }
    if bytes.len() > limit {
        let _ = write!(out, " … {} bytes in all", bytes.len());
    }
    out
}

/// The bytes behind a text made by [`visible`]. `Err` tells the character offset of a broken escape.
pub fn bytes(text: &str) -> Result<Vec<u8>, usize> {
    let raw = text.as_bytes();
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        if raw[at] != b'\\' {
            out.push(raw[at]);
            at += 1;
            continue;
        }
        let (byte, len) = match raw.get(at + 1) {
            Some(b'\\') => (b'\\', 2),
            Some(b'r') => (b'\r', 2),
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            Some(b'x') => {
                let digits = raw.get(at + 2..at + 4).and_then(|d| std::str::from_utf8(d).ok()).ok_or(at)?;
                (u8::from_str_radix(digits, 16).map_err(|_| at)?, 4)
            }
            _ => return Err(at),
        };
        out.push(byte);
        at += len;
    }
    Ok(out)
}

/// For serde fields of raw bytes: `#[serde(with = "crate::text::serde_visible")]`.
pub mod serde_visible {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// Writes the bytes as [`visible`](super::visible) text.
    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::visible(bytes))
    }

    /// Reads the text back into bytes.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(from)?;
        super::bytes(&text)
            .map_err(|at| D::Error::custom(format!("broken escape at character {at} of {text:?}")))
    }
}

fn hex(out: &mut String, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}

/// Printable in every report: neither control, nor an invisible or direction-changing format character,
/// nor one that XML 1.0 forbids.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{ffff}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(bytes(&visible(&raw)).unwrap(), raw);
        }

        #[test]
        fn any_text_comes_back_and_is_printable(raw in any::<String>()) {
            let shown = visible(raw.as_bytes());
            prop_assert!(shown.chars().all(is_printable));
            prop_assert_eq!(bytes(&shown).unwrap(), raw.as_bytes());
        }
    }

    #[test]
    fn reads_like_a_terminal_log() {
        assert_eq!(visible(b"AT+X=\"\xff\x1a\\22\"\r\n"), "AT+X=\"\\xff\\x1a\\\\22\"\\r\\n");
        assert_eq!(visible("温度\u{202e}".as_bytes()), "温度\\xe2\\x80\\xae");
        assert_eq!(bytes("a\\q"), Err(1));
        assert_eq!(bytes("\\x1"), Err(0));
    }
}
