//! Every shipped deviant is caught by the cases it names: proof that they can fail.

mod common;

use atspec_emulator::Deviant;
use atspec_model::{run::Record, verdict::Verdict};
use common::{atspec, records, stdout, temp};

#[test]
fn every_deviant_fails_the_cases_it_names() {
    let deviants = atspec_fixtures::DEVIANTS;
    assert!(deviants.len() >= 60);
    let (jobs, queue) = (16, std::sync::Mutex::new(deviants.iter()));
    let survivors = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let Some((name, text)) = queue.lock().expect("not poisoned").next() else { return };
                    if let Err(why) = caught(name, text) {
                        survivors.lock().expect("not poisoned").push(format!("{name}: {why}"));
                    }
                }
            });
        }
    });
    let survivors = survivors.into_inner().expect("not poisoned");
    assert!(survivors.is_empty(), "{} survive:\n{}", survivors.len(), survivors.join("\n"));
}

fn caught(name: &str, text: &str) -> Result<(), String> {
    let deviant = Deviant::load(text)?;
    if deviant.caught_by.is_empty() {
        return Err("names no case".to_owned());
    }
    let dir = temp();
    let out = dir.path().join("report");
    let mut command = atspec();
    command
        .args(["run", "--module", &deviant.module, "--port", &format!("emulated:{name}"), "--out"])
        .arg(&out);
    deviant.caught_by.iter().for_each(|case| _ = command.args(["--only", case]));
    let output = command.output().map_err(|e| e.to_string())?;
    let verdicts: Vec<(String, Verdict)> = records(&out)
        .into_iter()
        .filter_map(|r| if let Record::Case(c) = r { Some((c.id, c.verdict)) } else { None })
        .collect();
    let missed: Vec<&String> = verdicts
        .iter()
        .filter(|(_, v)| !matches!(v, Verdict::Fail | Verdict::Warning))
        .map(|(id, _)| id)
        .collect();
    if missed.is_empty() && !verdicts.is_empty() {
        return Ok(());
    }
    Err(format!("not caught by {missed:?}\n{}", stdout(&output)))
}
