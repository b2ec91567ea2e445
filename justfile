# Recipes for daily work: https://just.systems

# What a plain `just` does
default: test lint

# Exactly what CI runs
check:
    .ci/run

# Every test
test:
    cargo test --workspace

# Formatting and lints, without changing anything
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Formats every file
fmt:
    cargo fmt --all

# The documentation of the crates, in target/doc
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Publications a second beside others, a slow line, memory: the tables of BENCHMARKS.md. `just bench speed`, `line`, or
# `memory 1000000` makes one of them
bench *tables:
    cargo bench -p atspec --bench speed -- {{ tables }}

# Licences, advisories, bans and sources of the dependencies (needs cargo-deny and the network)
deny:
    cargo deny check

# Every deviant and every variant through all cases of its module, and the score into the README; some fifteen minutes
bite:
    cargo run --release -- bite --readme README.md

# Every variant twenty times, side by side as the machine allows
alarms:
    cargo run --release -- bite --only 'variant-*' --rounds 20

# Runs atspec: `just run`, or `just run --module air780e --only 'publish/*'`
run *arguments="--module air780e":
    cargo run --release -- run {{ arguments }}
