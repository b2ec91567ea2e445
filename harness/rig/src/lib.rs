//! The world: everything that touches a module.
//!
//! - [`link`]: the serial port;
//! - [`tap`], [`broker`]: what the module connects to;
//! - [`record`]: one clock and one order for both;
//! - [`drive`]: takes a case through them;
//! - [mod@bench]: one module, one case after the other;
//! - [`sitting`]: one module, many tries of a campaign on one session.

mod alert;
pub mod bench;
pub mod broker;
pub mod drive;
pub mod link;
mod live;
mod pulse;
pub mod record;
pub mod sitting;
pub mod tap;
