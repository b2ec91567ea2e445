//! The world: clock and recorder, serial link, tap and broker, and the driver that takes a case through them.

pub mod broker;
pub mod record;
pub mod tap;
