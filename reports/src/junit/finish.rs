//! One pass over what junit-report wrote, for what it has no words for.
//!
//! It adds `<properties>` and `skipped=` to each test suite, writes times with milliseconds and no more, leaves out a
//! time stamp that nobody told, writes `]]>` as XML wants it, and puts every element on a line of its own.

use std::io;

use quick_xml::{
    Reader, Writer,
    events::{BytesCData, BytesStart, BytesText, Event},
};

/// What junit-report cannot say about one test suite.
#[derive(Debug)]
pub(super) struct Extra {
    /// Names and values, both safe.
    pub(super) properties: Vec<(&'static str, String)>,
    /// How many of its cases were skipped.
    pub(super) skipped: usize,
    /// Whether its time stamp is a told one.
    pub(super) dated: bool,
}

/// Stands between `]]` and `>` on the way through junit-report, which would end its CDATA section there. No safe text holds this character.
const GUARD: char = '\u{e000}';

/// Text that junit-report can put into a CDATA section; [`finish`] takes the guard out again.
pub(super) fn guarded(text: &str) -> String {
    text.replace("]]>", &format!("]]{GUARD}>"))
}

/// The finished file; `extras` in the order of the test suites.
pub(super) fn finish(xml: &[u8], extras: &[Extra]) -> io::Result<Vec<u8>> {
    let mut reader = Reader::from_reader(xml);
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 1);
    let mut extras = extras.iter();
    loop {
        match reader.read_event().map_err(io::Error::other)? {
            Event::Eof => break,
            Event::Start(tag) if tag.name().as_ref() == b"testsuite" => {
                let extra =
                    extras.next().ok_or_else(|| io::Error::other("a test suite that was not asked for"))?;
                writer.write_event(Event::Start(suite_tag(&tag, extra)?))?;
                properties(&mut writer, extra)?;
            }
            Event::Start(tag) => writer.write_event(Event::Start(timed(&tag)?))?,
            Event::Empty(tag) => writer.write_event(Event::Empty(timed(&tag)?))?,
            Event::CData(data) => writer.write_event(unguarded(data)?.borrow())?,
            other => writer.write_event(other)?,
        }
    }
    let mut out = writer.into_inner();
    out.push(b'\n');
    Ok(out)
}

fn suite_tag(tag: &BytesStart<'_>, extra: &Extra) -> io::Result<BytesStart<'static>> {
    let timed = timed(tag)?;
    let mut out = BytesStart::new("testsuite");
    for attribute in timed.attributes() {
        let attribute = attribute.map_err(io::Error::other)?;
        match attribute.key.as_ref() {
            b"timestamp" if !extra.dated => {}
            b"hostname" => {} // junit-report's `localhost` is nobody's word
            b"failures" => {
                out.push_attribute(attribute);
                out.push_attribute(("skipped", extra.skipped.to_string().as_str()));
            }
            _ => out.push_attribute(attribute),
        }
    }
    Ok(out)
}

/// The tag with its `time` in milliseconds: the sum of a suite carries the noise of its floating point.
fn timed(tag: &BytesStart<'_>) -> io::Result<BytesStart<'static>> {
    let mut out = BytesStart::new(String::from_utf8_lossy(tag.name().as_ref()).into_owned());
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(io::Error::other)?;
        if attribute.key.as_ref() == b"time" {
            let told = String::from_utf8_lossy(&attribute.value);
            let seconds: f64 = told.parse().map_err(io::Error::other)?;
            out.push_attribute(("time", format!("{seconds:.3}").as_str()));
        } else {
            out.push_attribute(attribute);
        }
    }
    Ok(out)
}

fn properties(writer: &mut Writer<Vec<u8>>, extra: &Extra) -> io::Result<()> {
    writer.write_event(Event::Start(BytesStart::new("properties")))?;
    for (name, value) in &extra.properties {
        let tag = BytesStart::new("property").with_attributes([("name", *name), ("value", value.as_str())]);
        writer.write_event(Event::Empty(tag))?;
    }
    writer.write_event(Event::End(BytesStart::new("properties").to_end()))
}

/// A CDATA section as it is; one that holds `]]>` as escaped text, which every reader puts together again.
fn unguarded(data: BytesCData<'_>) -> io::Result<Event<'static>> {
    let text = data.decode().map_err(io::Error::other)?;
    if !text.contains(GUARD) {
        drop(text);
        return Ok(Event::CData(data.into_owned()));
    }
    let text = text.replace(GUARD, "");
    Ok(Event::Text(BytesText::new(&text).into_owned()))
}
