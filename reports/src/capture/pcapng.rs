//! pcapng, as much of it as a capture needs: section header, interfaces, and packets with comments.
//!
//! Written by hand: the three blocks are less than what a dependency would cost. The crate that knows comments
//! (`pcap-file` 3) has been a release candidate for years, and its pre-release names sort the wrong way.
//! The format: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html>.

use std::io::{self, Write};

/// The largest captured length that Wireshark reads back; of a longer packet the beginning is kept, and its length told.
pub const MAX_CAPTURED: usize = 262_144;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// `LINKTYPE_WIRESHARK_UPPER_PDU`: each packet says by name which dissector it is for.
const UPPER_PDU: u16 = 252;

const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
/// `if_name` of an interface.
const NAME: u16 = 2;
/// `if_description` of an interface.
const DESCRIPTION: u16 = 3;
/// `shb_userappl` of a section: the program that wrote it.
const APPLICATION: u16 = 4;

/// Where the options of a section header begin.
const SECTION_OPTIONS: usize = 24;

/// Writes one section, in little-endian and with times in µs. Holds one block at a time.
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    interfaces: u32,
    packets: u64,
}

/// An interface of the section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface(u32);

/// A packet to be written.
#[derive(Debug, Clone, Default)]
pub struct Packet<'a> {
    /// µs since 1970.
    pub at_us: u64,
    /// What stands before the data: the tags of the upper PDU ([`Tags`](crate::capture::Tags)).
    pub head: &'a [u8],
    /// The data.
    pub data: &'a [u8],
    /// Comments, each of which Wireshark shows by itself.
    pub comments: &'a [String],
}

impl<W: Write> Writer<W> {
    /// Begins the section. `application` is the program that writes it, `comment` is about the whole file.
    pub fn new(mut to: W, application: &str, comment: &str) -> io::Result<Self> {
        let mut block = Block::new(SECTION_HEADER);
        block.u32(BYTE_ORDER);
        block.u32(1); // version 1.0
        block.bytes(&u64::MAX.to_le_bytes()); // the length of the section is not known yet
        debug_assert_eq!(block.0.len(), SECTION_OPTIONS);
        block.option(APPLICATION, application);
        block.option(COMMENT, comment);
        block.end_of_options();
        to.write_all(&block.finish())?;
        Ok(Self { to, interfaces: 0, packets: 0 })
    }

    /// Adds an interface.
    pub fn interface(&mut self, name: &str, description: &str) -> io::Result<Interface> {
        let mut block = Block::new(INTERFACE);
        block.u16(UPPER_PDU);
        block.u16(0);
        block.u32(length(MAX_CAPTURED));
        block.option(NAME, name);
        block.option(DESCRIPTION, description);
        block.end_of_options();
        self.to.write_all(&block.finish())?;
        self.interfaces += 1;
        Ok(Interface(self.interfaces - 1))
    }

    /// Adds a packet; returns how many bytes of its data were kept, which is all of them up to [`MAX_CAPTURED`].
    pub fn packet(&mut self, on: Interface, packet: &Packet<'_>) -> io::Result<usize> {
        let whole = packet.head.len() + packet.data.len();
        let kept = packet.data.len().min(MAX_CAPTURED.saturating_sub(packet.head.len()));
        let [low, high] = [packet.at_us & 0xffff_ffff, packet.at_us >> 32]
            .map(|half| u32::try_from(half).expect("32 bits were kept"));
        let mut block = Block::new(PACKET);
        for number in [on.0, high, low, length(packet.head.len() + kept), length(whole)] {
            block.u32(number);
        }
        block.bytes(packet.head);
        block.bytes(&packet.data[..kept]);
        block.pad();
        for comment in packet.comments {
            block.option(COMMENT, comment);
        }
        block.end_of_options();
        self.to.write_all(&block.finish())?;
        self.packets += 1;
        Ok(kept)
    }

    /// Everything is written; returns the number of packets.
    pub fn finish(mut self) -> io::Result<u64> {
        self.to.flush()?;
        Ok(self.packets)
    }
}

/// The program that wrote a file which begins with these bytes, if it is a pcapng as [`Writer`] begins them.
pub(super) fn application(head: &[u8]) -> Option<&str> {
    let number = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
    if number(0)? != SECTION_HEADER || number(8)? != BYTE_ORDER {
        return None;
    }
    let option = number(SECTION_OPTIONS)?;
    if option & 0xffff != u32::from(APPLICATION) {
        return None;
    }
    let len = usize::try_from(option >> 16).ok()?;
    std::str::from_utf8(head.get(SECTION_OPTIONS + 4..)?.get(..len)?).ok()
}

/// A block while it grows: type, room for the length, then the body.
struct Block(Vec<u8>);

impl Block {
    fn new(kind: u32) -> Self {
        let mut block = Self(Vec::new());
        block.u32(kind);
        block.u32(0);
        block
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u16(&mut self, number: u16) {
        self.bytes(&number.to_le_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// A text option; what is longer than any option may be is cut at a character. An empty one is left out.
    fn option(&mut self, code: u16, text: &str) {
        if text.is_empty() {
            return;
        }
        let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
        self.u16(code);
        self.u16(u16::try_from(text.len()).expect("cut to what fits"));
        self.bytes(text.as_bytes());
        self.pad();
    }

    fn end_of_options(&mut self) {
        self.u16(END_OF_OPTIONS);
        self.u16(0);
    }

    /// The whole block, with its length at both ends.
    fn finish(mut self) -> Vec<u8> {
        let len = length(self.0.len() + 4);
        self.u32(len);
        self.0[4..8].copy_from_slice(&len.to_le_bytes());
        self.0
    }
}

/// A length as the format writes it. Nothing here comes near its limit; what did would be told as its maximum.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
