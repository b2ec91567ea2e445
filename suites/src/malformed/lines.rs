//! The file of broken packets: one line, one case.

use super::bytes::Bytes;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Second part of the case's id, for ever.
    pub(super) name: String,
    /// Where the packet is sent.
    pub(super) place: Place,
    /// The packet.
    pub(super) packet: Bytes,
    /// What it breaks by its bytes: a claim that a test holds against the decoder.
    pub(super) breaks: Breaks,
    /// What the module has to do.
    pub(super) reaction: Reaction,
    /// Success may be told of the request that it answers.
    pub(super) may_succeed: bool,
    /// Statements that ask for this.
    pub(super) statements: Vec<String>,
    /// What is wrong with it, in words.
    pub(super) why: String,
}

/// Where a packet is sent: at any time, or instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The session stands and nothing is open.
    Connected,
    /// Instead of CONNACK.
    Connecting,
    /// Instead of SUBACK.
    Subscribing,
    /// Instead of UNSUBACK.
    Unsubscribing,
    /// Instead of PUBACK.
    PublishingQos1,
    /// Instead of PUBREC.
    PublishingQos2,
    /// Instead of PUBCOMP.
    Releasing,
}

/// What a packet breaks by its bytes, as the decoder of the harness sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Breaks {
    /// Nothing.
    Nothing,
    /// Well-formed, and where it must not be.
    Place,
    /// It never ends: what follows belongs to it.
    Unfinished,
    /// These statements and sections.
    Clauses(Vec<String>),
}

/// What a module has to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Close: a numbered MUST says so.
    Close,
    /// Close: the standard calls it wrong without a number, so that staying only warns.
    ShouldClose,
    /// Go on: nothing is wrong.
    Stay,
    /// The standard leaves it open.
    Either,
}

const PLACES: [(&str, Place); 7] = [
    ("connected", Place::Connected),
    ("connecting", Place::Connecting),
    ("subscribing", Place::Subscribing),
    ("unsubscribing", Place::Unsubscribing),
    ("publishing-qos1", Place::PublishingQos1),
    ("publishing-qos2", Place::PublishingQos2),
    ("releasing", Place::Releasing),
];

const REACTIONS: [(&str, Reaction); 4] = [
    ("close", Reaction::Close),
    ("should-close", Reaction::ShouldClose),
    ("stay", Reaction::Stay),
    ("either", Reaction::Either),
];

/// Behind a reaction: success may be told.
const OR_SUCCESS: &str = "or-success";

/// Every line of the file, or every mistake in it, each with its line and a remedy.
pub(super) fn read(text: &str) -> Result<Vec<Line>, Vec<String>> {
    let (mut lines, mut mistakes): (Vec<Line>, Vec<String>) = (Vec::new(), Vec::new());
    let mut place = Place::Connected;
    let numbered = text.lines().map(str::trim).zip(1..);
    for (line, number) in numbered.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
        let read = match line.strip_prefix('[') {
            Some(rest) => section(rest).map(|found| place = found),
            None => entry(line, place).and_then(|line| {
                if lines.iter().any(|other| other.name == line.name) {
                    return Err(format!("`{}` stands there twice: choose another name", line.name));
                }
                lines.push(line);
                Ok(())
            }),
        };
        mistakes.extend(read.err().map(|what| format!("line {number}: {what}")));
    }
    if mistakes.is_empty() { Ok(lines) } else { Err(mistakes) }
}

fn section(rest: &str) -> Result<Place, String> {
    let name = rest.strip_suffix(']').ok_or("`]` is missing behind the place")?;
    one_of(&PLACES, name).ok_or_else(|| format!("no place `{name}`: {}", names(&PLACES)))
}

fn entry(line: &str, place: Place) -> Result<Line, String> {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let &[name, packet, breaks, reaction, statements, why] = fields.as_slice() else {
        let count = fields.len();
        return Err(format!(
            "{count} fields instead of 6: name | packet | breaks | reaction | statements | why"
        ));
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("`{name}` is no name: small letters, digits and dashes"));
    }
    let packet = Bytes::read(packet)?;
    if !packet.ids.is_empty() && matches!(place, Place::Connected | Place::Connecting) {
        return Err("`id` where no request is answered that has one: write a number, `0007`".to_owned());
    }
    let (reaction, may_succeed) = reacts(reaction)?;
    if why.is_empty() {
        return Err("no reason: say in a few words what is wrong".to_owned());
    }
    let statements = if statements == "-" { Vec::new() } else { clauses(statements)? };
    if statements.is_empty() && reaction == Reaction::Close {
        return Err("`close` without a statement that asks for it: `4.8.0-1`".to_owned());
    }
    let (name, why, breaks) = (name.to_owned(), why.to_owned(), broken(breaks)?);
    Ok(Line { name, place, packet, breaks, reaction, may_succeed, statements, why })
}

fn reacts(text: &str) -> Result<(Reaction, bool), String> {
    let (word, may_succeed) = match text.strip_suffix(OR_SUCCESS) {
        Some(word) => (word.trim_end(), true),
        None => (text, false),
    };
    let known = one_of(&REACTIONS, word);
    known.map(|reaction| (reaction, may_succeed)).ok_or_else(|| {
        format!("no reaction `{text}`: {}, each may be followed by {OR_SUCCESS}", names(&REACTIONS))
    })
}

fn broken(text: &str) -> Result<Breaks, String> {
    Ok(match text {
        "nothing" => Breaks::Nothing,
        "place" => Breaks::Place,
        "unfinished" => Breaks::Unfinished,
        other => Breaks::Clauses(clauses(other)?),
    })
}

/// `2.2.2-2 4.8.0-1` as ids.
fn clauses(text: &str) -> Result<Vec<String>, String> {
    let all: Vec<String> = text.split_whitespace().map(|number| format!("MQTT-{number}")).collect();
    let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    match text.split_whitespace().find(|one| !one.chars().all(number)) {
        Some(strange) => Err(format!("`{strange}` is no statement: write its number, `2.2.2-2`")),
        None if all.is_empty() => Err("an empty field: write `-` for no statement".to_owned()),
        None => Ok(all),
    }
}

fn one_of<T: Copy>(all: &[(&str, T)], name: &str) -> Option<T> {
    all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn names<T>(all: &[(&str, T)]) -> String {
    all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_line_has_six_fields() {
        let text =
            "# a comment\n\n[subscribing]\n  a-1 | 90 {id 03} | 3.9.3-2 | either or-success | - | why | \n";
        assert!(read(text).is_err(), "a seventh");
        let text = "[subscribing]\na-1 | 90 {id 03} | 3.9.3-2 | either or-success | - | reserved code\n";
        let line = Line {
            name: "a-1".to_owned(),
            place: Place::Subscribing,
            packet: Bytes { raw: b"\x90\x03\0\0\x03".to_vec(), ids: vec![2] },
            breaks: Breaks::Clauses(vec!["MQTT-3.9.3-2".to_owned()]),
            reaction: Reaction::Either,
            may_succeed: true,
            statements: vec![],
            why: "reserved code".to_owned(),
        };
        assert_eq!(read(text), Ok(vec![line]));
    }

    #[rstest]
    #[case(
        "a | 00 | place",
        "line 1: 3 fields instead of 6: name | packet | breaks | reaction | statements | why"
    )]
    #[case("A | 00 | place | either | - | w", "line 1: `A` is no name: small letters, digits and dashes")]
    #[case(
        "a | 0 | place | either | - | w",
        "line 1: `0` is half a byte too long or too short: two digits make a byte"
    )]
    #[case(
        "a | {id} | place | either | - | w",
        "line 1: `id` where no request is answered that has one: write a number, `0007`"
    )]
    #[case(
        "a | 00 | plaice | either | - | w",
        "line 1: `plaice` is no statement: write its number, `2.2.2-2`"
    )]
    #[case(
        "a | 00 | place | leave | - | w",
        "line 1: no reaction `leave`: close, should-close, stay, either, each may be followed by or-success"
    )]
    #[case(
        "a | 00 | place | close | - | w",
        "line 1: `close` without a statement that asks for it: `4.8.0-1`"
    )]
    #[case("a | 00 | place | stay | | w", "line 1: an empty field: write `-` for no statement")]
    #[case("a | 00 | place | stay | - |", "line 1: no reason: say in a few words what is wrong")]
    #[case("[here", "line 1: `]` is missing behind the place")]
    #[case(
        "[here]",
        "line 1: no place `here`: connected, connecting, subscribing, unsubscribing, publishing-qos1, publishing-qos2, releasing"
    )]
    fn mistakes_name_line_and_remedy(#[case] text: &str, #[case] told: &str) {
        assert_eq!(read(text), Err(vec![told.to_owned()]));
    }

    #[test]
    fn all_mistakes_are_told() {
        let twice = "a | 00 | place | stay | - | w\n";
        let text = format!("{twice}{twice}\n[x]\nb\n{twice}");
        let Err(mistakes) = read(&text) else { panic!("no mistake seen") };
        let lines: Vec<&str> = mistakes.iter().map(|told| &told[..7]).collect();
        assert_eq!(lines, ["line 2:", "line 4:", "line 5:", "line 6:"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_told(text in any::<String>()) {
            let _ = read(&text);
        }

        #[test]
        fn any_fields_are_read_or_told(fields in proptest::collection::vec("[ -~]{0,12}", 0..8)) {
            let line = fields.join("|");
            if let Err(mistakes) = read(&line) {
                prop_assert!(mistakes.iter().all(|told| told.starts_with("line 1: ")), "{mistakes:?}");
            }
        }
    }
}
