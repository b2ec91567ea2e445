//! A byte stream cut into control packets.

use std::collections::VecDeque;
use std::mem;

/// What can be read of a fixed header (2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// More bytes are needed.
    Incomplete,
    /// All four bytes of the remaining length announce a further one.
    Endless,
    /// Length of the fixed header, and of what follows it.
    Known { len: usize, remaining: usize },
}

/// Reads the fixed header at the start of `raw`.
pub(super) fn header(raw: &[u8]) -> Header {
    let mut remaining = 0;
    for (index, &byte) in raw.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Header::Known { len: index + 2, remaining };
        }
    }
    if raw.len() < 5 { Header::Incomplete } else { Header::Endless }
}

/// A piece of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole control packet, as long as its fixed header says.
    Packet(Vec<u8>),
    /// Nothing after this point can be framed; the last frame of a stream.
    Broken {
        /// The fixed header that cannot be followed.
        raw: Vec<u8>,
        /// Why not, for a person.
        why: String,
    },
}

/// Cuts a byte stream into [`Frame`]s, however it arrives.
///
/// Memory is bounded by `max_packet` plus the frames not yet fetched: fetch all of them after each push.
#[derive(Debug, Clone)]
pub struct Framer {
    max_packet: usize,
    unfinished: Vec<u8>,
    /// What the unfinished packet still lacks; `None` while in its fixed header.
    body_left: Option<usize>,
    ready: VecDeque<Frame>,
    broken: bool,
}

impl Framer {
    /// A framer for packets of at most `max_packet` bytes, fixed header included.
    pub fn new(max_packet: usize) -> Self {
        Self { max_packet, unfinished: Vec::new(), body_left: None, ready: VecDeque::new(), broken: false }
    }

    /// Takes the next bytes of the stream, any number of them.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !self.broken && !bytes.is_empty() {
            // Byte by byte through the fixed header, then as much of the body as there is.
            let take = self.body_left.unwrap_or(1).min(bytes.len());
            let (now, later) = bytes.split_at(take);
            bytes = later;
            self.unfinished.extend_from_slice(now);
            match self.body_left {
                Some(left) => self.body_left = Some(left - take),
                None => self.read_header(),
            }
            if self.body_left == Some(0) {
                self.body_left = None;
                self.ready.push_back(Frame::Packet(mem::take(&mut self.unfinished)));
            }
        }
    }

    /// The next whole frame, if there is one.
    pub fn next_frame(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// The bytes of a packet that is not complete yet; empty between two packets and in a broken stream.
    pub fn pending(&self) -> &[u8] {
        &self.unfinished
    }

    /// Whether the stream can no longer be framed; everything pushed from now on is thrown away.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    fn read_header(&mut self) {
        match header(&self.unfinished) {
            Header::Incomplete => {}
            Header::Endless => self.give_up("Remaining Length goes on after its fourth byte".to_owned()),
            Header::Known { len, remaining } if len + remaining > self.max_packet => {
                let why = format!("packet of {} bytes, the limit is {}", len + remaining, self.max_packet);
                self.give_up(why);
            }
            Header::Known { remaining, .. } => self.body_left = Some(remaining),
        }
    }

    fn give_up(&mut self, why: String) {
        self.broken = true;
        self.ready.push_back(Frame::Broken { raw: mem::take(&mut self.unfinished), why });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const MAX: usize = 200;

    fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Vec<u8>, bool) {
        let mut framer = Framer::new(MAX);
        let mut out = Vec::new();
        for piece in pieces {
            framer.push(piece);
            assert!(framer.pending().len() <= MAX.max(5));
            out.extend(std::iter::from_fn(|| framer.next_frame()));
        }
        (out, framer.pending().to_vec(), framer.is_broken())
    }

    #[rstest]
    #[case(b"", Header::Incomplete)]
    #[case(b"\x30", Header::Incomplete)]
    #[case(b"\x30\x80\x80\x80", Header::Incomplete)]
    #[case(b"\x30\x00", Header::Known { len: 2, remaining: 0 })]
    #[case(b"\x30\x7f", Header::Known { len: 2, remaining: 127 })]
    #[case(b"\x30\x80\x01", Header::Known { len: 3, remaining: 128 })]
    #[case(b"\x30\xff\xff\xff\x7f", Header::Known { len: 5, remaining: 268_435_455 })]
    #[case(b"\x30\x80\x80\x80\x80", Header::Endless)]
    #[case(b"\x30\x80\x80\x80\x80\x01", Header::Endless)]
    fn fixed_headers(#[case] raw: &[u8], #[case] expected: Header) {
        assert_eq!(header(raw), expected);
    }

    #[test]
    fn two_packets_and_a_rest() {
        let (found, pending, broken) = frames([&b"\xc0\x00\x40\x02\x00\x01\x30\x05\x00"[..]]);
        assert_eq!(found, [Frame::Packet(b"\xc0\x00".to_vec()), Frame::Packet(b"\x40\x02\x00\x01".to_vec())]);
        assert_eq!((pending.as_slice(), broken), (&b"\x30\x05\x00"[..], false));
    }

    #[rstest]
    #[case::fifth_length_byte(b"\xc0\x00\x30\x80\x80\x80\x80\x01abc", b"\x30\x80\x80\x80\x80")]
    #[case::larger_than_the_limit(b"\xc0\x00\x30\xc6\x01abc", b"\x30\xc6\x01")]
    fn broken_streams_end(#[case] stream: &[u8], #[case] header: &[u8]) {
        let (found, pending, broken) = frames([stream, &b"\xc0\x00"[..]]);
        let [Frame::Packet(_), Frame::Broken { raw, why }] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(raw, header);
        assert!(!why.is_empty());
        assert!(broken && pending.is_empty());
    }

    #[test]
    fn the_limit_counts_the_fixed_header() {
        let mut stream = b"\x30\xc5\x01".to_vec();
        stream.resize(MAX, 0);
        assert_eq!(frames([stream.as_slice()]), (vec![Frame::Packet(stream.clone())], vec![], false));
        // A limit below any fixed header breaks on the first packet instead of overflowing.
        let mut tiny = Framer::new(1);
        tiny.push(b"\xc0\x00");
        assert!(tiny.is_broken());
    }

    /// Mostly short packets, so that streams hold several of them; sometimes anything.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let packet =
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(first, body)| {
                let mut raw = vec![first, u8::try_from(body.len()).expect("below 20")];
                raw.extend(body);
                raw
            });
        let piece = prop_oneof![9 => packet, 1 => proptest::collection::vec(any::<u8>(), 0..8)];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn cuts_never_change_the_frames(stream in stream(), cuts in proptest::collection::vec(0_usize..160, 0..12)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let whole = frames([stream.as_slice()]);
            prop_assert_eq!(&frames(cuts.windows(2).map(|w| &stream[w[0]..w[1]])), &whole);
            prop_assert_eq!(&frames(stream.chunks(1)), &whole);
        }

        #[test]
        fn nothing_is_lost_before_the_break(stream in stream()) {
            let (found, pending, broken) = frames([stream.as_slice()]);
            let mut joined = Vec::new();
            for frame in &found {
                let (Frame::Packet(raw) | Frame::Broken { raw, .. }) = frame;
                joined.extend_from_slice(raw);
            }
            joined.extend(pending);
            prop_assert!(stream.starts_with(&joined));
            prop_assert!(broken || joined.len() == stream.len());
            prop_assert_eq!(broken, matches!(found.last(), Some(Frame::Broken { .. })));
        }
    }
}
