//! What hosts see of the messages that a model of a broker has kept.

use super::envelope::{self, Envelope};
use crate::base::{ConnId, OutgoingBuf};
use crate::history::Position;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A message that was published to a room, as hosts see it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) room: String,
    pub(crate) position: Position,
    pub(crate) except: Arc<[ConnId]>,
    pub(crate) message: OutgoingBuf,
    /// Whether the broker has gone back to data without it.
    pub(crate) was_lost: bool,
}

impl Shown {
    /// Shows what a host has written.
    pub(super) fn new(room: String, position: Position, data: Vec<u8>, was_lost: bool) -> Option<Self> {
        let Envelope { except, message, .. } = envelope::decode(data.into())?;
        Some(Self { room, position, except, message, was_lost })
    }
}
