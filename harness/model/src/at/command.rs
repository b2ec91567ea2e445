//! Templates of command lines: `AT+MCONFIG={client}[,{username},{password}[,{will_qos},…]]`.
//!
//! The same template fills a command for the module and reads it back in the emulated one. `{name}` is an
//! argument, `"{name}"` an argument that is sent in quotes, `[…]` a part that may be left out. Reading back takes every
//! argument with and without quotes, since no document forbids either.

use std::{collections::BTreeMap, fmt};

/// Values by argument name.
pub type Values<'a> = BTreeMap<&'a str, Vec<u8>>;

/// A parsed template of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandTemplate {
    source: String,
    parts: Vec<Part>,
    /// Length of the name at the beginning of the source.
    name: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Argument { name: String, quoted: bool },
    Optional(Vec<Part>),
}

/// How a template is filled, apart from the values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fill<'a> {
    /// Arguments left out on purpose, each with the comma before it.
    pub omit: &'a [String],
    /// Text put behind the last argument on purpose.
    pub tail: &'a [u8],
    /// Values of arguments that have none of their own. They alone do not bring an optional part in.
    pub defaults: Option<&'a Values<'a>>,
}

impl Fill<'_> {
    fn default_of(&self, name: &str) -> Option<&Vec<u8>> {
        self.defaults.and_then(|defaults| defaults.get(name))
    }
}

/// A template that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// Byte offset in the template.
    pub at: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at character {})", self.what, self.at + 1)
    }
}

impl CommandTemplate {
    /// Parses a template.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut rest = Cursor { source, at: 0 };
        let mut parts = parse_parts(&mut rest, 0)?;
        mark_quoted(&mut parts);
        let head = match parts.first() {
            Some(Part::Literal(text)) => text.as_str(),
            _ => "",
        };
        let name = head.find(['=', '?']).unwrap_or(head.len());
        Ok(Self { source: source.to_owned(), parts, name })
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names of all arguments, in order.
    pub fn arguments(&self) -> Vec<&str> {
        let mut names = Vec::new();
        collect(&self.parts, &mut names);
        names
    }

    /// The command's name, the text before `=`, `?` or the first argument: `AT+MCONFIG`.
    pub fn name(&self) -> &str {
        &self.source[..self.name]
    }

    /// The command line without its terminator. An optional part is written where all its own arguments have
    /// values; `Err` names an argument that has none.
    pub fn fill(&self, values: &Values<'_>, how: Fill<'_>) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        fill(&self.parts, values, how, &mut out)?;
        out.extend_from_slice(how.tail);
        Ok(out)
    }

    /// Whether an argument is sent in quotes.
    pub fn quotes(&self, name: &str) -> bool {
        quotes(&self.parts, name)
    }

    /// The values in a command line, or `None` where the line does not have this form. `mark` is a byte behind which a quote
    /// or a comma belongs to the argument.
    pub fn read(&self, line: &[u8], mark: Option<u8>) -> Option<BTreeMap<String, Vec<u8>>> {
        let parts: Vec<&Part> = self.parts.iter().collect();
        let mut found = Vec::new();
        read(&parts, line, mark, &mut found).then(|| found.into_iter().collect())
    }
}

struct Cursor<'a> {
    source: &'a str,
    at: usize,
}

fn parse_parts(from: &mut Cursor<'_>, depth: usize) -> Result<Vec<Part>, TemplateError> {
    let fail = |at: usize, what: &str| TemplateError { at, what: what.to_owned() };
    let mut parts = Vec::new();
    let mut literal = String::new();
    while let Some(c) = from.source[from.at..].chars().next() {
        let start = from.at;
        match c {
            '[' => {
                flush(&mut literal, &mut parts);
                from.at += 1;
                parts.push(Part::Optional(parse_parts(from, depth + 1)?));
                if !from.source[from.at..].starts_with(']') {
                    return Err(fail(start, "this `[` is never closed"));
                }
                from.at += 1;
            }
            ']' if depth > 0 => break,
            ']' => return Err(fail(start, "`]` without `[`")),
            '{' => {
                flush(&mut literal, &mut parts);
                let end =
                    from.source[start..].find('}').ok_or_else(|| fail(start, "this `{` is never closed"))?;
                let name = &from.source[start + 1..start + end];
                if name.is_empty()
                    || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                {
                    return Err(fail(start, "an argument's name is made of a-z, 0-9 and _"));
                }
                parts.push(Part::Argument { name: name.to_owned(), quoted: false });
                from.at = start + end + 1;
            }
            c => {
                literal.push(c);
                from.at += c.len_utf8();
            }
        }
    }
    flush(&mut literal, &mut parts);
    Ok(parts)
}

fn flush(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal)));
    }
}

/// Turns `"{name}"` (a quote in the literals on both sides) into a quoted argument.
fn mark_quoted(parts: &mut Vec<Part>) {
    for at in 0..parts.len() {
        if let Part::Optional(inner) = &mut parts[at] {
            mark_quoted(inner);
        }
        let before = at > 0 && matches!(&parts[at - 1], Part::Literal(text) if text.ends_with('"'));
        let after = matches!(parts.get(at + 1), Some(Part::Literal(text)) if text.starts_with('"'));
        if before && after && matches!(parts[at], Part::Argument { .. }) {
            if let Part::Argument { quoted, .. } = &mut parts[at] {
                *quoted = true;
            }
            if let Part::Literal(text) = &mut parts[at - 1] {
                text.pop();
            }
            if let Part::Literal(text) = &mut parts[at + 1] {
                text.remove(0);
            }
        }
    }
    parts.retain(|part| !matches!(part, Part::Literal(text) if text.is_empty()));
}

fn collect<'a>(parts: &'a [Part], names: &mut Vec<&'a str>) {
    for part in parts {
        match part {
            Part::Literal(_) => {}
            Part::Argument { name, .. } => names.push(name),
            Part::Optional(inner) => collect(inner, names),
        }
    }
}

fn fill(parts: &[Part], values: &Values<'_>, how: Fill<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    for part in parts {
        match part {
            Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Part::Argument { name, .. } if how.omit.contains(name) => {
                if out.last() == Some(&b',') {
                    out.pop();
                }
            }
            Part::Argument { name, quoted } => {
                let value =
                    values.get(name.as_str()).or_else(|| how.default_of(name)).ok_or_else(|| name.clone())?;
                if *quoted {
                    out.push(b'"');
                }
                out.extend_from_slice(value);
                if *quoted {
                    out.push(b'"');
                }
            }
            Part::Optional(inner) => {
                let given = |name: &String| values.contains_key(name.as_str()) || how.omit.contains(name);
                let names = || {
                    inner.iter().filter_map(|part| match part {
                        Part::Argument { name, .. } => Some(name),
                        _ => None,
                    })
                };
                let complete = names().all(|name| given(name) || how.default_of(name).is_some());
                if complete && (names().next().is_none() || names().any(given)) {
                    fill(inner, values, how, out)?;
                }
            }
        }
    }
    Ok(())
}

/// Matches `line` against the parts, backtracking over optional ones. Found values are appended.
fn read(parts: &[&Part], line: &[u8], mark: Option<u8>, found: &mut Vec<(String, Vec<u8>)>) -> bool {
    let Some((first, rest)) = parts.split_first() else { return line.is_empty() };
    match first {
        Part::Literal(text) => match_literal(text, line).is_some_and(|line| read(rest, line, mark, found)),
        Part::Argument { name, .. } => {
            let Some((value, line)) = argument(line, mark) else { return false };
            found.push((name.clone(), value));
            let matched = read(rest, line, mark, found);
            if !matched {
                found.pop();
            }
            matched
        }
        Part::Optional(inner) => {
            let with: Vec<&Part> = inner.iter().chain(rest.iter().copied()).collect();
            let before = found.len();
            if read(&with, line, mark, found) {
                return true;
            }
            found.truncate(before);
            read(rest, line, mark, found)
        }
    }
}

/// A literal matches without regard to the case of letters, as V.250 5.2.1 has it for commands.
fn match_literal<'a>(text: &str, line: &'a [u8]) -> Option<&'a [u8]> {
    let (head, rest) = line.split_at_checked(text.len())?;
    head.eq_ignore_ascii_case(text.as_bytes()).then_some(rest)
}

/// The argument at the beginning of `line`, without its quotes, and what follows.
fn argument(line: &[u8], mark: Option<u8>) -> Option<(Vec<u8>, &[u8])> {
    if let Some(quoted) = line.strip_prefix(b"\"") {
        let end = Some(end_of(quoted, b'"', mark)).filter(|end| *end < quoted.len())?;
        let rest = &quoted[end + 1..];
        return (rest.is_empty() || rest[0] == b',').then(|| (quoted[..end].to_vec(), rest));
    }
    let end = end_of(line, b',', mark);
    let value = &line[..end];
    (mark.is_some() || !value.contains(&b'"')).then(|| (value.to_vec(), &line[end..]))
}

/// Where `end` stands for the first time, not behind a mark; the length of `text` where it does not.
fn end_of(text: &[u8], end: u8, mark: Option<u8>) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if *byte == end {
            break;
        }
        at += if Some(*byte) == mark { 2 } else { 1 };
    }
    at.min(text.len())
}

fn quotes(parts: &[Part], name: &str) -> bool {
    parts.iter().any(|part| match part {
        Part::Argument { name: other, quoted } => other == name && *quoted,
        Part::Optional(inner) => quotes(inner, name),
        Part::Literal(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MCONFIG: &str = "AT+MCONFIG={client}[,{username},{password}[,{will_qos},{will_topic}]]";

    fn values<'a>(pairs: &[(&'a str, &str)]) -> Values<'a> {
        pairs.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect()
    }

    #[rstest]
    #[case(&[("client", "c")], "AT+MCONFIG=c")]
    #[case(&[("client", "c"), ("username", "u"), ("password", "p")], "AT+MCONFIG=c,u,p")]
    #[case(&[("client", "c"), ("username", "u")], "AT+MCONFIG=c")]
    fn optional_parts_are_written_where_they_have_values(#[case] given: &[(&str, &str)], #[case] line: &str) {
        let template = CommandTemplate::parse(MCONFIG).unwrap();
        let filled = template.fill(&values(given), Fill::default()).unwrap();
        assert_eq!(String::from_utf8(filled).unwrap(), line);
    }

    #[test]
    fn what_is_filled_reads_back() {
        let template = CommandTemplate::parse("AT+MPUB=\"{topic}\",{qos},{retain},\"{payload}\"").unwrap();
        let given = values(&[("topic", "a,b"), ("qos", "1"), ("retain", "0"), ("payload", "x")]);
        let line = template.fill(&given, Fill::default()).unwrap();
        assert_eq!(line, b"AT+MPUB=\"a,b\",1,0,\"x\"");
        let back = template.read(&line, None).unwrap();
        assert!(given.iter().all(|(name, value)| back[*name] == *value));
        assert_eq!(template.read(b"at+mpub=t,1,0,x", None).unwrap()["topic"], b"t");
        assert_eq!(template.name(), "AT+MPUB");
    }

    #[rstest]
    #[case("AT+MPUB=\"t\",1,0")]
    #[case("AT+MPUB=\"t\",1,0,\"x\",5")]
    #[case("AT+MPUB=\"t,1,0,x")]
    #[case("AT+MPUB=\"t\"x,1,0,x")]
    fn other_forms_do_not_read(#[case] line: &str) {
        let template = CommandTemplate::parse("AT+MPUB=\"{topic}\",{qos},{retain},\"{payload}\"").unwrap();
        assert_eq!(template.read(line.as_bytes(), None), None);
    }

    #[test]
    fn arguments_can_be_left_out_and_added() {
        let template = CommandTemplate::parse("AT+MCONNECT={clean},{keepalive}").unwrap();
        let given = values(&[("clean", "1"), ("keepalive", "60")]);
        let omit = ["keepalive".to_owned()];
        assert_eq!(template.fill(&given, Fill { omit: &omit, ..Fill::default() }).unwrap(), b"AT+MCONNECT=1");
        assert_eq!(
            template.fill(&given, Fill { tail: b",9", ..Fill::default() }).unwrap(),
            b"AT+MCONNECT=1,60,9"
        );
    }

    #[rstest]
    #[case("AT+X=[{a}", 5)]
    #[case("AT+X={a", 5)]
    #[case("AT+X=]", 5)]
    #[case("AT+X={A}", 5)]
    fn a_broken_template_says_where(#[case] source: &str, #[case] at: usize) {
        assert_eq!(CommandTemplate::parse(source).unwrap_err().at, at);
    }
}
