//! The state of a connection that is not authenticated yet.

use super::attempt::{Accepted, Target};
use super::dialogue::Dialogue;
use super::scram;
use crate::base::{Origin, Peer};
use crate::wire::http::Request;
use alloc::boxed::Box;

/// A connection that is not authenticated yet.
pub(super) struct Waiting {
    pub(super) peer: Peer,
    pub(super) origin: Origin,
    pub(super) request: Option<Box<Request>>,
    pub(super) tries: u32,
    pub(super) stage: Stage,
    /// Whether the opening request carried a token. If so, a wrong proof ends the connection.
    pub(super) by_request: bool,
    /// Whether reading is paused, because an attempt is in progress.
    pub(super) is_paused: bool,
    /// Whether to emit `Authenticated` after `Opened`.
    pub(super) is_authenticated: bool,
    /// Whether to emit `InputEnded` after `Opened`.
    pub(super) input_ended: bool,
    /// Whether to emit `Stalled` after `Opened`.
    pub(super) is_stalled: bool,
}

pub(super) enum Stage {
    /// The layer expects a proof of any kind.
    Idle,
    /// A SCRAM exchange is in progress. Holds its server side, and the user to log in.
    Scram(Box<scram::Server>, Box<Target>),
    /// The peer answers the prompts of a dialogue.
    Dialogue(Dialogue),
    /// The client of an SSH listener logs in, and has no session yet.
    BeforeSession,
    /// The client of an SSH listener has logged in, and has no session yet.
    LoggedIn(Box<Accepted>),
}

impl Waiting {
    pub(super) fn new(peer: Peer, origin: Origin, request: Option<&Request>, by_request: bool) -> Self {
        Self {
            peer,
            origin,
            request: request.cloned().map(Box::new),
            tries: 0,
            stage: Stage::Idle,
            by_request,
            is_paused: false,
            is_authenticated: false,
            input_ended: false,
            is_stalled: false,
        }
    }

    /// Returns `true` if the client of an SSH listener has no session yet.
    pub(super) const fn is_before_session(&self) -> bool {
        matches!(self.stage, Stage::BeforeSession | Stage::LoggedIn(_))
    }
}
