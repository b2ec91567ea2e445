//! MQTT 3.1.1 as bytes: a strict decoder that keeps every bit, and an encoder that can also make bad packets.
//!
//! No codec of the ecosystem is strict (DESIGN §8: the best accepts 11 of 60 malformed packets) and none keeps
//! the bits we judge, so this one is ours. A packet is never refused: [`decode`] always gives a
//! [`Packet`] with the raw bytes, as much structure as could be read, and every [`Violation`] found.

mod decode;
mod encode;
mod frame;
mod packet;
pub mod topic;

pub use decode::decode;
pub use encode::{encode, encode_with_flags};
pub use frame::{Frame, Framer};
pub use packet::{
    Ack, Body, ConnAck, Connect, Level, Packet, PacketType, Publish, SubAck, Subscribe, Text, Unsubscribe,
    Violation, Will,
};
