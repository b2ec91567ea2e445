//! Templates of lines that a module prints: `+MSUB: "{topic}",{len:n} byte,{payload}`.
//!
//! `{name}` is any text without a line break, `{name:n}` a whole number. `{payload}` may only stand last, with a `{len:n}` before
//! it: then exactly so many bytes follow, whatever they look like, and perhaps a closing quote. A blank more or less after the first colon
//! matches too, and [`Captures::exact`] tells of it (the rule on blanks of the clause list).

use std::{collections::BTreeMap, fmt::Write as _};

use regex::bytes::Regex;

use super::TemplateError;

/// A parsed template of a line.
#[derive(Debug, Clone)]
pub struct LineTemplate {
    source: String,
    names: Vec<String>,
    /// What stands before the first place and the first colon: a line that begins otherwise needs no look at the rest.
    head: String,
    /// The line, or the part before the payload, with the blank after the colon as written.
    exact: Regex,
    /// The same where that blank is free, if there is a colon.
    tolerant: Option<Regex>,
    framed: bool,
    /// What stands behind the payload on the same line.
    tail: &'static str,
}

/// What may stand behind a payload.
const TAILS: &[&str] = &["", "\""];

impl PartialEq for LineTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for LineTemplate {}

/// What a line had in the places of a template's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captures {
    /// Values by name.
    pub values: BTreeMap<String, Vec<u8>>,
    /// Whether the blanks were as printed in the document.
    pub exact: bool,
    /// How many bytes matched.
    pub len: usize,
    /// The bytes that matched.
    pub line: Vec<u8>,
}

impl Captures {
    /// A captured whole number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        std::str::from_utf8(self.values.get(name)?).ok()?.parse().ok()
    }
}

impl LineTemplate {
    /// Parses a template.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let tail = TAILS.iter().find(|tail| source.ends_with(&format!("{{payload}}{tail}")));
        let head = tail.and_then(|tail| source.strip_suffix(*tail)).and_then(|s| s.strip_suffix("{payload}"));
        let (head, framed) = (head.unwrap_or(source), head.is_some());
        let mut names = Vec::new();
        let mut pattern = String::new();
        let mut at = 0;
        while at < head.len() {
            let open = head[at..].find('{').map_or(head.len(), |i| at + i);
            pattern += &regex::escape(&head[at..open]);
            if open == head.len() {
                break;
            }
            let fail = |what: &str| TemplateError { at: open, what: what.to_owned() };
            let close = head[open..].find('}').ok_or_else(|| fail("this `{` is never closed"))? + open;
            let (name, number) = match head[open + 1..close].split_once(':') {
                Some((name, "n")) => (name, true),
                Some(_) => return Err(fail("after the colon only `n` (a whole number) is known")),
                None => (&head[open + 1..close], false),
            };
            if name.is_empty()
                || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            {
                return Err(fail("a name is made of a-z, 0-9 and _"));
            }
            if name == "payload" {
                return Err(fail("`{payload}` may only stand at the end"));
            }
            names.push(name.to_owned());
            // The blank behind a colon belongs to the line, not to the first value.
            pattern += match (number, is_bound(name), pattern.ends_with(':')) {
                (true, ..) => "(-?[0-9]{1,10})",
                // With a comma, `0,{id},0` would take the failure `0,3,1,0` for the success of packet `3,1`.
                (false, true, _) => r"([^ ,\r\n]*?)",
                (false, false, true) => r"((?:[^ \r\n][^\r\n]*?)?)",
                (false, false, false) => r"([^\r\n]*?)",
            };
            at = close + 1;
        }
        if framed && !names.iter().any(|name| name == "len") {
            return Err(TemplateError {
                at: head.len(),
                what: "`{payload}` needs a `{len:n}` before it".to_owned(),
            });
        }
        let end = if framed { "" } else { "$" };
        let regex = |body: &str| {
            let mut full = String::from("(?-u)^");
            let _ = write!(full, "{body}{end}");
            Regex::new(&full).map_err(|e| TemplateError { at: 0, what: e.to_string() })
        };
        Ok(Self {
            source: source.to_owned(),
            names,
            head: source[..source.find(['{', ':']).unwrap_or(source.len())].to_owned(),
            exact: regex(&pattern)?,
            tolerant: free_blank(&pattern).map(|free| regex(&free)).transpose()?,
            framed,
            tail: tail.copied().unwrap_or_default(),
        })
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the template ends with a payload that is framed by its length.
    pub fn is_framed(&self) -> bool {
        self.framed
    }

    /// The names of its places, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the template has a place for any text.
    pub fn is_loose(&self) -> bool {
        let mut numbers = self.source.match_indices('{').map(|(at, _)| &self.source[at..]);
        let is_text = |name: &str| !name.ends_with(":n") && !is_bound(name.trim_start_matches('{'));
        numbers.any(|rest| rest.split_once('}').is_some_and(|(name, _)| is_text(name)))
    }

    /// What stands behind the payload of a framed template: nothing, or a quote.
    pub fn tail(&self) -> &'static str {
        self.tail
    }

    /// The same where the names that also stand in `said` have the values there: the line belongs to the command that said them.
    pub fn answers(&self, line: &[u8], said: &BTreeMap<String, Vec<u8>>) -> Option<Captures> {
        let found = self.read(line)?;
        let own = |(name, value): (&String, &Vec<u8>)| said.get(name).is_none_or(|said| said == value);
        found.values.iter().all(own).then_some(found)
    }

    /// Matches a whole line, or for a framed template the beginning of `bytes`.
    pub fn read(&self, bytes: &[u8]) -> Option<Captures> {
        if !bytes.starts_with(self.head.as_bytes()) {
            return None;
        }
        let (found, exact) = match self.exact.captures(bytes) {
            Some(found) => (found, true),
            None => (self.tolerant.as_ref()?.captures(bytes)?, false),
        };
        let value = |i: usize| found.get(i + 1).map_or(Vec::new(), |m| m.as_bytes().to_vec());
        let values = self.names.iter().enumerate().map(|(i, name)| (name.clone(), value(i))).collect();
        let line = found.get(0).map_or(Vec::new(), |m| m.as_bytes().to_vec());
        Some(Captures { values, exact, len: line.len(), line })
    }

    /// The line with these values; a name without a value is written empty.
    pub fn fill(&self, values: &BTreeMap<&str, Vec<u8>>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = self.source.as_str();
        while let Some((literal, after)) = rest.split_once('{') {
            out.extend_from_slice(literal.as_bytes());
            let Some((name, after)) = after.split_once('}') else { break };
            let name = name.split(':').next().unwrap_or(name);
            out.extend_from_slice(values.get(name).map_or(&[], Vec::as_slice));
            rest = after;
        }
        out.extend_from_slice(rest.as_bytes());
        out
    }
}

/// Whether the place is a connection's or a packet's id, which is no text.
fn is_bound(name: &str) -> bool {
    matches!(name, "link" | "id")
}

/// The blank after the first colon of an escaped pattern made free: `\+MSUB: …` and `\+MSUB:…` become `\+MSUB: ?…`.
fn free_blank(pattern: &str) -> Option<String> {
    let (head, tail) = pattern.split_once(':')?;
    Some(format!("{head}: ?{}", tail.strip_prefix(' ').unwrap_or(tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_no_two_values() {
        let success = LineTemplate::parse("+ECMTPUB:{link},{id},0").unwrap();
        assert!(success.read(b"+ECMTPUB:0,3,0").is_some());
        assert!(success.read(b"+ECMTPUB: 0,3,0").is_some(), "the blank behind the colon is free");
        assert!(success.read(b"+ECMTPUB:0,3,1,0").is_none(), "result 1 and its value");
    }

    #[test]
    fn a_message_is_framed_by_its_length() {
        let template = LineTemplate::parse("+MSUB: \"{topic}\",{len:n} byte,{payload}").unwrap();
        let found = template.read(b"+MSUB: \"a,\"b\",5 byte,OK\r\n!").unwrap();
        assert_eq!(found.values["topic"], b"a,\"b");
        assert_eq!(found.number::<usize>("len"), Some(5));
        assert_eq!(found.len, 21);
        assert!(found.exact);
        assert!(!template.read(b"+MSUB:\"t\",1 byte,x").unwrap().exact);
        assert!(template.read(b"+MSUB: \"t\",1 bytes,x").is_none());
        assert!(template.read(b"+MSUB: \"t\",1 by").is_none(), "not before the whole head is there");
    }

    #[test]
    fn a_line_fills_and_reads_back() {
        let template = LineTemplate::parse("+CGATT: {state:n}").unwrap();
        let line = template.fill(&BTreeMap::from([("state", b"1".to_vec())]));
        assert_eq!(line, b"+CGATT: 1");
        assert_eq!(template.read(&line).unwrap().number::<u8>("state"), Some(1));
        assert!(template.read(b"+CGATT: x").is_none());
        assert!(LineTemplate::parse("OK").unwrap().read(b"OK!").is_none());
        assert!(LineTemplate::parse("x{payload}").is_err());
    }

    #[test]
    fn a_line_answers_the_command_that_said_its_values() {
        let template = LineTemplate::parse("+ECMTPUB:{link},{id},{result:n}").unwrap();
        let said = BTreeMap::from([("link".to_owned(), b"0".to_vec()), ("id".to_owned(), b"7".to_vec())]);
        assert!(template.answers(b"+ECMTPUB: 0,7,0", &said).is_some());
        assert!(template.answers(b"+ECMTPUB: 0,8,0", &said).is_none());
    }

    #[test]
    fn a_quote_may_close_a_payload() {
        let template = LineTemplate::parse("+QMTRECV: {link},\"{topic}\",{len:n},\"{payload}\"").unwrap();
        assert_eq!(template.tail(), "\"");
        assert_eq!(template.read(b"+QMTRECV: 0,\"t\",1,\"x\"").unwrap().len, 19);
    }
}
