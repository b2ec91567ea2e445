//! `atspec coverage`: every clause once, and only cases that check it.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use atspec_fixtures::{Clause, Firmness, PROFILES, clauses};
use atspec_model::profile::Profile;
use common::{run, stderr, stdout, temp};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Coverage {
    modules: Vec<String>,
    clauses: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    source: String,
    observable: String,
    cases: Vec<String>,
    reason: Option<String>,
    firmness: String,
    gist: String,
    modules: BTreeMap<String, Vec<String>>,
}

/// A line of `atspec list`.
#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    cites: Vec<String>,
    applies: bool,
}

/// What a command prints about modules.
fn told(command: &str, modules: &[&str], format: &str) -> String {
    let mut args = vec![command, "--format", format];
    args.extend(modules.iter().flat_map(|module| ["--module", module]));
    let output = run(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

fn coverage(modules: &[&str]) -> Coverage {
    serde_json::from_str(&told("coverage", modules, "json")).expect("coverage as documented")
}

fn listed(module: &str) -> Vec<Listed> {
    serde_json::from_str(&told("list", &[module], "json")).expect("a list of cases")
}

/// The shipped modules with their documents.
fn shipped() -> Vec<(&'static str, String)> {
    let load = |(name, source): &(&'static str, &str)| {
        (*name, Profile::load(source).expect("without mistakes").document)
    };
    PROFILES.iter().map(load).collect()
}

/// The clauses of a document.
fn of(document: &str) -> Vec<Clause> {
    clauses().filter(|c| c.source == document).collect()
}

/// The statements of the standard that bind a client.
fn statements() -> Vec<Clause> {
    of("MQTT 3.1.1").into_iter().filter(|c| c.firmness == Firmness::Firm).collect()
}

/// The cases of a list that cite a clause and apply.
fn citing<'a>(clause: &str, list: &'a [Listed]) -> Vec<&'a str> {
    let checks = |case: &&Listed| case.applies && case.cites.iter().any(|cite| cite == clause);
    list.iter().filter(checks).map(|case| case.id.as_str()).collect()
}

#[test]
fn every_clause_of_a_modules_document_and_every_statement_is_there_once() {
    assert_eq!(statements().len(), 66);
    for (module, document) in shipped() {
        let coverage = coverage(&[module]);
        assert_eq!(coverage.modules, [module]);
        assert!(!of(&document).is_empty(), "{document} has no clauses");
        let wanted: Vec<Clause> = of(&document).into_iter().chain(statements()).collect();
        let ids: Vec<&str> = coverage.clauses.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, wanted.iter().map(|c| c.id).collect::<Vec<_>>(), "{module}");
        assert_eq!(
            ids.iter().collect::<BTreeSet<_>>().len(),
            ids.len(),
            "{module}: an id stands there twice"
        );
        for (row, clause) in coverage.clauses.iter().zip(&wanted) {
            let source = match clause.source {
                "MQTT 3.1.1" => clause.source.to_owned(),
                document => format!("{document} {}", clause.place),
            };
            assert_eq!((&row.source, row.gist.as_str()), (&source, clause.gist), "{}", row.id);
            assert_eq!(row.observable, clause.observable.side(), "{}", row.id);
            assert_eq!(row.firmness.parse(), Ok(clause.firmness), "{}", row.id);
        }
    }
}

#[test]
fn a_clause_has_cases_or_a_reason_that_is_one() {
    for (module, _) in shipped() {
        for row in coverage(&[module]).clauses {
            assert_eq!(row.reason.is_none(), !row.cases.is_empty(), "{module}: {row:?}");
            let shown = ["at", "wire", "time"].contains(&row.observable.as_str());
            let open = row.reason.as_deref() == Some("no case cites it");
            assert!(!(shown && open), "{module}: give {} a case or a note\n{row:?}", row.id);
        }
    }
}

#[test]
fn the_cases_are_those_of_the_list_that_apply_and_cite_the_clause() {
    for (module, _) in shipped() {
        let list = listed(module);
        for row in coverage(&[module]).clauses {
            assert_eq!(row.cases, citing(&row.id, &list), "{} on {module}", row.id);
            assert_eq!(row.modules, BTreeMap::from([(module.to_owned(), row.cases)]), "{}", row.id);
        }
    }
}

#[test]
fn without_a_module_it_is_about_all_of_them() {
    let all = coverage(&[]);
    assert_eq!(all.modules, PROFILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let documents: BTreeSet<String> = shipped().into_iter().map(|(_, document)| document).collect();
    let wanted = documents.iter().flat_map(|document| of(document)).chain(statements());
    let ids: BTreeSet<&str> = all.clauses.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, wanted.map(|c| c.id).collect());
    assert_eq!(ids.len(), all.clauses.len(), "an id stands there twice");
    for module in &all.modules {
        let list = listed(module);
        for row in all.clauses.iter().filter(|row| row.modules.contains_key(module)) {
            assert_eq!(row.modules[module], citing(&row.id, &list), "{} on {module}", row.id);
        }
    }
    for row in &all.clauses {
        let union: BTreeSet<&String> = row.modules.values().flatten().collect();
        assert_eq!(union, row.cases.iter().collect(), "{}", row.id);
        assert_eq!(union.len(), row.cases.len(), "{}: a case stands there twice", row.id);
        let bound = if row.id.starts_with("MQTT-") { all.modules.len() } else { 1 };
        assert!(row.modules.len() >= bound, "{row:?}");
    }
}

/// The Air780E without a command, in a file of its own.
fn without_unsubscribe(dir: &Path) -> String {
    let source = atspec_fixtures::profile("air780e").expect("shipped");
    let (before, rest) = source.split_once("[[step.unsubscribe]]").expect("there");
    let (_, after) = rest.split_once("[[").expect("not the last step");
    let file = dir.join("mine.toml");
    let text = format!("{before}[[{after}").replace("name = \"air780e\"", "name = \"mine\"");
    fs::write(&file, text).expect("written");
    file.to_str().expect("a readable path").to_owned()
}

#[test]
fn a_case_that_does_not_apply_checks_nothing() {
    let dir = temp();
    let mine = without_unsubscribe(dir.path());
    let list = listed(&mine);
    assert!(list.iter().any(|case| !case.applies && case.id == "unsubscribe/packet"));
    let alone = coverage(&[&mine]);
    for row in &alone.clauses {
        assert_eq!(row.cases, citing(&row.id, &list), "{}", row.id);
    }
    // Not even what is looked at in every case is: the packet never comes.
    let lacking = alone.clauses.iter().find(|row| row.id == "MQTT-3.10.1-1").expect("there");
    let why = lacking.reason.as_deref().expect("no case");
    assert!(why.starts_with("its cases do not apply: mine has no `unsubscribe`"), "{why}");
    // Beside a module that has the command, the statement is checked on that one alone; their document is there once.
    let both = coverage(&[&mine, "air780e"]);
    assert_eq!(both.clauses.len(), alone.clauses.len());
    let row = both.clauses.iter().find(|row| row.id == "MQTT-3.10.1-1").expect("there");
    let checking = ["unsubscribe/packet".to_owned(), "unsubscribe/unknown".to_owned()];
    assert_eq!((row.cases.as_slice(), &row.reason), (&checking[..], &None));
    assert!(row.modules["mine"].is_empty() && row.modules["air780e"] == row.cases, "{row:?}");
    let text = told("coverage", &[&mine, "air780e"], "text");
    assert!(
        text.contains("MQTT-3.10.1-1  wire  unsubscribe/packet unsubscribe/unknown  (none on mine)"),
        "{text}"
    );
}

#[test]
fn cases_of_several_modules_stand_in_the_order_in_which_they_are_run() {
    let dir = temp();
    let mine = without_unsubscribe(dir.path());
    let list = listed("air780e");
    for row in coverage(&[&mine, "air780e"]).clauses {
        assert_eq!(row.cases, citing(&row.id, &list), "{}", row.id);
    }
}

#[test]
fn a_document_that_atspec_does_not_know_is_said_to_be_so() {
    let dir = temp();
    let source = atspec_fixtures::profile("air780e").expect("shipped");
    let file = dir.path().join("mine.toml");
    fs::write(&file, source.replace("document = \"air780e-application-note\"", "document = \"notes\""))
        .expect("written");
    let file = file.to_str().expect("a readable path");
    let text = told("coverage", &[file], "text");
    assert!(text.starts_with("notes: its clauses are not among those that atspec knows\n"), "{text}");
    assert_eq!(coverage(&[file]).clauses.len(), 66);
}

#[test]
fn the_text_has_a_head_with_counts_and_a_line_for_each_clause() {
    for (module, document) in shipped() {
        let rows = coverage(&[module]).clauses;
        let text = told("coverage", &[module], "text");
        let sheets: Vec<&str> = text.trim_end().split("\n\n").collect();
        assert_eq!(sheets.len(), 2, "{text}");
        for (sheet, name) in sheets.iter().zip([document.as_str(), "MQTT 3.1.1"]) {
            let rows: Vec<&Row> = rows.iter().filter(|row| row.source.starts_with(name)).collect();
            let (head, lines) = sheet.split_once('\n').expect("a head and lines");
            let counts = head.strip_prefix(name).expect("the name of the document");
            let counts: Vec<usize> = counts.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            assert_eq!(counts[0], rows.len(), "{head}");
            assert_eq!(counts[1], rows.iter().filter(|row| !row.cases.is_empty()).count(), "{head}");
            assert_eq!(counts[1..].iter().sum::<usize>(), rows.len(), "{head}");
            assert_eq!(lines.lines().count(), rows.len(), "{head}");
            for (line, row) in lines.lines().zip(rows) {
                let told = row.cases.first().map_or_else(|| row.reason.clone(), |case| Some(case.clone()));
                let told = told.expect("a case or a reason");
                assert!(line.trim().starts_with(&row.id) && line.contains(&told), "{line}");
                assert!(row.reason.is_some() || line.chars().count() <= 110, "{line}");
            }
        }
    }
}

#[test]
fn an_unknown_module_is_told_with_the_nearest() {
    let output = run(&["coverage", "--module", "air870e"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `air780e`?"), "{}", stderr(&output));
    assert!(stdout(&output).is_empty());
}

/// A run of a few cases on a deviant, judged clause by clause.
#[test]
fn a_run_gives_each_clause_its_verdict() {
    let dir = temp();
    let out = dir.path().join("report");
    let args =
        ["run", "--module", "air780e", "--port", "emulated:pubrel-flags", "--only", "publish/qos*", "--out"];
    let output = common::atspec().args(args).arg(&out).output().expect("started");
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let sheet = |format: &str| {
        let from = out.to_str().expect("a readable path");
        let output = run(&["coverage", "--module", "air780e", "--run", from, "--format", format]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let json: serde_json::Value = serde_json::from_str(&sheet("json")).expect("JSON");
    let clauses = json["clauses"].as_array().expect("clauses");
    let said = |id: &str| &clauses.iter().find(|c| c["id"] == id).expect("known")["verdicts"]["air780e"];
    assert_eq!(said("MQTT-3.6.1-1")["verdict"], "fail");
    assert_eq!(said("MQTT-3.6.1-1")["cases"], serde_json::json!(["publish/qos2"]));
    assert_eq!(said("MQTT-3.3.1-4")["verdict"], "pass");
    assert!(
        said("MQTT-3.3.1-4")["kept"].as_u64() >= Some(2),
        "each PUBLISH gave occasion: {}",
        said("MQTT-3.3.1-4")
    );
    assert!(said("MQTT-3.8.1-1").is_null(), "nothing was subscribed");
    assert_eq!(json["run"]["dir"], out.to_str().expect("a readable path"));

    let text = sheet("text");
    assert!(text.contains("MQTT-3.6.1-1   wire  FAIL     air780e fails publish/qos2\n"), "{text}");
    assert!(text.contains("MQTT-3.8.1-1   wire  -        subscribe/qos0"), "{text}");
    assert!(text.contains("verdicts of the run of "), "{text}");
    let markdown = sheet("markdown");
    assert!(
        markdown
            .contains("| MQTT-3.6.1-1 | the flags of PUBREL are 0010 | FAIL | air780e fails publish/qos2 |"),
        "{markdown}"
    );
}

#[test]
fn a_run_that_is_none_is_told() {
    let dir = temp();
    let missing = dir.path().join("nothing");
    let output = run(&["coverage", "--run", missing.to_str().expect("a readable path")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("run.jsonl") && stderr(&output).contains("--run takes"),
        "{}",
        stderr(&output)
    );
}

/// Only these two cannot be broken by themselves: the two-byte length cannot say more, and any working connection shows the other.
const UNBREAKABLE: [&str; 2] = ["MQTT-4.7.3-3", "MQTT-7.1.2-1"];

#[test]
fn none_of_the_66_statements_is_without_a_case_or_a_reason_on_any_module() {
    let mut open = Vec::new();
    for row in coverage(&[]).clauses.iter().filter(|row| row.source == "MQTT 3.1.1") {
        if row.cases.is_empty() && !UNBREAKABLE.contains(&row.id.as_str()) {
            open.push(format!("{}: {:?}", row.id, row.reason));
        }
    }
    for (module, _) in shipped() {
        for row in coverage(&[module]).clauses.iter().filter(|row| row.source == "MQTT 3.1.1") {
            let why = row.reason.as_deref().unwrap_or_default();
            if row.cases.is_empty() && (why.is_empty() || why.starts_with("no case")) {
                open.push(format!("{module} {}: {why}", row.id));
            }
        }
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
}

#[test]
fn the_rules_are_about_statements_of_the_standard() {
    let known: BTreeSet<&str> = of("MQTT 3.1.1").iter().map(|clause| clause.id).collect();
    let unknown: Vec<&str> =
        atspec_model::judge::statements().into_iter().filter(|id| !known.contains(id)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}
