//! What a broker has kept.

use crate::base::{OutgoingBuf, Representation};
use crate::cluster::envelope;
use crate::history::Position;
use std::string::String;
use std::vec::Vec;

/// A message that the broker has kept at some time.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// The number of the message among all.
    pub(super) number: u64,
    pub(super) room: String,
    pub(super) position: Position,
    /// The content. `None`: it is for hosts only.
    pub(super) text: Option<u64>,
    /// Whether the broker has gone back to data without it.
    pub(super) was_lost: bool,
}

/// Returns the number that is in an envelope.
pub(super) fn text_of(data: Vec<u8>) -> u64 {
    number_of(&envelope::decode(data.into()).expect("an envelope").message)
}

/// Returns the number that a message is.
pub(super) fn number_of(message: &OutgoingBuf) -> u64 {
    message
        .as_outgoing()
        .as_payload(Representation::Text)
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a number")
}
