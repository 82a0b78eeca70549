//! The types that a connection's task and the machine exchange.

use super::link::{Link, Weight};
use drupe_core::{ConnId, Hub, Identity, OutgoingBuf, PayloadBuf, Reason, Representation};

use core::fmt;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Act = dyn FnOnce(&mut Hub<'_, Linked>, ConnId) + Send;

/// An action that a connection's task requests from the machine.
pub(super) enum Action {
    Send(OutgoingBuf),
    Write(PayloadBuf),
    Act(Box<Act>),
    Close,
    End(Reason),
}

/// The link between a connection's task and the machine.
pub(super) type Path = Link<PayloadBuf, Action>;

impl Weight for PayloadBuf {
    fn bytes(&self) -> usize {
        self.as_payload().as_bytes().len()
    }
}

impl Weight for Action {
    fn bytes(&self) -> usize {
        match self {
            Self::Send(message) => message.as_outgoing().len(),
            Self::Write(payload) => payload.bytes(),
            Self::Act(_) | Self::Close | Self::End(_) => 0,
        }
    }
}

/// A note to the handler that a connection's task has queued actions or has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub(super) conn: ConnId,
    pub(super) panicked: bool,
}

/// A connection's identity and representation, which the machine's side keeps up to date.
#[derive(Default)]
pub(super) struct Live(Mutex<Facts>);

#[derive(Default)]
pub(super) struct Facts {
    pub(super) identity: Option<Identity>,
    pub(super) representation: Option<Representation>,
}

impl Live {
    pub(super) fn lock(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The context of a connection: the link to its task, and the state that the task reads.
#[derive(Default)]
pub struct Linked {
    pub(super) link: Option<Arc<Path>>,
    pub(super) live: Arc<Live>,
}

/// Ends the link when the server is dropped before the connection has ended.
impl Drop for Linked {
    fn drop(&mut self) {
        self.link.iter().for_each(|link| link.end(Reason::Shutdown));
    }
}

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Linked")
    }
}
