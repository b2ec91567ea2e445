//! The rules of the Jenkins xUnit schema (junit-10.xsd), and of readers stricter than it, over an event stream.
//!
//! Where the schema says `xs:string` for a number, this checker wants a number: GitLab and Azure do. Elements which
//! atspec never writes (nested suites, reruns, `system-err`) are not allowed here.

use std::collections::HashSet;

use quick_xml::{
    Reader, XmlVersion,
    escape::unescape,
    events::{BytesStart, Event},
};

/// A test suite as a reader sees it.
#[derive(Debug, Default)]
pub(crate) struct Suite {
    pub(crate) attributes: Attributes,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) cases: Vec<Case>,
}

/// A test case as a reader sees it.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) attributes: Attributes,
    /// `failure`, `error`, `skipped`, `system-out` with attributes and text.
    pub(crate) children: Vec<(String, Attributes, String)>,
}

/// Names and values, unescaped.
#[derive(Debug, Default, Clone)]
pub(crate) struct Attributes(Vec<(String, String)>);

impl Attributes {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    fn number(&self, name: &str) -> Result<usize, String> {
        let value = self.get(name).ok_or_else(|| format!("{name} is missing"))?;
        value.parse().map_err(|_| format!("{name}={value:?} is no count"))
    }

    /// Only the known ones, and all of the required ones.
    fn check(&self, element: &str, known: &[&str], required: &[&str]) -> Result<(), String> {
        if let Some((odd, _)) = self.0.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            return Err(format!("<{element}> has the unknown attribute {odd}"));
        }
        if let Some(missing) = required.iter().find(|name| self.get(name).is_none()) {
            return Err(format!("<{element}> lacks {missing}"));
        }
        if let Some(time) = self.get("time") {
            check_time(time)?;
        }
        Ok(())
    }
}

/// Reads a file by the rules, or tells the first that it breaks.
pub(crate) fn check(xml: &[u8]) -> Result<Vec<Suite>, String> {
    let text = std::str::from_utf8(xml).map_err(|e| e.to_string())?;
    if let Some(odd) = text.chars().find(|&c| !is_xml_char(c)) {
        return Err(format!("{odd:?} is no character of XML 1.0"));
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut reading = Reading::default();
    loop {
        match reader.read_event().map_err(|e| format!("at {}: {e}", reader.buffer_position()))? {
            Event::Decl(_) if reading.path.is_empty() && !reading.seen_root => {}
            Event::Start(tag) => reading.open(&tag)?,
            Event::Empty(tag) => {
                reading.open(&tag)?;
                reading.close();
            }
            Event::End(_) => reading.close(),
            Event::Text(text) => reading.text(&text.decode().map_err(|e| e.to_string())?)?,
            Event::CData(data) => reading.text(&data.decode().map_err(|e| e.to_string())?)?,
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|e| e.to_string())?;
                reading.text(&unescape(&format!("&{name};")).map_err(|e| e.to_string())?)?;
            }
            Event::Eof => break,
            other => return Err(format!("{other:?} has no place in the file")),
        }
    }
    if !reading.path.is_empty() || !reading.seen_root {
        return Err("the root element is missing or open".into());
    }
    check_counts(&reading.suites)?;
    check_names(&reading.suites)?;
    Ok(reading.suites)
}

#[derive(Debug, Default)]
struct Reading {
    path: Vec<String>,
    seen_root: bool,
    suites: Vec<Suite>,
}

impl Reading {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let name = String::from_utf8(tag.name().as_ref().to_vec()).map_err(|e| e.to_string())?;
        let attributes = attributes(tag)?;
        let parent = self.path.last().cloned().unwrap_or_default();
        match (parent.as_str(), name.as_str()) {
            ("", "testsuites") if !self.seen_root => {
                self.seen_root = true;
                attributes.check(&name, &["name", "time", "tests", "failures", "errors"], &[])?;
            }
            ("testsuites", "testsuite") => {
                let known = [
                    "id",
                    "name",
                    "package",
                    "tests",
                    "errors",
                    "failures",
                    "skipped",
                    "hostname",
                    "timestamp",
                    "time",
                ];
                attributes.check(
                    &name,
                    &known,
                    &["name", "tests", "failures", "errors", "skipped", "time"],
                )?;
                self.suites.push(Suite { attributes, ..Suite::default() });
            }
            ("testsuite", "properties") if self.suite().cases.is_empty() => {}
            ("properties", "property") => {
                attributes.check(&name, &["name", "value"], &["name", "value"])?;
                let text = |key| attributes.get(key).unwrap().to_owned();
                self.suite().properties.push((text("name"), text("value")));
            }
            ("testsuite", "testcase") => {
                attributes.check(&name, &["name", "time", "classname"], &["name", "time", "classname"])?;
                self.suite().cases.push(Case { attributes, children: Vec::new() });
            }
            ("testcase", "failure" | "error" | "skipped") => {
                attributes.check(&name, &["type", "message"], &["type", "message"])?;
                self.case().children.push((name.clone(), attributes, String::new()));
            }
            ("testcase", "system-out") => {
                attributes.check(&name, &[], &[])?;
                self.case().children.push((name.clone(), attributes, String::new()));
            }
            _ => return Err(format!("<{name}> has no place in <{parent}>")),
        }
        self.path.push(name);
        Ok(())
    }

    fn close(&mut self) {
        self.path.pop();
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        match self.path.last().map(String::as_str) {
            Some("failure" | "error" | "skipped" | "system-out") => {
                self.case().children.last_mut().unwrap().2.push_str(text);
                Ok(())
            }
            _ if text.trim_ascii().is_empty() => Ok(()),
            parent => Err(format!("{text:?} has no place in {parent:?}")),
        }
    }

    fn suite(&mut self) -> &mut Suite {
        self.suites.last_mut().unwrap()
    }

    fn case(&mut self) -> &mut Case {
        self.suite().cases.last_mut().unwrap()
    }
}

fn attributes(tag: &BytesStart<'_>) -> Result<Attributes, String> {
    let mut all = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let raw = String::from_utf8_lossy(&attribute.value);
        if raw.contains('<') {
            return Err(format!("`<` within an attribute of {:?}", tag.name()));
        }
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|e| e.to_string())?;
        all.push((String::from_utf8_lossy(attribute.key.as_ref()).into_owned(), value.into_owned()));
    }
    Ok(Attributes(all))
}

/// Digits, and at most three more after a point: older versions of the schema refuse the rest.
fn check_time(time: &str) -> Result<(), String> {
    let (whole, rest) = time.split_once('.').unwrap_or((time, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(rest) || rest.len() > 3 {
        return Err(format!("time={time:?} is not seconds with at most three decimals"));
    }
    Ok(())
}

fn check_counts(suites: &[Suite]) -> Result<(), String> {
    for suite in suites {
        let with = |child: &str| {
            suite.cases.iter().filter(|c| c.children.iter().any(|(name, ..)| name == child)).count()
        };
        let counted = [
            ("failures", with("failure")),
            ("errors", with("error")),
            ("skipped", with("skipped")),
            ("tests", suite.cases.len()),
        ];
        for (name, count) in counted {
            if suite.attributes.number(name)? != count {
                return Err(format!("{name} is not {count} in {:?}", suite.attributes));
            }
        }
        let results = |case: &Case| case.children.iter().filter(|(name, ..)| name != "system-out").count();
        if suite.cases.iter().any(|case| results(case) > 1) {
            return Err("a test case with two results".into());
        }
    }
    Ok(())
}

/// Unique for GitLab, not blank for Azure.
fn check_names(suites: &[Suite]) -> Result<(), String> {
    let mut seen = HashSet::new();
    for suite in suites {
        let name = suite.attributes.get("name").unwrap();
        if name.trim().is_empty() || !seen.insert((name, None)) {
            return Err(format!("the suite name {name:?} is blank or comes twice"));
        }
        for case in &suite.cases {
            let (class, case) =
                (case.attributes.get("classname").unwrap(), case.attributes.get("name").unwrap());
            if case.trim().is_empty() || class != name || !seen.insert((class, Some(case))) {
                return Err(format!("the case {class:?} {case:?} is blank, astray or comes twice"));
            }
        }
    }
    Ok(())
}

fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[test]
fn the_rules_bite() {
    let suite = |inner: &str| {
        format!(
            r#"<testsuites><testsuite name="s" tests="1" failures="0" errors="0" skipped="0" time="1.5">{inner}</testsuite></testsuites>"#
        )
    };
    let good = suite(r#"<testcase name="n" classname="s" time="1.500"/>"#);
    check(good.as_bytes()).unwrap();
    let bad = [
        (suite(""), "tests is not 0"),
        (suite(r#"<testcase name="" classname="s" time="1"/>"#), "blank"),
        (suite(r#"<testcase name="n" time="1"/>"#), "lacks classname"),
        (suite(r#"<testcase name="n" classname="s" time="1.0001"/>"#), "three decimals"),
        (suite(r#"<testcase name="n" classname="s" time="1" file="f"/>"#), "unknown attribute file"),
        (
            suite(r#"<testcase name="n" classname="s" time="1"><failure type="" message=""/></testcase>"#),
            "failures is not 1",
        ),
        (suite(r#"<testcase name="n" classname="s" time="1"/><properties/>"#), "no place"),
        (suite("words"), "no place"),
        (suite("\u{1b}"), "no character"),
        (good.replace("</testsuites>", ""), "open"),
        (good.replace("1.5\"", "1e3\""), "three decimals"),
        (String::new(), "missing"),
    ];
    for (xml, why) in bad {
        let told = check(xml.as_bytes()).unwrap_err();
        assert!(told.contains(why), "{told} for {xml}");
    }
}
