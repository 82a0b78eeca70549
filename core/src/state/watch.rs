//! Copies of what is sent to connections that somebody watches.

use super::State;
use crate::base::{ConnId, Outgoing, Payload, PayloadBuf};
use crate::state::room::RoomNumber;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

/// So many copies wait at most; of what is more, only how many there were.
const WAITING_MAX: usize = 256;
/// The most that is copied of a message.
const COPY_MAX_BYTES: usize = 4 << 10;

/// Who is watched, and what was sent to them.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    conns: BTreeSet<ConnId>,
    sent: VecDeque<Copied>,
    missed: u64,
    /// What is sent while copies are handed out is not copied: it may come of them.
    is_telling: bool,
}

/// The beginning of a message.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) conn: ConnId,
    pub(crate) start: PayloadBuf,
    pub(crate) bytes: usize,
}

impl Watched {
    /// Nothing is copied at the moment.
    fn is_empty(&self) -> bool {
        self.conns.is_empty() || self.is_telling
    }

    /// Whether what is sent to a connection is copied at the moment.
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        !self.is_empty() && self.conns.contains(&conn)
    }

    pub(crate) fn set(&mut self, conn: ConnId, is_watched: bool) {
        if is_watched {
            self.conns.insert(conn);
        } else {
            self.conns.remove(&conn);
        }
    }

    pub(crate) fn take_missed(&mut self) -> u64 {
        core::mem::take(&mut self.missed)
    }

    /// The copies, which are to be handed out until there is none.
    pub(crate) fn next(&mut self) -> Option<Copied> {
        let copied = self.sent.pop_front();
        self.is_telling = copied.is_some();
        copied
    }

    #[cfg(feature = "sim")]
    pub(crate) fn conns(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.conns.iter().copied()
    }

    fn copy(&mut self, conn: ConnId, payload: Payload<'_>) {
        if self.sent.len() >= WAITING_MAX {
            self.missed += 1;
            return;
        }
        let bytes = payload.as_bytes().len();
        let start = payload.start(COPY_MAX_BYTES).to_owned();
        self.sent.push_back(Copied { conn, start, bytes });
    }
}

impl<C: Default> State<C> {
    /// Copies what was sent to a connection, if somebody watches it.
    pub(super) fn copy_sent(&mut self, conn: ConnId, payload: Payload<'_>) {
        if self.watched.has(conn) {
            self.watched.copy(conn, payload);
        }
    }

    /// As [`copy_sent`](Self::copy_sent) for each of these, in the representation that it has.
    pub(super) fn copy_to_watchers(&mut self, conns: &[ConnId], message: Outgoing<'_>) {
        for &conn in conns {
            self.copy_sent(conn, message.as_payload(self.representation(conn)));
        }
    }

    /// Those who are watched among the members of a room, but for exceptions, which are sorted.
    pub(super) fn watched_members(&self, room: RoomNumber, except: &[u32]) -> Vec<ConnId> {
        if self.watched.is_empty() {
            return Vec::new();
        }
        let is_member = |conn: &&ConnId| self.conns.get(**conn).is_some_and(|found| found.rooms.contains(&room));
        let watched = self.watched.conns.iter().filter(is_member);
        watched.filter(|conn| except.binary_search(&conn.slot()).is_err()).copied().collect()
    }
}
