//! The commands of the README, run as they stand there.
//!
//! Every ```` ```sh ```` block is one script, run by `sh` in a directory of its own in which the repository's files stand.
//! `cargo run --release -- …` is the binary under test; `cargo test …` is what runs this, and left out. A line that ends in
//! `# exits with N` must do so, every other one must succeed. Blocks marked ```` ```sh hardware ```` need a real module.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The longest that one block may take, on a machine with a lot else to do.
const LIMIT: Duration = Duration::from_mins(4);

/// Stands for cargo in the scripts.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
    "run --release -- "*) shift 3; exec "$ATSPEC" "$@" ;;
    "test --workspace") exit 0 ;;
    *) echo "the README has a cargo command that this test does not know: cargo $*" >&2; exit 64 ;;
esac
"#;

/// A fenced block of the README.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// What stands behind the fence: `sh`, `sh hardware`, `toml`.
    kind: String,
    /// Line of the fence, from 1.
    line: usize,
    text: String,
}

#[test]
fn every_command_of_the_readme_works() {
    let blocks = blocks(&readme());
    let scripts: Vec<&Block> = blocks.iter().filter(|block| block.kind == "sh").collect();
    assert!(scripts.len() >= 2, "the README has no commands any more: {blocks:?}");
    let (folder, tools) = workbench();
    for block in scripts {
        run(block, &folder, &tools);
    }
}

#[test]
fn the_first_block_is_the_two_commands() {
    let blocks = blocks(&readme());
    let first = blocks.first().map(|block| (block.kind.as_str(), block.text.as_str()));
    let commands = "cargo run --release -- run\ncargo test --workspace\n";
    assert_eq!(first, Some(("sh", commands)));
}

#[test]
fn every_block_says_what_it_is() {
    for Block { kind, line, .. } in blocks(&readme()) {
        let known = ["sh", "sh hardware", "text", "toml", "xml", "json"];
        assert!(known.contains(&kind.as_str()), "README.md:{line}: a block is {known:?}, not {kind:?}");
    }
}

#[test]
fn blocks_and_exit_codes_are_read() {
    let found = blocks("a\n```sh hardware\nx\n```\n\n```text\n```\n");
    let block = |kind: &str, line, text: &str| Block { kind: kind.into(), line, text: text.into() };
    assert_eq!(found, [block("sh hardware", 2, "x\n"), block("text", 6, "")]);
    assert_eq!(
        script("a &&\nb  # exits with 3\n"),
        "set -eu\na &&\nb  # exits with 3\n".replace(
            "b  # exits with 3\n",
            "rc=0; b || rc=$?; [ $rc -eq 3 ] || { echo \"exit code $rc, not 3\"; exit 70; }\n",
        )
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(Block { kind: kind.trim().to_owned(), line: index + 1, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                let _ = writeln!(block.text, "{line}");
            }
            (None, None) => {}
        }
    }
    assert_eq!(open, None, "a block of the README has no end");
    blocks
}

/// The block as a script that stops at the first command that does not end as it should.
fn script(text: &str) -> String {
    let mut script = "set -eu\n".to_owned();
    for line in text.lines() {
        let _ = match line.split_once("# exits with ") {
            Some((command, code)) => {
                let (command, code) = (command.trim_end(), code.trim().parse::<u8>().unwrap());
                let wrong = format!("{{ echo \"exit code $rc, not {code}\"; exit 70; }}");
                writeln!(script, "rc=0; {command} || rc=$?; [ $rc -eq {code} ] || {wrong}")
            }
            None => writeln!(script, "{line}"),
        };
    }
    script
}

/// A directory with the repository's files, and one with our cargo.
fn workbench() -> (PathBuf, PathBuf) {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    if base.exists() {
        fs::remove_dir_all(&base).unwrap();
    }
    let (folder, tools) = (base.join("atspec"), base.join("bin"));
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(&tools).unwrap();
    for entry in fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        // What a fresh clone does not have.
        if name != "target" && name != "atspec-report" {
            symlink(entry.path(), folder.join(name)).unwrap();
        }
    }
    let cargo = tools.join("cargo");
    fs::write(&cargo, CARGO).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, tools)
}

fn run(block: &Block, folder: &Path, tools: &Path) {
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    // A file, not a pipe: what a block leaves running in the background must not keep this waiting.
    let log = tools.join("output");
    let output = fs::File::create(&log).unwrap();
    let began = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", &script(&block.text)])
        .current_dir(folder)
        .env("PATH", path)
        .env("ATSPEC", env!("CARGO_BIN_EXE_atspec"))
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > LIMIT {
            child.kill().unwrap();
            break child.wait().unwrap();
        }
        thread::sleep(Duration::from_millis(20));
    };
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    let (line, text, took) = (block.line, &block.text, began.elapsed());
    assert!(status.success(), "README.md:{line}: {status} after {took:?}\n{text}\n{said}");
}
