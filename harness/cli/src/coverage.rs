//! `atspec coverage`: clause by clause which cases check it, or why none does.

use std::{collections::BTreeMap, fmt::Write as _};

use atspec_fixtures::{Clause, Firmness, Observable, clauses};
use atspec_model::{case::Context, profile::Profile, timeline::Bindings};
use serde_json::{Value, json};

use crate::{
    args::{CoverageArgs, Format},
    failure::Failure,
    modules, out,
};

/// Name of the standard among the documents.
const MQTT: &str = "MQTT 3.1.1";
/// How far a line of text goes, unless an id or a reason by itself goes further.
const WIDTH: usize = 110;
/// How many cases are named where all of them are too many for a line.
const NAMED: usize = 2;

/// A clause and what checks it.
struct Row {
    clause: Clause,
    /// Module by module the cases that apply to it and cite the clause, in the order in which they are run.
    modules: Vec<(String, Vec<String>)>,
    /// The same over all modules, each case once.
    cases: Vec<String>,
    /// Why no case checks it; `None` where one does.
    reason: Option<String>,
}

/// What cites a clause on a module.
#[derive(Default)]
struct Citing {
    /// Cases that apply.
    cases: Vec<String>,
    /// Why others do not, each reason once.
    unfit: Vec<String>,
}

/// Lists the clauses of the modules' documents, and the statements of the standard that bind a client.
pub(crate) fn coverage(args: &CoverageArgs) -> Result<u8, Failure> {
    let profiles = modules::find_all(&args.module)?;
    let documents = documents(&profiles);
    match args.format {
        Format::Text => {
            let sheets: Vec<String> = documents.iter().map(|(name, rows)| sheet(name, rows)).collect();
            out::line(sheets.join("\n").trim_end())?;
        }
        Format::Json => {
            let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
            let rows: Vec<Value> = documents.iter().flat_map(|(_, rows)| rows).map(Row::json).collect();
            out::line(json!({ "modules": names, "clauses": rows }))?;
        }
    }
    Ok(0)
}

/// Each document with its clauses: those of the modules in their order, each once, and the standard at last.
fn documents(profiles: &[Profile]) -> Vec<(&str, Vec<Row>)> {
    let mut order = Vec::new();
    let cited: Vec<(&Profile, BTreeMap<String, Citing>)> =
        profiles.iter().map(|profile| (profile, citing(profile, &mut order))).collect();
    let mut names: Vec<&str> = Vec::new();
    for name in profiles.iter().map(|profile| profile.document.as_str()).chain([MQTT]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let rows = |name| {
        let asked = clauses().filter(|clause| clause.source == name && asked(clause));
        (name, asked.map(|clause| row(clause, &cited, &order)).collect())
    };
    names.into_iter().map(rows).collect()
}

/// Whether a clause belongs here: of the standard only the numbered statements that bind a client.
fn asked(clause: &Clause) -> bool {
    clause.source != MQTT || clause.firmness == Firmness::Firm
}

/// What cites each clause on a module. A case that is not in `order` yet comes behind the one before it, so that `order` has
/// the cases of every module as they are run.
fn citing(profile: &Profile, order: &mut Vec<String>) -> BTreeMap<String, Citing> {
    let bindings = Bindings::default();
    let mut all: BTreeMap<String, Citing> = BTreeMap::new();
    let mut place = 0;
    for case in atspec_suites::cases(&Context { profile, bindings: &bindings }) {
        place = order.iter().position(|id| *id == case.id).unwrap_or_else(|| {
            order.insert(place, case.id.clone());
            place
        }) + 1;
        let unfit = case.applies(profile).err();
        for cite in case.all_cites(profile) {
            let citing = all.entry(cite).or_default();
            match &unfit {
                None => citing.cases.push(case.id.clone()),
                Some(why) if citing.unfit.contains(why) => {}
                Some(why) => citing.unfit.push(why.clone()),
            }
        }
    }
    all
}

fn row(clause: Clause, cited: &[(&Profile, BTreeMap<String, Citing>)], order: &[String]) -> Row {
    let (mut modules, mut unfit) = (Vec::new(), Vec::new());
    for (profile, all) in cited.iter().filter(|(p, _)| clause.source == MQTT || clause.source == p.document) {
        let citing = all.get(clause.id);
        modules.push((profile.name.clone(), citing.map(|c| c.cases.clone()).unwrap_or_default()));
        unfit.extend(citing.into_iter().flat_map(|c| c.unfit.iter().map(String::as_str)));
    }
    let checks = |id: &&String| modules.iter().any(|(_, cases)| cases.contains(id));
    let cases: Vec<String> = order.iter().filter(checks).cloned().collect();
    let why_none = || match (clause.note, unfit.as_slice()) {
        // What the note says of every case may never be provoked where those about the clause do not apply.
        (Some(note), [_, ..]) => format!("its cases do not apply: {}; {note}", unfit.join("; ")),
        (None, [_, ..]) => format!("its cases do not apply: {}", unfit.join("; ")),
        (Some(note), []) => note.to_owned(),
        (None, []) if clause.observable == Observable::Nowhere => "not observable on a bench".to_owned(),
        (None, []) => "no case cites it".to_owned(),
    };
    let reason = cases.is_empty().then(why_none);
    Row { clause, modules, cases, reason }
}

impl Row {
    fn json(&self) -> Value {
        let Clause { id, source, place, observable, gist, .. } = self.clause;
        let source = if source == MQTT { source.to_owned() } else { format!("{source} {place}") };
        json!({
            "id": id, "source": source, "observable": observable.side(), "cases": self.cases,
            "reason": self.reason, "firmness": self.clause.firmness.word(), "gist": gist,
            "modules": self.modules.iter().cloned().collect::<BTreeMap<_, _>>(),
        })
    }

    /// The cases, as many as there is room for, and the modules that have none of them; or the reason.
    fn text(&self, room: usize) -> String {
        if let Some(reason) = &self.reason {
            return format!("— {reason}");
        }
        let lacking = self.modules.iter().filter(|(_, cases)| cases.is_empty());
        let lacking: Vec<&str> = lacking.map(|(name, _)| name.as_str()).collect();
        let lacking =
            if lacking.is_empty() { String::new() } else { format!("  (none on {})", lacking.join(", ")) };
        let whole = self.cases.join(" ") + &lacking;
        if whole.chars().count() <= room || self.cases.len() <= NAMED {
            return whole;
        }
        format!("{} … and {} more{lacking}", self.cases[..NAMED].join(" "), self.cases.len() - NAMED)
    }
}

/// A document for people: how many of its clauses are checked, then clause by clause.
fn sheet(name: &str, rows: &[Row]) -> String {
    if rows.is_empty() {
        return format!("{name}: its clauses are not among those that atspec knows\n");
    }
    let (mut checked, mut always, mut unseen, mut open) = (0, 0, 0, 0);
    for row in rows {
        *match &row.reason {
            None => &mut checked,
            // The decoder and the rules over all packets are no cases of their own.
            Some(reason) if reason.starts_with("every case") => &mut always,
            Some(_) if row.clause.observable == Observable::Nowhere => &mut unseen,
            Some(_) => &mut open,
        } += 1;
    }
    let unit = if name == MQTT { "statements that bind a client" } else { "clauses" };
    let mut text = format!("{name}: {} {unit}, {checked} checked", rows.len());
    let others = [(always, "looked at in every case"), (unseen, "not observable"), (open, "without a case")];
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {count} {what}");
    }
    text.push('\n');
    let wide = rows.iter().map(|row| row.clause.id.len()).max().unwrap_or_default();
    for row in rows {
        let (id, side) = (row.clause.id, row.clause.observable.side());
        let _ = writeln!(text, "  {id:<wide$}  {side:<4}  {}", row.text(WIDTH.saturating_sub(wide + 10)));
    }
    text
}
