//! The record of an attempt of a dial.

use crate::base::{ConnId, DialId, Failure, Time};
use alloc::string::String;

/// An attempt of a dial to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The number of the shard that dials.
    pub shard: u8,
    /// The dial.
    pub dial: DialId,
    /// The address of the attempt.
    pub address: String,
    /// When the shell learned that the attempt should be made.
    pub began: Time,
    /// When the shell ended the attempt: with a result, or because the machine cancelled it.
    pub ended: Option<Time>,
    /// The connection and the number of the peer, if it connected.
    pub connected: Option<(ConnId, usize)>,
    /// The failure that the shell reported, if any.
    pub failed: Option<Failure>,
    /// When the result of the attempt is due. `None`: never.
    pub(super) due: Option<Time>,
}
