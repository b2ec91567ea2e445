//! Campaigns: generators of tries that look for what a module really does.
//!
//! - [`action`]: what a campaign does, as plain values that can be written down and done again;
//! - [`promise`]: what the module's document says of bytes and lengths;
//! - [`case`](mod@case): the ordinary case that an input becomes, so that the ordinary judge judges it;
//! - [`misfit`]: data that are more or fewer than declared;
//! - [`states`]: commands in any order, and what each must come to;
//! - [`way`]: the ways by which bytes go into a module and come out of it;
//! - [`fate`]: what became of them;
//! - [`measure`]: the real limit of every documented one, by bisection;
//! - [`bytes`]: which byte values survive on each way, by groups;
//! - [`sweep`], [`generate`], [`fuzz`]: hard inputs, some certain, the others drawn from a seed;
//! - [`shrink`]: the smallest input that still fails;
//! - [`tell`]: what the module did where no document says what it has to do;
//! - [`finding`]: what was found, as a file that can be pasted into a bug report, and replayed.
//!
//! All of them are pure: they are asked for the next input and told what it came to. Who drives is not their business.

pub mod action;
pub mod bytes;
pub mod case;
pub mod fate;
pub mod finding;
pub mod fuzz;
pub mod generate;
pub mod measure;
pub mod misfit;
pub mod promise;
pub mod shrink;
pub mod states;
pub mod sweep;
pub mod tell;
#[cfg(test)]
mod tests;
pub mod way;

use atspec_model::{case::Case, profile::Profile, timeline::Timeline, verdict::Judgement};

use action::Input;

/// What a campaign learns of a try.
#[derive(Debug, Clone, Copy)]
pub struct Came<'a> {
    /// The case that was made of its input.
    pub case: &'a Case,
    /// How many of its first steps open the session.
    pub opening: usize,
    /// The module.
    pub profile: &'a Profile,
    /// Everything that was seen.
    pub timeline: &'a Timeline,
    /// The verdict.
    pub judgement: &'a Judgement,
}

/// The next try of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// What is tried.
    pub input: Input,
    /// Whether the module is to be switched off and on before, where somebody can: what it remembers must not play a part.
    pub fresh: bool,
}

/// A generator of tries. After each [`next`](Campaign::next) follows one [`learn`](Campaign::learn).
pub trait Campaign {
    /// What is tried next; `None` where the campaign is over.
    fn next(&mut self) -> Option<Next>;
    /// What the last try came to.
    fn learn(&mut self, came: &Came<'_>);
}

/// The fuzz campaigns by the ids of their cases, with what they ask.
pub const FUZZ: [(&str, generate::Kind, &str); 7] = [
    ("fuzz/payload", generate::Kind::Payloads, "hard payloads arrive byte-exact, or are refused cleanly"),
    ("fuzz/topic", generate::Kind::Topics, "hard topics arrive byte-exact, or are refused cleanly"),
    ("fuzz/received", generate::Kind::Messages, "hard messages are printed byte-exact"),
    (
        "fuzz/lines",
        generate::Kind::Lines,
        "after any mutated command line the port answers, and nothing wrong is sent",
    ),
    (
        "fuzz/data",
        generate::Kind::Data,
        "of data that do not fit their declared length nothing else is published, and the port answers afterwards",
    ),
    (
        "fuzz/states",
        generate::Kind::States,
        "commands in any order: each is done, or refused, as the state has it that those before it lead to",
    ),
    ("fuzz/sequence", generate::Kind::Sequences, "several things in any order are each done as documented"),
];
