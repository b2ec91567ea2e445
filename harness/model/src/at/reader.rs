//! Frames what a module prints: echo, lines, prompts, and messages of a declared length, from bytes cut in any way.
//!
//! V.250 says `<CR><LF>text<CR><LF>`; real modules also print bare lines, so a line is what stands between line
//! ends, and empty lines mean nothing. A payload may look like anything: it is taken by its declared length, and a `>` is a
//! prompt only while the dialogue waits for one.

use crate::profile::Messages;

/// The longest line that is kept; what is longer is cut up ([`Item::Overlong`]).
const MAX_LINE: usize = 64 * 1024;

/// The longest message that is framed by its length; a head that declares more is taken as a plain line.
const MAX_MESSAGE: usize = 1024 * 1024;

/// One thing a module printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The command line, or the data after a prompt, printed back.
    Echo(Vec<u8>),
    /// A line without its end: final result code, information response or URC; the dialogue tells which.
    Line(Vec<u8>),
    /// The prompt that was waited for.
    Prompt,
    /// A message with as many payload bytes as its head declares.
    Message {
        /// Index of the template that matched.
        form: usize,
        /// The head as printed, up to the payload.
        head: Vec<u8>,
        /// The payload, exactly as long as declared.
        payload: Vec<u8>,
    },
    /// Bytes between the end of a message's declared length and the end of the line.
    Excess(Vec<u8>),
    /// A piece of a line that is longer than any line may be.
    Overlong(Vec<u8>),
}

/// An item and where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What was printed.
    pub item: Item,
    /// Offset in the stream just behind its last byte.
    pub end: usize,
}

/// Frames the stream of one serial line. Memory is bounded by the longest message, 1 MiB, whatever arrives.
#[derive(Debug, Clone)]
pub struct Reader<'p> {
    messages: &'p Messages,
    buffer: Vec<u8>,
    /// Offset of the buffer's first byte in the stream.
    start: usize,
    state: State,
    prompt: Option<Vec<u8>>,
    command_echo: Option<Vec<u8>>,
    data_echo: Option<Vec<u8>>,
    echoes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    LineStart,
    AfterPrompt,
    Payload {
        form: usize,
        head: Vec<u8>,
        len: usize,
    },
    /// What else may stand there before the line ends.
    AfterPayload {
        tail: &'static str,
    },
}

impl<'p> Reader<'p> {
    /// A reader that frames messages of these forms.
    pub fn new(messages: &'p Messages) -> Self {
        Self {
            messages,
            buffer: Vec::new(),
            start: 0,
            state: State::LineStart,
            prompt: None,
            command_echo: None,
            data_echo: None,
            echoes: false,
        }
    }

    /// A command line was sent: it may be printed back. `prompt` is what the dialogue waits for, if anything.
    pub fn command_sent(&mut self, line: &[u8], prompt: Option<&str>) {
        let line = line.trim_ascii_end();
        self.command_echo = (!line.is_empty()).then(|| line.to_vec());
        self.data_echo = None;
        // Of `>>` the first is enough: what follows of it is swallowed, whenever it comes.
        let first = |p: &str| if p.bytes().all(|b| b == b'>') { 1 } else { p.len() };
        self.prompt = prompt.map(|p| p.as_bytes()[..first(p).min(p.len())].to_vec());
    }

    /// Data were sent after a prompt: they are printed back where the command was.
    pub fn data_sent(&mut self, data: &[u8]) {
        self.prompt = None;
        self.data_echo = (self.echoes && !data.is_empty()).then(|| data.to_vec());
    }

    /// The dialogue is over: a `>` is no prompt any more.
    pub fn dialogue_over(&mut self) {
        self.prompt = None;
        self.command_echo = None;
        self.data_echo = None;
    }

    /// Whether the last command line was printed back.
    pub fn echoes(&self) -> bool {
        self.echoes
    }

    /// Bytes that belong to no finished item yet.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// The head of a message whose payload is not complete, with the declared length.
    pub fn unfinished_message(&self) -> Option<(&[u8], usize)> {
        match &self.state {
            State::Payload { head, len, .. } => Some((head, *len)),
            _ => None,
        }
    }

    /// Takes bytes as they were read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next finished item.
    pub fn next_item(&mut self) -> Option<Read> {
        loop {
            match &self.state {
                State::Payload { len, .. } if self.buffer.len() < *len => return None,
                State::Payload { form, head, len } => {
                    let (form, head, len) = (*form, head.clone(), *len);
                    let tail = self.messages.framed.get(form).map_or("", crate::at::LineTemplate::tail);
                    self.state = State::AfterPayload { tail };
                    let payload = self.take(len);
                    return Some(self.read(Item::Message { form, head, payload }));
                }
                State::AfterPayload { tail } if !tail.is_empty() => {
                    let tail = *tail;
                    if self.buffer.len() < tail.len() && tail.as_bytes().starts_with(&self.buffer) {
                        return None;
                    }
                    if self.buffer.starts_with(tail.as_bytes()) {
                        self.drop_front(tail.len());
                    }
                    self.state = State::AfterPayload { tail: "" };
                }
                State::AfterPayload { .. } => {
                    let (line, complete) = self.peek_line()?;
                    if !complete && line.len() < MAX_LINE {
                        return None;
                    }
                    let excess = self.take(line.len());
                    self.state = State::LineStart;
                    if !excess.is_empty() {
                        return Some(self.read(Item::Excess(excess)));
                    }
                }
                State::AfterPrompt => {
                    let skip = self.buffer.iter().take_while(|b| matches!(b, b'>' | b' ')).count();
                    self.drop_front(skip);
                    if self.buffer.is_empty() {
                        return None;
                    }
                    self.state = State::LineStart;
                }
                State::LineStart => return self.at_line_start(),
            }
        }
    }

    fn at_line_start(&mut self) -> Option<Read> {
        if let Some(data) = &self.data_echo {
            let same = data.iter().zip(&self.buffer).take_while(|(a, b)| a == b).count();
            if same == data.len() {
                let echo = self.take(same);
                self.data_echo = None;
                return Some(self.read(Item::Echo(echo)));
            }
            if same == self.buffer.len() {
                return None;
            }
            self.data_echo = None;
        }
        let blank = self.buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        self.drop_front(blank);
        if self.buffer.is_empty() {
            return None;
        }
        if self.prompt.as_deref().is_some_and(|prompt| self.buffer.starts_with(prompt)) {
            let len = self.prompt.take().map_or(0, |p| p.len());
            self.drop_front(len);
            self.state = State::AfterPrompt;
            return Some(self.read(Item::Prompt));
        }
        if let Some((form, len, head)) = self.message_head() {
            self.drop_front(head.len());
            self.state = State::Payload { form, head, len };
            return self.next_item();
        }
        let (line, complete) = self.peek_line()?;
        if !complete {
            if line.len() < MAX_LINE {
                return None;
            }
            let piece = self.take(MAX_LINE);
            return Some(self.read(Item::Overlong(piece)));
        }
        let len = line.len();
        let line = self.take(len);
        if self.command_echo.as_deref() == Some(line.trim_ascii_end()) {
            self.command_echo = None;
            self.echoes = true;
            return Some(self.read(Item::Echo(line)));
        }
        Some(self.read(Item::Line(line)))
    }

    /// A message head at the beginning of the buffer: its form, the declared length, the head.
    fn message_head(&self) -> Option<(usize, usize, Vec<u8>)> {
        self.messages.framed.iter().enumerate().filter(|(_, template)| template.is_framed()).find_map(
            |(form, template)| {
                let found = template.read(&self.buffer)?;
                let len = found.number::<usize>("len").filter(|&len| len <= MAX_MESSAGE)?;
                let len = len.min(self.messages.cut.unwrap_or(usize::MAX));
                Some((form, len, self.buffer[..found.len].to_vec()))
            },
        )
    }

    /// The bytes up to the next line end, and whether there is one.
    fn peek_line(&self) -> Option<(&[u8], bool)> {
        match self.buffer.iter().position(|b| matches!(b, b'\r' | b'\n')) {
            Some(end) => Some((&self.buffer[..end], true)),
            None if self.buffer.is_empty() => None,
            None => Some((&self.buffer, false)),
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.start += len;
        self.buffer.drain(..len).collect()
    }

    fn drop_front(&mut self, len: usize) {
        self.start += len;
        self.buffer.drain(..len);
    }

    fn read(&self, item: Item) -> Read {
        Read { item, end: self.start }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    use crate::at::LineTemplate;

    fn forms() -> Messages {
        let form = LineTemplate::parse("+MSUB: \"{topic}\",{len:n} byte,{payload}").unwrap();
        Messages { framed: vec![form], ..Messages::default() }
    }

    fn items(reader: &mut Reader<'_>, chunks: &[&[u8]]) -> Vec<Read> {
        let mut out = Vec::new();
        for chunk in chunks {
            reader.push(chunk);
            out.extend(std::iter::from_fn(|| reader.next_item()));
        }
        out
    }

    fn line(text: &str) -> Item {
        Item::Line(text.as_bytes().to_vec())
    }

    #[test]
    fn echo_reply_and_urc() {
        let forms = forms();
        let mut reader = Reader::new(&forms);
        reader.command_sent(b"AT+MIPSTART=\"h\",\"1\"\r\n", None);
        let read =
            items(&mut reader, &[b"AT+MIPSTART=\"h\",\"1\"\r\r\nOK\r\n^MODE: 17,17\r\n\r\nCONNECT OK\r\n"]);
        let found: Vec<Item> = read.into_iter().map(|r| r.item).collect();
        let echo = Item::Echo(b"AT+MIPSTART=\"h\",\"1\"".to_vec());
        assert_eq!(found, [echo, line("OK"), line("^MODE: 17,17"), line("CONNECT OK")]);
        assert!(reader.echoes());
    }

    #[test]
    fn a_payload_that_looks_like_a_reply_is_a_payload() {
        let forms = forms();
        let mut reader = Reader::new(&forms);
        let read = items(&mut reader, &[b"\r\n+MSUB: \"t\",10 byte,\r\nOK\r\n>\r\n+\r\nERROR\r\n"]);
        let payload = b"\r\nOK\r\n>\r\n+".to_vec();
        let message = Item::Message { form: 0, head: b"+MSUB: \"t\",10 byte,".to_vec(), payload };
        assert_eq!(read.into_iter().map(|r| r.item).collect::<Vec<_>>(), [message, line("ERROR")]);
    }

    #[test]
    fn more_than_declared_is_excess_and_less_stays_unfinished() {
        let forms = forms();
        let mut reader = Reader::new(&forms);
        let read = items(&mut reader, &[b"+MSUB: \"t\",2 byte,hello\r\nOK\r\n+MSUB: \"t\",9 byte,he\r\n"]);
        assert_eq!(read[1].item, Item::Excess(b"llo".to_vec()));
        assert_eq!(read[2].item, line("OK"));
        assert_eq!(reader.unfinished_message().unwrap().1, 9);
    }

    #[test]
    fn a_prompt_is_one_only_when_waited_for() {
        let forms = forms();
        let mut reader = Reader::new(&forms);
        reader.command_sent(b"AT+MPUBEX=\"t\",0,0,3\r\n", Some(">"));
        let read = items(&mut reader, &[b"\r\n>", b"> "]);
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].item, Item::Prompt);
        reader.data_sent(b"abc");
        let read = items(&mut reader, &[b"\r\nOK\r\n", b">\r\n"]);
        assert_eq!(read.into_iter().map(|r| r.item).collect::<Vec<_>>(), [line("OK"), line(">")]);
    }

    #[test]
    fn data_are_echoed_where_commands_are() {
        let forms = forms();
        let mut reader = Reader::new(&forms);
        reader.command_sent(b"AT+MPUBEX=\"t\",0,0,4\r\n", Some(">"));
        items(&mut reader, &[b"AT+MPUBEX=\"t\",0,0,4\r\r\n> "]);
        reader.data_sent(b"a\r\nb");
        let read = items(&mut reader, &[b"a\r", b"\nb\r\nOK\r\n"]);
        assert_eq!(
            read.into_iter().map(|r| r.item).collect::<Vec<_>>(),
            [Item::Echo(b"a\r\nb".to_vec()), line("OK")]
        );
    }

    #[test]
    fn endless_garbage_is_cut_up() {
        let forms = forms();
        let mut reader = Reader::new(&forms);
        for _ in 0..100 {
            let read = items(&mut reader, &[&[b'x'; 5000]]);
            assert!(read.iter().all(|r| matches!(r.item, Item::Overlong(_))));
            assert!(reader.pending().len() <= MAX_LINE);
        }
    }

    proptest! {
        #[test]
        fn cutting_changes_nothing(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just(b"\r\nOK\r\n".to_vec()), Just(b"AT+X=1\r\r\n".to_vec()), Just(b">".to_vec()), Just(b"> ".to_vec()),
                    Just(b"+MSUB: \"t\",4 byte,\r\nOK\r\n".to_vec()), Just(b"+MSUB: \"t\",3 byte,abcd\r\n".to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..20),
                ], 0..12),
            cuts in proptest::collection::vec(0_usize..200, 0..10),
        ) {
            let stream: Vec<u8> = pieces.concat();
            let forms = forms();
            let mut whole = Reader::new(&forms);
            whole.command_sent(b"AT+X=1\r\n", Some(">"));
            let expected = items(&mut whole, &[&stream]);
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&c| c < stream.len()).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&stream[from..cut]);
                from = cut;
            }
            chunks.push(&stream[from..]);
            let mut parts = Reader::new(&forms);
            parts.command_sent(b"AT+X=1\r\n", Some(">"));
            prop_assert_eq!(items(&mut parts, &chunks), expected);
        }
    }
}
