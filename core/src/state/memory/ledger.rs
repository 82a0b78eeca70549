//! What the homes of rooms have numbered, for the simulated world.

use crate::base::{ConnId, OutgoingBuf};
use crate::history::Position;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A message that the home of a room has numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Numbered {
    /// The name of the room.
    pub room: String,
    /// The position after the message.
    pub position: Position,
    /// The mark of the message before it. 0: it is the first of its epoch.
    pub previous: u64,
    /// The connections that do not receive it.
    pub except: Arc<[ConnId]>,
    /// The message.
    pub message: OutgoingBuf,
    /// Whether the home has gone back to a state without it since.
    pub was_lost: bool,
}

/// A name of which the home of a room has told the shards with members that it came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToldPresence {
    /// The name of the room.
    pub room: String,
    /// The name of the member.
    pub name: Arc<str>,
    /// Whether the name is present.
    pub is_present: bool,
    /// Information about the name, if there is any.
    pub info: Option<Arc<str>>,
}

/// What the home of rooms has numbered, even if it was lost or is no longer kept.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// `None`: nothing is entered.
    pub(super) numbered: Option<Vec<Numbered>>,
    /// The changes of presence that this home has told, if messages are entered.
    pub(super) presence: Vec<ToldPresence>,
    /// Whether the histories were replaced with older ones.
    pub(super) has_lost: bool,
}
