//! `atspec bytes`: which byte values survive on each way into a module and out of it.

use std::fmt::Write as _;

use atspec_model::{profile::Profile, text, verdict::Verdict};
use atspec_suites::campaign::{
    bytes::{ByteMaps, Cell, Map, PLACES},
    fate::Fate,
    promise::Promise,
    way::Way,
};
use serde_json::{Value, json};

use crate::{
    args::{BytesArgs, Format},
    failure::Failure,
    measure::write,
    modules, out, seat,
    select::Selection,
};

/// The first part of the ids under which bytes are sent.
pub(crate) const ID: &str = "bytes/map";

/// Maps every way that was chosen; exit code 1 where a promised byte does not survive.
pub(crate) fn bytes(args: &BytesArgs) -> Result<u8, Failure> {
    let profiles = modules::find_all(&args.seat.module)?;
    let names: Vec<String> = profiles.iter().flat_map(Way::all).map(|way| way.name()).collect();
    let selection = Selection::new(&args.only, &[], &names)?;
    let results = seat::at_each(&args.seat, async |profile, sitting| {
        let mut campaign = ByteMaps::new(profile, |way| selection.takes(&way.name()));
        seat::drive(sitting, profile, ID, &mut campaign, |_, _| ()).await?;
        Ok((campaign.maps().to_vec(), campaign.sendings()))
    })?;
    let mut told = String::new();
    let mut rows = Vec::new();
    let mut worst = Verdict::Pass;
    for (profile, (maps, sendings)) in &results {
        told += &legend(profile, *sendings);
        for map in maps {
            told += &in_words(map);
            rows.push(as_json(&profile.name, map));
            worst = worst.max(verdict(map).0);
        }
    }
    let json = serde_json::to_string_pretty(&rows).map_err(Failure::bench)?;
    match args.seat.format {
        Format::Text => out::line(told.trim_end())?,
        Format::Json => out::line(&json)?,
    }
    if let Some(dir) = &args.seat.out {
        write(dir, "bytes.txt", &told)?;
        write(dir, "bytes.json", &json)?;
    }
    Ok(u8::from(worst == Verdict::Fail))
}

/// What a map comes to, and what is wrong: a promised byte that does not survive fails, an implied one warns, and so does any
/// byte after which the port is dead.
pub(crate) fn verdict(map: &Map) -> (Verdict, Vec<String>) {
    let mut worst = Verdict::Pass;
    let mut wrong = Vec::new();
    let mut note = |promise: Promise, fate: &Fate, what: String| {
        let verdict = match (promise, fate) {
            (_, Fate::Kept) => return,
            (Promise::Kept, _) => Verdict::Fail,
            (Promise::Implied, _) | (_, Fate::Wedged) => Verdict::Warning,
            _ => return,
        };
        worst = worst.max(verdict);
        wrong.push(format!("{what} {fate}"));
    };
    for cell in &map.cells {
        // One place is enough to tell of a byte.
        let place = PLACES.iter().zip(&cell.fates).find_map(|(place, fate)| {
            fate.as_ref().filter(|fate| **fate != Fate::Kept).map(|fate| (place, fate))
        });
        if let Some((place, fate)) = place {
            let place = format!("{place:?}").to_lowercase();
            note(cell.promise, fate, format!("{:#04x} `{}` {place}:", cell.byte, text::visible(&cell.unit)));
        }
    }
    for (pair, promise, fate) in &map.pairs {
        note(*promise, fate, format!("`{}`:", text::visible(pair)));
    }
    (worst, wrong)
}

fn legend(profile: &Profile, sendings: usize) -> String {
    format!(
        "{}: byte values that survive ({sendings} sendings)\n\
         .  kept   ~  altered   x  refused   -  lost   !  port dead   blank  not sent\n\
         Small letters instead where the document promises nothing of it: k kept, a altered, r refused, l lost.\n",
        profile.name
    )
}

/// A map of 16 rows and 16 columns, and what is worth a word.
pub(crate) fn in_words(map: &Map) -> String {
    let mut out = format!("\n{}\n     0 1 2 3 4 5 6 7 8 9 a b c d e f\n", map.way.name());
    for (row, cells) in map.cells.chunks(16).enumerate() {
        let _ = write!(out, "  {row:x}_");
        for cell in cells {
            let _ = write!(out, " {}", letter(cell));
        }
        let _ = writeln!(out);
    }
    let (_, wrong) = verdict(map);
    for line in wrong.iter().take(12) {
        let _ = writeln!(out, "  NOT AS PROMISED {line}");
    }
    if wrong.len() > 12 {
        let _ = writeln!(out, "  … and {} more", wrong.len() - 12);
    }
    if map.pairs_tried > 0 {
        let _ = writeln!(
            out,
            "  pairs of special bytes: {} of {} kept",
            map.pairs_tried - map.pairs.len(),
            map.pairs_tried
        );
    }
    for (spelling, fate) in &map.spellings {
        let _ = writeln!(out, "  undocumented escape `{}`: {fate}", String::from_utf8_lossy(spelling));
    }
    out
}

/// The worst that became of a byte, as one character.
fn letter(cell: &Cell) -> char {
    let fates = || cell.fates.iter().flatten();
    if fates().next().is_none() {
        return ' ';
    }
    let has = |wanted: fn(&Fate) -> bool| fates().any(wanted);
    let at = if has(|f| *f == Fate::Wedged) {
        4
    } else if has(|f| *f == Fate::Lost) {
        3
    } else if has(|f| matches!(f, Fate::Altered(_))) {
        1
    } else if has(|f| *f == Fate::Refused) {
        2
    } else {
        0
    };
    let letters =
        if cell.promise <= Promise::Implied { ['.', '~', 'x', '-', '!'] } else { ['k', 'a', 'r', 'l', '!'] };
    letters[at]
}

fn as_json(module: &str, map: &Map) -> Value {
    let cells = map.cells.iter().filter(|cell| cell.fates.iter().any(Option::is_some)).map(|cell| {
        let fates: serde_json::Map<String, Value> = PLACES
            .iter()
            .zip(&cell.fates)
            .filter_map(|(place, fate)| Some((format!("{place:?}").to_lowercase(), json!(fate.as_ref()?))))
            .collect();
        json!({ "byte": cell.byte, "sent": text::visible(&cell.unit), "promised": promised(cell.promise), "fates": fates })
    });
    let pairs = map.pairs.iter().map(|(pair, promise, fate)| {
        json!({ "sent": text::visible(pair), "promised": promised(*promise), "fate": fate })
    });
    let spellings =
        map.spellings.iter().map(|(s, fate)| json!({ "written": text::visible(s), "fate": fate }));
    let (verdict, wrong) = verdict(map);
    json!({
        "module": module,
        "way": map.way.name(),
        "verdict": verdict.word(),
        "wrong": wrong,
        "bytes": cells.collect::<Vec<_>>(),
        "pairs_tried": map.pairs_tried,
        "pairs_not_kept": pairs.collect::<Vec<_>>(),
        "undocumented_escapes": spellings.collect::<Vec<_>>(),
    })
}

fn promised(promise: Promise) -> &'static str {
    match promise {
        Promise::Kept => "yes",
        Promise::Implied => "implied",
        Promise::Exact | Promise::Over | Promise::Unsaid => "no",
    }
}
