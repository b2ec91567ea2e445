//! The serial line as frames: one for each thing the bench wrote, and one for each thing the module printed.

use atspec_model::{
    at::{Item, Reader},
    judge::prompt_of,
    profile::Profile,
    timeline::Purpose,
};

/// Reads the module's side of the line as the judge does. Frames of one direction put together are the stream again.
#[derive(Debug)]
pub(super) struct Serial<'p> {
    profile: &'p Profile,
    reader: Reader<'p>,
    /// What was printed and stands in no frame yet.
    tail: Vec<u8>,
    /// Offset of the tail in the stream.
    start: usize,
}

/// A thing printed: its bytes with what ends its line, and what is odd about it.
pub(super) type Printed = (Vec<u8>, Vec<String>);

impl<'p> Serial<'p> {
    pub(super) fn new(profile: &'p Profile) -> Self {
        Self { profile, reader: Reader::new(&profile.message), tail: Vec::new(), start: 0 }
    }

    /// The dialogue before is over: a step begins.
    pub(super) fn step(&mut self) {
        self.reader.dialogue_over();
    }

    /// The bench wrote.
    pub(super) fn sent(&mut self, purpose: Purpose, bytes: &[u8]) {
        match purpose {
            Purpose::Data => self.reader.data_sent(bytes),
            Purpose::Command | Purpose::Probe => {
                self.reader.command_sent(bytes, prompt_of(self.profile, bytes));
            }
            Purpose::Recovery => self.reader.dialogue_over(),
        }
    }

    /// The module printed; what is complete comes out.
    pub(super) fn received(&mut self, bytes: &[u8]) -> Vec<Printed> {
        self.reader.push(bytes);
        self.tail.extend_from_slice(bytes);
        let mut printed = Vec::new();
        while let Some(read) = self.reader.next_item() {
            let item = read.end.saturating_sub(self.start).min(self.tail.len());
            let end = item + self.behind(item, &read.item);
            printed.push((self.take(end), odd(&read.item)));
        }
        printed
    }

    /// What never became complete.
    pub(super) fn rest(&mut self) -> Option<Printed> {
        let rest = self.take(self.tail.len());
        let blank = rest.iter().all(|b| matches!(b, b'\r' | b'\n'));
        let why = match self.reader.unfinished_message() {
            Some((_, len)) => format!("the message is not complete: {len} bytes of payload were announced"),
            None => "the line is not complete".to_owned(),
        };
        (!rest.is_empty()).then_some((rest, if blank { Vec::new() } else { vec![why] }))
    }

    /// How many of the bytes behind an item only end its line.
    fn behind(&self, item: usize, what: &Item) -> usize {
        let prompt = *what == Item::Prompt;
        let ends = |b: &&u8| matches!(b, b'\r' | b'\n') || prompt && matches!(b, b'>' | b' ');
        self.tail[item..].iter().take_while(ends).count()
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.start += len;
        self.tail.drain(..len).collect()
    }
}

fn odd(item: &Item) -> Vec<String> {
    match item {
        Item::Excess(bytes) => {
            vec![format!("{} bytes more than the message before announced", bytes.len())]
        }
        Item::Overlong(bytes) => vec![format!("{} bytes without a line end", bytes.len())],
        Item::Echo(_) | Item::Line(_) | Item::Prompt | Item::Message { .. } => Vec::new(),
    }
}
