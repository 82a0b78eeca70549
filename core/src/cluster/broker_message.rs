//! What hosts see of the messages that a model of a broker has kept.

use super::envelope::{self, Envelope};
use crate::base::{ConnId, OutgoingBuf};
use crate::history::Position;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A message that a host published to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerMessage {
    /// The name of the room.
    pub room: String,
    /// The position after the message.
    pub position: Position,
    /// The connections that do not receive it.
    pub except: Arc<[ConnId]>,
    /// The message.
    pub message: OutgoingBuf,
    /// Whether the broker has gone back to data without it since.
    pub was_lost: bool,
}

impl BrokerMessage {
    /// Reads what a host has written.
    pub(super) fn new(room: String, position: Position, data: Vec<u8>, was_lost: bool) -> Option<Self> {
        let Envelope { except, message, .. } = envelope::decode(data.into())?;
        Some(Self { room, position, except, message, was_lost })
    }
}
