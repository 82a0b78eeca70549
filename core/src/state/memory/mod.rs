//! Rooms that have a home: one shard numbers the messages of a room, keeps some and passes them on.
//!
//! A shard with members of a room has a [seat](seats) there. The home sends each message to all
//! seats. Messages from one shard to another keep their order. So what the home told a new member
//! ends exactly where the messages begin that the home sends afterwards: nothing is missed or
//! doubled between them.

mod behind;
mod envelope;
mod gaps;
mod home;
#[cfg(feature = "sim")]
mod ledger;
mod members;
mod names;
mod presence;
mod request;
mod requests;
mod routing;
mod seats;
#[cfg(feature = "sim")]
mod sim;
mod tables;

#[cfg(feature = "sim")]
pub use ledger::{Numbered, ToldPresence};
pub use request::RoomRequest;
pub(crate) use seats::Question;
pub(crate) use tables::Memory;
