//! Copies of messages to watched connections.

use crate::base::{ConnId, Payload, PayloadBuf};
use alloc::collections::{BTreeMap, VecDeque};

/// Maximum number of waiting copies. Further messages are counted but not copied.
const WAITING_MAX: usize = 256;
/// Maximum number of bytes that are copied of a message.
const COPY_MAX_BYTES: usize = 4 << 10;

/// The watched connections, and copies of messages to them.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// The watched connections, each with its number of messages that were not copied.
    conns: BTreeMap<ConnId, u64>,
    sent: VecDeque<Copied>,
    /// Whether copies are being delivered. Messages sent meanwhile are not copied.
    is_telling: bool,
}

/// A copy of the beginning of a message to a watched connection.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) conn: ConnId,
    pub(crate) start: PayloadBuf,
    pub(crate) bytes: usize,
}

impl Watched {
    /// Returns `true` if no messages are copied at the moment.
    pub(super) fn is_empty(&self) -> bool {
        self.conns.is_empty() || self.is_telling
    }

    /// Returns `true` if there is no copy, and none is being delivered.
    pub(super) fn is_idle(&self) -> bool {
        self.sent.is_empty() && !self.is_telling
    }

    /// Returns `true` if messages to a connection are copied at the moment.
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        !self.is_empty() && self.conns.contains_key(&conn)
    }

    pub(crate) fn set(&mut self, conn: ConnId, is_watched: bool) {
        if is_watched {
            self.conns.entry(conn).or_default();
        } else {
            self.conns.remove(&conn);
        }
    }

    /// Returns and resets the number of messages to a connection that were not copied.
    pub(crate) fn take_missed(&mut self, conn: ConnId) -> u64 {
        self.conns.get_mut(&conn).map(core::mem::take).unwrap_or_default()
    }

    /// Removes and returns the oldest copy. Messages are copied again once this returns `None`.
    pub(crate) fn next(&mut self) -> Option<Copied> {
        let copied = self.sent.pop_front();
        self.is_telling = copied.is_some();
        copied
    }

    pub(crate) fn conns(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.conns.keys().copied()
    }

    pub(super) fn copy(&mut self, conn: ConnId, payload: Payload<'_>) {
        if self.sent.len() >= WAITING_MAX {
            if let Some(missed) = self.conns.get_mut(&conn) {
                *missed += 1;
            }
            return;
        }
        let bytes = payload.as_bytes().len();
        let start = payload.start(COPY_MAX_BYTES).to_owned();
        self.sent.push_back(Copied { conn, start, bytes });
    }
}
