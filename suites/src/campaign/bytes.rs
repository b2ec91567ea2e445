//! Which byte values survive on each way into a module and out of it.
//!
//! Many are sent at once; where something is wrong with them, halves of them, down to the single one. So a way on which all is
//! well costs few sendings, and one on which it is not costs a handful for each byte that does not survive.

use atspec_model::{case::Context, profile::Profile, timeline::Bindings};
use serde::Serialize;

use super::{
    Came, Campaign, Next,
    action::{Action, Bytes, Input},
    fate::{self, Fate},
    promise::{self, Promise},
    way::Way,
};

/// Where in a value a byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Between letters.
    Middle,
    /// Before letters.
    First,
    /// Behind letters.
    Last,
    /// By itself.
    Alone,
}

/// The places in the order in which they are tried and told.
pub const PLACES: [Place; 4] = [Place::Middle, Place::First, Place::Last, Place::Alone];

/// One byte value on one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The byte value.
    pub byte: u8,
    /// What is sent for it: itself, or a character of UTF-8 that has it, where MQTT has text. Nothing where MQTT forbids it, or
    /// nobody says how it could be written.
    pub unit: Vec<u8>,
    /// What the document promises of it.
    pub promise: Promise,
    /// What became of it, by place; nothing where it was not sent.
    pub fates: [Option<Fate>; 4],
}

/// All byte values on one way, and pairs of special ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// The way.
    pub way: Way,
    /// All 256.
    pub cells: Vec<Cell>,
    /// Pairs that did not survive: what was sent, what is promised of it, what became of it.
    pub pairs: Vec<(Vec<u8>, Promise, Fate)>,
    /// How many pairs were tried.
    pub pairs_tried: usize,
    /// Escapes written in ways that the document does not have: what was written, and what became of it.
    pub spellings: Vec<(Vec<u8>, Fate)>,
}

/// What a sending is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A byte value in the middle.
    Middle(u8),
    /// One first, one last.
    Ends(Option<u8>, Option<u8>),
    /// One by itself.
    Alone(u8),
    /// Some bytes in the middle, and what is promised of them.
    Pair(Vec<u8>, Promise),
    /// An escape as it is written.
    Spelling(Vec<u8>),
}

/// A sending in waiting: parts that go together on one way.
#[derive(Debug, Clone)]
struct Probe {
    /// Indices of maps; several only for fields of CONNECT, which go together.
    maps: Vec<usize>,
    parts: Vec<Part>,
}

/// The campaign.
#[derive(Debug)]
pub struct ByteMaps<'p> {
    profile: &'p Profile,
    maps: Vec<Map>,
    /// What is still to be sent; the last first.
    waiting: Vec<Probe>,
    sent: Option<Probe>,
    sendings: usize,
}

/// Letters that no escape has.
const BETWEEN: &[u8] = b"ghijklmnopqrstuvwxyz";

/// Bytes that firmware is known to trip over, for pairs: escape, quote, comma, line ends, NUL, the ends of data modes, a prompt.
const SPECIAL: [&[u8]; 14] = [
    b"\\",
    b"\"",
    b",",
    b"\r",
    b"\n",
    b"\0",
    b"\x1a",
    b"\x1b",
    b"+++",
    b">",
    b"22",
    b"0D",
    "\u{e9}".as_bytes(),
    b"\xb0\xa1",
];

impl<'p> ByteMaps<'p> {
    /// A campaign over every way of a module that `wanted` takes.
    pub fn new(profile: &'p Profile, wanted: impl Fn(&Way) -> bool) -> Self {
        let bindings = Bindings { topic: "At/abcdefgh".to_owned(), ..Bindings::default() };
        let cx = Context { profile, bindings: &bindings };
        let ways = Way::all(profile).into_iter().filter(|way| wanted(way));
        let maps: Vec<Map> = ways.map(|way| empty(&cx, way)).collect();
        let mut this = Self { profile, maps, waiting: Vec::new(), sent: None, sendings: 0 };
        this.plan(&cx);
        this.waiting.reverse();
        this
    }

    /// The maps, as far as they are known.
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// How many sendings they took so far.
    pub fn sendings(&self) -> usize {
        self.sendings
    }

    fn plan(&mut self, cx: &Context<'_>) {
        let together = |map: &Map| matches!(&map.way, Way::Field(name) if name != "client");
        let fields: Vec<usize> = (0..self.maps.len()).filter(|i| together(&self.maps[*i])).collect();
        let single = (0..self.maps.len()).filter(|i| !fields.contains(i)).map(|i| vec![i]);
        let mut all: Vec<Vec<usize>> = single.collect();
        if !fields.is_empty() {
            all.push(fields);
        }
        for maps in all {
            self.plan_for(cx, &maps);
        }
    }

    fn plan_for(&mut self, cx: &Context<'_>, maps: &[usize]) {
        let sendable =
            |byte: &u8| maps.iter().any(|i| !self.maps[*i].cells[usize::from(*byte)].unit.is_empty());
        let all: Vec<u8> = (0..=255).filter(sendable).collect();
        let group = maps.iter().map(|i| room(cx, &self.maps[*i].way) / 5).min().unwrap_or(1).max(1);
        let firm = |byte: &&u8| {
            maps.iter().all(|i| self.maps[*i].cells[usize::from(**byte)].promise <= Promise::Implied)
        };
        // What nobody promises goes apart, so that it does not hide what is promised.
        let (sure, open): (Vec<&u8>, Vec<&u8>) = all.iter().partition(firm);
        let mut probes = Vec::new();
        for chunk in sure.chunks(group).chain(open.chunks(group.min(16))) {
            let parts = chunk.iter().map(|byte| Part::Middle(**byte)).collect();
            probes.push(Probe { maps: maps.to_vec(), parts });
        }
        for two in all.chunks(2) {
            let part = Part::Ends(two.first().copied(), two.last().copied());
            probes.push(Probe { maps: maps.to_vec(), parts: vec![part] });
            let swapped = Part::Ends(two.last().copied(), two.first().copied());
            probes.push(Probe { maps: maps.to_vec(), parts: vec![swapped] });
        }
        probes.extend(all.iter().map(|byte| Probe { maps: maps.to_vec(), parts: vec![Part::Alone(*byte)] }));
        if let [one] = maps {
            let way = self.maps[*one].way.clone();
            let pairs = pairs(cx, &way);
            self.maps[*one].pairs_tried = pairs.len();
            let group = (room(cx, &way) / 8).max(1);
            let (sure, open): (Vec<_>, Vec<_>) =
                pairs.into_iter().partition(|(_, promise)| *promise <= Promise::Implied);
            for chunk in sure.chunks(group).chain(open.chunks(group.min(8))) {
                let parts = chunk.iter().map(|(pair, promise)| Part::Pair(pair.clone(), *promise)).collect();
                probes.push(Probe { maps: maps.to_vec(), parts });
            }
            let spellings = spellings(cx.profile, &way).into_iter().map(Part::Spelling);
            probes.extend(spellings.map(|part| Probe { maps: maps.to_vec(), parts: vec![part] }));
        }
        self.waiting.extend(probes);
    }

    /// The value that a probe sends on one way.
    fn value(&self, map: usize, probe: &Probe) -> Vec<u8> {
        let unit = |byte: u8| self.maps[map].cells[usize::from(byte)].unit.as_slice();
        let mut value = Vec::new();
        for (n, part) in probe.parts.iter().enumerate() {
            let letter = &BETWEEN[n % BETWEEN.len()..][..1];
            match part {
                Part::Middle(byte) => value.extend([letter, unit(*byte)].concat()),
                Part::Pair(pair, _) | Part::Spelling(pair) => {
                    value.extend([letter, pair.as_slice()].concat());
                }
                Part::Alone(byte) => value.extend(unit(*byte)),
                Part::Ends(first, last) => {
                    let of = |byte: &Option<u8>| byte.map_or(&b""[..], |byte| unit(byte)).to_vec();
                    value.extend([of(first), b"go".to_vec(), of(last)].concat());
                }
            }
        }
        if !matches!(probe.parts.first(), Some(Part::Alone(_) | Part::Ends(..))) {
            value.extend(b"z");
        }
        value
    }

    /// Whether a probe is written as it is, by what is promised of its bytes.
    fn is_raw(&self, map: usize, probe: &Probe, value: &[u8]) -> bool {
        let profile = self.profile;
        if matches!(probe.parts.first(), Some(Part::Spelling(_))) {
            return true;
        }
        let way = &self.maps[map].way;
        way.argument(profile).is_some_and(|(step, name)| {
            !promise::is_data(profile, &step, &name) && profile.written(&step, &name, true, value).is_err()
        })
    }

    fn input(&self, probe: &Probe) -> Input {
        let values: Vec<(usize, Vec<u8>)> =
            probe.maps.iter().map(|map| (*map, self.value(*map, probe))).collect();
        let raw = values.iter().any(|(map, value)| self.is_raw(*map, probe, value));
        match values.as_slice() {
            [(map, value)] => self.maps[*map].way.input(value, raw),
            many => {
                let named = |(map, value): &(usize, Vec<u8>)| match &self.maps[*map].way {
                    Way::Field(name) => Some((name.clone(), Bytes(value.clone()))),
                    _ => None,
                };
                // Nothing was sent for a byte that cannot be, so the usual value stays.
                let filled = |(_, value): &&(usize, Vec<u8>)| !value.is_empty();
                Input::one(Action::Connect {
                    values: many.iter().filter(filled).filter_map(named).collect(),
                    raw,
                })
            }
        }
    }

    /// Notes what became of a part that went by itself.
    fn note(&mut self, map: usize, part: &Part, fate: Fate) {
        let map = &mut self.maps[map];
        let cell = |map: &mut Map, byte: u8, place: usize, fate: Fate| {
            let cell = &mut map.cells[usize::from(byte)];
            if !cell.unit.is_empty() {
                cell.fates[place] = Some(fate);
            }
        };
        match part {
            Part::Middle(byte) => cell(map, *byte, 0, fate),
            Part::Alone(byte) => cell(map, *byte, 3, fate),
            Part::Ends(first, last) => {
                if let Some(first) = first {
                    cell(map, *first, 1, fate.clone());
                }
                if let Some(last) = last {
                    cell(map, *last, 2, fate);
                }
            }
            Part::Pair(pair, promise) if fate != Fate::Kept => map.pairs.push((pair.clone(), *promise, fate)),
            Part::Pair(..) => {}
            Part::Spelling(spelling) => map.spellings.push((spelling.clone(), fate)),
        }
    }

    /// Smaller probes in place of one that did not come through; none where it cannot be made smaller.
    fn split(probe: &Probe) -> Vec<Probe> {
        let of = |maps: &[usize], parts: &[Part]| Probe { maps: maps.to_vec(), parts: parts.to_vec() };
        if probe.maps.len() > 1 {
            let (a, b) = probe.maps.split_at(probe.maps.len() / 2);
            return vec![of(a, &probe.parts), of(b, &probe.parts)];
        }
        if probe.parts.len() > 1 {
            let (a, b) = probe.parts.split_at(probe.parts.len() / 2);
            return vec![of(&probe.maps, a), of(&probe.maps, b)];
        }
        match probe.parts.first() {
            Some(Part::Ends(first @ Some(_), last @ Some(_))) => {
                let ends = [Part::Ends(*first, None), Part::Ends(None, *last)];
                ends.iter().map(|part| of(&probe.maps, std::slice::from_ref(part))).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Campaign for ByteMaps<'_> {
    fn next(&mut self) -> Option<Next> {
        let probe = self.waiting.pop()?;
        let input = self.input(&probe);
        self.sent = Some(probe);
        self.sendings += 1;
        Some(Next { input, fresh: false })
    }

    fn learn(&mut self, came: &Came<'_>) {
        let Some(probe) = self.sent.take() else { return };
        let fate = |map: &usize| (*map, fate::of(&self.maps[*map].way, &self.value(*map, &probe), came));
        let fates: Vec<(usize, Fate)> = probe.maps.iter().map(fate).collect();
        let unsent = |map: usize| self.value(map, &probe).is_empty();
        let whole = fates.iter().all(|(map, fate)| *fate == Fate::Kept || unsent(*map));
        let smaller = if whole { Vec::new() } else { Self::split(&probe) };
        if !smaller.is_empty() {
            return self.waiting.extend(smaller);
        }
        for (map, fate) in fates {
            let value = self.value(map, &probe);
            for part in &probe.parts {
                self.note(map, part, told(&fate, part, &value));
            }
        }
    }
}

/// What became of the part itself: the letters around it are taken off.
fn told(fate: &Fate, part: &Part, sent: &[u8]) -> Fate {
    let Fate::Altered(to) = fate else { return fate.clone() };
    let (head, tail): (&[u8], &[u8]) = match part {
        Part::Middle(_) | Part::Pair(..) | Part::Spelling(_) => (&sent[..1], b"z"),
        Part::Ends(Some(_), _) => (b"", b"go"),
        Part::Ends(None, _) => (b"go", b""),
        Part::Alone(_) => (b"", b""),
    };
    let inner = to.0.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
    Fate::Altered(inner.map_or_else(|| to.clone(), |inner| Bytes(inner.to_vec())))
}

/// How many bytes can go this way at once.
fn room(cx: &Context<'_>, way: &Way) -> usize {
    let profile = cx.profile;
    let documented = way.argument(profile).and_then(|(step, name)| {
        let text = profile.argument(&step, &name).and_then(|a| a.length).map(|(_, max)| max);
        if name == "payload" { crate::words::longest_payload(cx, &step).or(text) } else { text }
    });
    let usual = match way {
        Way::Payload(_) | Way::Received { .. } => 1000,
        Way::Field(name) if name == "client" => 23,
        Way::Field(_) => 40,
        _ => 36,
    };
    let line = profile.behaviour.command_max.map_or(usize::MAX, |max| max / 4);
    let cached = profile.behaviour.receive_max.unwrap_or(usize::MAX);
    documented.unwrap_or(usual).min(usual).min(line).min(cached)
}

/// A map in which nothing is known yet.
fn empty(cx: &Context<'_>, way: Way) -> Map {
    let cells = (0..=255).map(|byte| {
        let unit = unit(cx, &way, byte).unwrap_or_default();
        Cell { byte, promise: of_unit(cx, &way, &unit), unit, fates: [None, None, None, None] }
    });
    Map { cells: cells.collect(), way, pairs: Vec::new(), pairs_tried: 0, spellings: Vec::new() }
}

/// What is sent for a byte value on this way; nothing where it cannot be sent.
fn unit(cx: &Context<'_>, way: &Way, byte: u8) -> Option<Vec<u8>> {
    let unit = if way.is_text() { character(way, byte)? } else { vec![byte] };
    if cx.profile.message.any && matches!(way, Way::Received { .. } | Way::ReceivedTopic) {
        // No form is documented: what reads like the end of a line, or like another line, cannot be told apart.
        return unit.iter().all(u8::is_ascii_graphic).then_some(unit);
    }
    writable(cx.profile, way, &unit).then_some(unit)
}

/// Whether bytes can be put into a command at all: what ends the argument or the line cannot, unless there is an escape.
fn writable(profile: &Profile, way: &Way, unit: &[u8]) -> bool {
    let Some((step, name)) = way.argument(profile) else { return true };
    if promise::is_data(profile, &step, &name) || profile.argument(&step, &name).is_some_and(|a| a.escaped) {
        return true;
    }
    let templates =
        profile.steps.get(&step).into_iter().flat_map(|s| &s.exchanges).filter_map(|e| e.send.first());
    let framed = templates.into_iter().any(|template| template.quotes(&name));
    !unit.iter().any(|b| matches!(b, b'\r' | b'\n' | b'"') || *b == b',' && !framed)
}

/// A character that has the byte in it and that MQTT allows in this text.
fn character(way: &Way, byte: u8) -> Option<Vec<u8>> {
    let wild =
        matches!(way, Way::Topic(_) | Way::ReceivedTopic) || *way == Way::Field("will_topic".to_owned());
    let filter = *way == Way::Filter;
    match byte {
        // Wildcards MUST NOT be in a name, and in a filter only by themselves; topics with `$` are the server's.
        b'+' | b'#' | b'$' if wild || filter => None,
        0x20..=0x7e => Some(vec![byte]),
        0x80..=0xbf => Some(vec![0xc4, byte]),
        0xc2 => Some("\u{a9}".as_bytes().to_vec()),
        0xc3..=0xdf => Some(vec![byte, 0xa0]),
        0xe0 => Some(vec![byte, 0xa4, 0x85]),
        0xe1..=0xed => Some(vec![byte, 0x80, 0x80]),
        0xef => Some("\u{ff21}".as_bytes().to_vec()),
        0xf0 => Some("\u{1f600}".as_bytes().to_vec()),
        // Control characters SHOULD NOT be there (1.5.3-2); the others are in no character, or in none that somebody has.
        0x00..=0x1f | 0x7f | 0xc0 | 0xc1 | 0xee | 0xf1..=0xff => None,
    }
}

fn of_unit(cx: &Context<'_>, way: &Way, unit: &[u8]) -> Promise {
    match way.argument(cx.profile) {
        Some((step, name)) => promise::of_bytes(cx, &step, &name, unit),
        None if cx.profile.message.any => Promise::Implied,
        None if *way == Way::ReceivedTopic && !unit.iter().all(u8::is_ascii_alphanumeric) => Promise::Implied,
        None => Promise::Kept,
    }
}

/// Pairs of special bytes that can go this way, and what is promised of them. Of payloads only: elsewhere most are forbidden.
fn pairs(cx: &Context<'_>, way: &Way) -> Vec<(Vec<u8>, Promise)> {
    if !matches!(way, Way::Payload(_) | Way::Received { .. })
        || cx.profile.message.any && way.argument(cx.profile).is_none()
    {
        return Vec::new();
    }
    let all = SPECIAL.iter().flat_map(|a| SPECIAL.iter().map(|b| [*a, *b].concat()));
    all.filter(|pair| writable(cx.profile, way, pair))
        .map(|pair| {
            let promise = of_unit(cx, way, &pair);
            (pair, promise)
        })
        .collect()
}

/// Escapes as the document does not write them: with small letters, with other numbers, a mark by itself.
fn spellings(profile: &Profile, way: &Way) -> Vec<Vec<u8>> {
    let Some((step, name)) = way.argument(profile) else { return Vec::new() };
    if !profile.argument(&step, &name).is_some_and(|a| a.escaped) {
        return Vec::new();
    }
    let table = &profile.escapes.table;
    let lowered = table.iter().map(|(_, written)| written.to_ascii_lowercase());
    let documented = |written: &Vec<u8>| table.iter().any(|(_, other)| other == written);
    let mark = table.first().and_then(|(_, written)| written.first()).copied().unwrap_or(b'\\');
    let others = ["41", "7F", "00", "n", "x"].map(|rest| [&[mark], rest.as_bytes()].concat());
    let mut all: Vec<Vec<u8>> = lowered.filter(|written| !documented(written)).chain(others).collect();
    all.dedup();
    all
}
