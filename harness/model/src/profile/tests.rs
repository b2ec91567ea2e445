//! The loader on the shipped profile, on every kind of mistake, and on anything at all.

use std::fmt::Write as _;

use proptest::prelude::*;
use rstest::rstest;

use super::{format, *};

const SHIPPED: &str = include_str!("../../../../fixtures/profiles/air780e.toml");
const BROKEN: &str = include_str!("testdata/broken.toml");
const BROKEN_WORDS: &str = include_str!("testdata/broken-words.toml");
const NOT_TOML: &str = include_str!("testdata/not-toml.toml");

fn shipped() -> Profile {
    Profile::load(SHIPPED).unwrap_or_else(|m| panic!("\n{}", render("air780e.toml", SHIPPED, &m)))
}

#[test]
fn the_shipped_profile_is_read_in_full() {
    let profile = shipped();
    assert_eq!((profile.name.as_str(), profile.serial.baud), ("air780e", 115_200));
    assert_eq!(profile.serial.line_end, "\r\n");
    assert_eq!(profile.source, SHIPPED);
    assert_eq!(profile.bring_up, ["ATE0"]);
    assert_eq!(profile.message.framed.len(), 2, "direct, and the cached form that differs");
    assert_eq!(profile.escapes.write(b"\"a\\\r\n"), br"\22a\5C\0D\0A");
    assert_eq!(profile.escapes.read(br"\22a\5C\0D\0A\7"), b"\"a\\\r\n\\7");

    let publish = &profile.step("publish").unwrap().exchanges[0];
    assert_eq!(publish.answer[0].source(), "OK", "without the key it is OK");
    assert!(publish.results(0).is_empty());
    assert_eq!(publish.results(2)[0].source(), "PUBCOMP");
    let connect = &profile.step("connect").unwrap().exchanges[0];
    assert!((0..3).all(|qos| connect.results(qos)[0].source() == "CONNACK OK"), "a list is for every QoS");
    let data = &profile.step("publish-data").unwrap().exchanges[0];
    assert_eq!(
        (data.prompt.as_deref(), data.data.as_deref(), data.known),
        (Some(">"), Some("payload"), Known::Name)
    );
    assert_eq!(profile.argument("publish", "payload").unwrap().length, Some((0, 2384)));
    assert_eq!(profile.argument("subscribe", "qos").unwrap().range, Some((0, 2)));
}

/// The examples of the format, put together, are a profile: so every remedy that shows one is right.
#[test]
fn the_examples_of_the_format_are_a_profile() {
    let mut text = String::new();
    let plain = |key: &&format::Key| !key.example.starts_with('[') && key.name != "cites";
    for key in format::TOP.keys.iter().filter(plain) {
        let _ = writeln!(text, "{}", key.example);
    }
    let tables =
        format::TABLES.iter().filter(|table| table.heading.starts_with('[') && table.heading != "[arg]");
    for table in tables {
        let _ = writeln!(text, "{}", table.heading.replace('…', "x-all"));
        for key in table.keys {
            let _ = writeln!(text, "{}", key.example);
        }
    }
    for step in format::STEPS {
        let _ = writeln!(text, "[[step.{}]]\nsend = 'AT'", step.name);
        for name in step.arguments() {
            let _ = writeln!(
                text,
                "[[step.{}]]\nsend = 'AT={{{name}}}{}'",
                step.name,
                if name == "len" { ",{payload}" } else { "" }
            );
        }
    }
    let inline =
        |table: format::TableFormat| table.keys.iter().map(|key| key.example).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "[[step.x-qos]]\nsend = 'AT'\nresult = {{ {} }}", inline(format::RESULT));
    let _ = writeln!(text, "[arg]\nclean = {{ {} }}", inline(format::ARGUMENT));
    let _ = writeln!(text, "[cites]\n\"suite/case\" = [\"A780-8.2-35\"]");
    if let Err(mistakes) = Profile::load(&text) {
        panic!("\n{}", render("examples", &text, &mistakes));
    }
}

#[test]
fn the_format_is_told_with_every_key_and_step() {
    let told = format::describe();
    for key in format::TABLES.iter().flat_map(|table| table.keys) {
        assert!(told.contains(key.example), "{}", key.name);
    }
    assert!(format::STEPS.iter().all(|step| told.contains(step.means)));
}

/// One change to the shipped profile makes one mistake, at the place where the given text begins.
#[rstest]
// names and types
#[case("schema = 1", "schema = 2", "2\n", "schema 2 is not known")]
#[case(
    "name = \"air780e\"",
    "name = \"Air780E\"",
    "\"Air780E\"",
    "`Air780E` is not a name of a-z, 0-9 and -"
)]
#[case("title = \"Luat Air780E\"", "title = ''", "''", "`title` in the head of the file is empty")]
#[case("schema = 1", "schema = 1\nextends = 'x'", "extends", "unknown key `extends` in the head of the file")]
#[case("baud = 115200", "baudrate = 115200", "[serial]", "[serial] has no `baud`")]
#[case("baud = 115200", "", "[serial]", "[serial] has no `baud`")]
#[case("baud = 115200", "baudd = 115200", "baudd", "unknown key `baudd` in [serial]")]
#[case("baud = 115200", "baud = 0", "0\n", "`baud` in [serial] is 0, less than 1")]
#[case("baud = 115200", "baud = 5_000_000_000", "5_000", "`baud` in [serial] is 5000000000, too large")]
#[case("baud = 115200", "baud = '115200'", "'115200'", "`baud` in [serial] is a text, not a whole number")]
#[case("line_end = \"\\r\\n\"", "line_end = ';'", "';'", "`;` does not end a command line")]
#[case("hold = 2000", "hold = 0", "0\n", "`hold` in [time] is 0, less than 1")]
#[case("cache = 4", "cache = -4", "-4", "`cache` in [behaviour] is -4, less than 0")]
#[case(
    "single_connection = true",
    "single_connection = 1",
    "1 ",
    "`single_connection` in [behaviour] is a whole number, not true or false"
)]
#[case("boot = [", "boot = [5, ", "5,", "`boot` in [lines] holds a whole number, not only texts")]
#[case(
    "bear = [\"PUBREC\"]",
    "bear = \"PUBREC\"",
    "\"PUBREC\"",
    "`bear` in [[step.publish]] is a text, not a list of texts"
)]
// steps
#[case("[[step.close]]", "[[step.shut]]", "shut]]", "there is no step `shut`")]
#[case("[[step.probe]]", "[[step.x-alive]]", "step.x-alive", "the profile has no step `probe`")]
#[case("[[step.disconnect]]", "[[step.disconect]]", "disconect", "there is no step `disconect`")]
#[case("[[step.probe]]", "[step.probe]", "[step.probe]", "[[step.probe]] is a table, not a list of tables")]
#[case("send = \"AT+MDISCONNECT\"", "", "[[step.disconnect]]", "[[step.disconnect]] has no `send`")]
#[case("send = \"AT+MDISCONNECT\"", "send = []", "send = []", "`send` in [[step.disconnect]] is empty")]
#[case("known = \"family\"", "known = \"famly\"", "\"famly\"", "`known` in [[step.unsubscribe]] is `famly`")]
#[case(
    "send = \"ATI\"",
    "send = \"ATI\"\nwithin = 0",
    "0\n",
    "`within` in [[step.identify]] is 0, less than 1"
)]
// commands
#[case(
    "{clean},{keepalive}",
    "{clean},{keepalife}",
    "{keepalife}",
    "step `connect` has no argument `keepalife`"
)]
#[case(
    "{clean},{keepalive}",
    "{clean},{keepalive},{clean}",
    "{clean}",
    "`{clean}` stands twice in this command"
)]
#[case("{clean},{keepalive}", "{clean}[,{keepalive}", "[,{keep", "this `[` is never closed")]
#[case("{clean},{keepalive}", "{clean}“,{keepalive}", "“,", "`“` in a command line")]
#[case("send = \"AT\"", "send = \"AT\\r\"", "\"AT\\r\"", "`\\r` in a command line")]
#[case(
    "send = \"AT\"",
    "send = \"AT[[[[[[[[[]]]]]]]]]\"",
    "[]]]]",
    "more than 8 optional parts inside one another"
)]
#[case(
    "AT+MCONFIG=\"{client}\"[,\"{username}\",",
    "AT+MCONFIG=\"{client}\"[,",
    "'AT+MCONFIG=\"{client}\"[,\"{pass",
    "this spelling lacks `{username}` of the first"
)]
#[case(
    "AT+MCONFIG=\"{client}\"[,\"{username}\",",
    "AT+MCONFIG=\"{client}\"[,{ca},\"{username}\",",
    "'AT+MCONFIG=\"{client}\"[,{ca}",
    "this spelling takes `{ca}`, the first does not"
)]
#[case(
    "AT+MCONFIG=\"{client}\"[,\"{username}\",",
    "AT+MCONFIG=\"{client}\"[,{ca},",
    "'AT+MCONFIG=\"{client}\"[,{ca}",
    "this spelling takes `{ca}` instead of `{username}` of the first"
)]
// data after a prompt
#[case("prompt = \">\"\n", "", "data =", "[[step.publish-data]] has `data` but no `prompt`")]
#[case("data = \"payload\"\n", "", "prompt =", "[[step.publish-data]] has `prompt` but no `data`")]
#[case(
    "data = \"payload\"",
    "data = \"message\"",
    "\"message\"",
    "step `publish-data` has no argument `message`"
)]
#[case(
    "{retain},{len}",
    "{retain},{len},{payload}",
    "\"payload\"\nresult",
    "`payload` is sent as data and stands in the command too"
)]
#[case(
    "{retain},\"{payload}\"",
    "{retain},{len}",
    "{len}'\nresult",
    "`{len}` without a payload that it could be the length of"
)]
// lines
#[case(
    "+CGATT: {state:n}",
    "+CGATT: {state:x}",
    "{state:x}",
    "after the colon only `n` (a whole number) is known"
)]
#[case(
    "+CGREG: {mode:n},{state:n}",
    "+CGREG: {mode:n},{mode:n}",
    "{mode:n}\"",
    "`mode` stands twice in this line"
)]
#[case("+CGATT: {state:n}", "+CGATT: {len:n},{payload}", "{payload}\"]", "`{payload}` outside [message]")]
#[case("result = [\"SUBACK\"]", "result = [\"\"]", "\"\"]", "a line cannot be empty")]
#[case(
    "result = [\"SUBACK\"]",
    "result = \"SUBACK\"",
    "\"SUBACK\"",
    "`result` in [[step.subscribe]] is a text, not a list of texts or a table { qos0 = …, qos1 = …, qos2 = … }"
)]
#[case(
    "{ qos1 = [\"PUBACK\"], qos2",
    "{ qos1 = [\"PUBACK\"], qos4",
    "qos4",
    "unknown key `qos4` in `result` in [[step.publish]]"
)]
#[case(
    "result = [\"SUBACK\"]",
    "result = [\"NO CARRIER\"]",
    "\"NO CARRIER\"]\ncites",
    "`NO CARRIER` means success here and refusal in [lines] (`NO CARRIER`)"
)]
#[case(
    "result = [\"SUBACK\"]",
    "answer = [\"+CME ERROR: 0\"]",
    "\"+CME ERROR: 0\"",
    "`+CME ERROR: 0` means success here and refusal in [lines] (`+CME ERROR: {code}`)"
)]
#[case("result = [\"SUBACK\"]", "answer = []", "answer", "`answer` in [[step.subscribe]] is empty")]
#[case("boot = [", "boot = ['', ", "'',", "an empty line tells nothing")]
#[case(
    "direct = ['+MSUB: \"{topic}\",{len:n} byte,{payload}']",
    "direct = ['+MSUB: {topic}']",
    "'+MSUB: {topic}'",
    "this form in `direct` does not say where the payload ends"
)]
#[case(
    "direct = ['+MSUB: \"{topic}\",{len:n} byte,{payload}']",
    "direct = []",
    "direct",
    "`direct` in [message] has no form of a message"
)]
// escapes
#[case("'\"' = '\\22'", "'\"a' = '\\22'", "'\"a'", "`\"a` is not one byte")]
#[case("'\"' = '\\22'", "'\"' = ''", "''", "the escape of `\"` is not printable ASCII")]
#[case("'\"' = '\\22'", "'\"' = 22", "22,", "the escape of `\"` is a whole number, not a text")]
#[case("\"\\n\" = '\\0A'", "\"\\n\" = '\\22'", "'\\22', '", "two bytes are written as `\\22`")]
#[case("\"\\n\" = '\\0A'", "\"\\n\" = '\\2'", "'\\2', '", "`\\22` and `\\2` begin alike")]
#[case("table = {", "# table = {", "[escape]", "[escape] has no `table`")]
// arguments
#[case(
    "qos = { range = [0, 2]",
    "qos = { range = [2, 0]",
    "[2, 0]",
    "`range` in `qos` of [arg] goes from 2 down to 0"
)]
#[case(
    "qos = { range = [0, 2]",
    "qos = { range = [0]",
    "[0]",
    "`range` in `qos` of [arg] is a list of 1, not from and to"
)]
#[case(
    "length = [0, 2384]",
    "length = [-1, 2384]",
    "[-1",
    "`length` in `publish.payload` of [arg] begins at -1, less than 0"
)]
#[case(
    "\"publish.payload\" =",
    "\"publish.pay\" =",
    "\"publish.pay\"",
    "step `publish` takes no argument `pay`"
)]
#[case(
    "\"publish.payload\" =",
    "\"pub.payload\" =",
    "\"pub.payload\"",
    "`pub.payload` is about a step `pub`, which the profile does not have"
)]
#[case(
    "\"publish.payload\" =",
    "publish.payload =",
    "publish.payload =",
    "`publish` is a step, not an argument"
)]
#[case("mode = {", "modus = {", "modus", "no step of the profile takes an argument `modus`")]
#[case(
    "will_retain = { range = [0, 1] }",
    "will_retain = [0, 1]",
    "[0, 1]",
    "`will_retain` in [arg] is a list, not a table"
)]
// clauses and decisions
#[case("\"A780-1.2-02\"", "\"a780-1.2-02\"", "\"a780-1.2-02\"", "`a780-1.2-02` is not the id of a clause")]
#[case("id = \"X43\"", "id = \"43\"", "\"43\"", "`43` is not the id of a decision")]
#[case("id = \"X45\"", "id = \"X43\"", "\"X43\"\ntext = \"the port", "there are two decisions `X43`")]
fn a_mistake_is_told_at_its_place(
    #[case] from: &str,
    #[case] to: &str,
    #[case] place: &str,
    #[case] what: &str,
) {
    assert!(SHIPPED.contains(from), "the shipped profile has no {from}");
    let text = SHIPPED.replacen(from, to, 1);
    let mistakes = Profile::load(&text).unwrap_err();
    let told = render("air780e.toml", &text, &mistakes);
    let mistake =
        mistakes.iter().find(|m| m.what == what).unwrap_or_else(|| panic!("{what}\nnot in\n{told}"));
    let at: usize = text.split_inclusive('\n').take(mistake.line - 1).map(str::len).sum();
    let rest: String = text[at..].chars().skip(mistake.column - 1).collect();
    assert!(rest.starts_with(place), "not at {place}:\n{told}");
    assert!(!mistake.remedy.is_empty());
    assert!(mistakes.len() <= 2, "one change, and so many mistakes:\n{told}");
}

#[test]
fn a_thoroughly_broken_profile_reads_well() {
    let mut told = String::new();
    let files = [("broken.toml", BROKEN), ("broken-words.toml", BROKEN_WORDS), ("not-toml.toml", NOT_TOML)];
    for (file, source) in files {
        told += &render(file, source, &Profile::load(source).unwrap_err());
        told += "\n";
    }
    insta::assert_snapshot!(told);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_read_without_a_crash(text in any::<String>()) {
        harmless(&text);
    }

    #[test]
    fn any_text_of_tomls_own_characters_too(text in "[\\[\\]{}=\"'a-c.,#\n 0-9:\\\\-]{0,200}") {
        harmless(&text);
    }

    #[test]
    fn a_spoilt_profile_is_read_without_a_crash(
        edits in prop::collection::vec((0..3u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<String>()), 1..5),
    ) {
        let mut text: Vec<char> = SHIPPED.chars().collect();
        for (edit, from, to, insert) in edits {
            let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            match edit {
                0 => drop(text.drain(from..to.min(from + 50))),
                1 if to < text.len() => text.swap(from, to),
                _ => drop(text.splice(from..from, insert.chars())),
            }
        }
        harmless(&text.into_iter().collect::<String>());
    }

    /// One piece of the file more or less: this keeps more of the file readable, and so reaches deeper.
    #[test]
    fn a_profile_with_pieces_exchanged_too(
        at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), drop_it in any::<bool>(),
    ) {
        let mut pieces: Vec<&str> = SHIPPED.split_inclusive(['\n', ' ', ',', '"', '\'', '{', '}']).collect();
        let (at, other) = (at.index(pieces.len()), other.index(pieces.len()));
        if drop_it { pieces.remove(at); } else { pieces[at] = pieces[other]; }
        harmless(&pieces.concat());
    }
}

/// Loads; where there are mistakes they stand inside the file, in order, each with a remedy.
fn harmless(text: &str) {
    let Err(mistakes) = Profile::load(text) else { return };
    assert!(!mistakes.is_empty());
    assert!(mistakes.is_sorted_by_key(|m| (m.line, m.column)), "{mistakes:#?}");
    let lines: Vec<&str> = text.split('\n').collect();
    for mistake in &mistakes {
        let line = lines.get(mistake.line - 1).expect("the line is in the file");
        assert!((1..=line.chars().count() + 1).contains(&mistake.column), "{mistake:?} in {line:?}");
        assert!(!mistake.what.is_empty() && !mistake.remedy.is_empty(), "{mistake:?}");
        assert!(mistake.what.len() + mistake.remedy.len() < 2000, "{mistake:?}");
    }
    assert!(render("f", text, &mistakes).len() < 400_000);
}

#[rstest]
#[case("[[step.probe]]\n")]
#[case("[[step.probe]]\nx=1\n")]
#[case("[[decision]]\nid='X1'\ntext='a'\n")]
#[case("a=[{")]
#[case("a.")]
#[case("[")]
#[case("=\n")]
#[case("x='\n")]
#[case("x=\"\\2")]
#[case("温")]
#[case("[[step.publish]]\nsend='AT={")]
fn a_long_file_takes_little_time_and_memory(#[case] piece: &str) {
    harmless(&piece.repeat(250_000 / piece.len()));
    harmless(&format!("[lines]\nrefused=['{}']", piece.replace(['\n', '\''], "").repeat(10_000)));
    harmless(&format!("[step]\n'{}'=1", piece.replace(['\n', '\''], "").repeat(10_000)));
}

#[test]
fn a_file_that_is_no_profile_is_not_even_parsed() {
    let mistakes = Profile::load(&"#".repeat(50_000_000)).unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert_eq!(mistakes[0].what, "the file has 50000000 bytes, a profile at most 262144");
}
