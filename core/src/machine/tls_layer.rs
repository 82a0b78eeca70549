//! The TLS sessions of a machine.

use crate::base::ConnId;
use crate::tls::TlsSession;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// The TLS sessions of a machine's connections, and a buffer for unencrypted bytes.
#[derive(Debug, Default)]
pub(super) struct TlsLayer {
    /// TLS sessions with their connections' ids, by connection index.
    pub(super) sessions: Vec<Option<(ConnId, Box<TlsSession>)>>,
    pub(super) plain: Vec<u8>,
}

impl TlsLayer {
    pub(super) fn session(&self, conn: ConnId) -> Option<&TlsSession> {
        let (id, session) = self.sessions.get(conn.index())?.as_ref()?;
        (*id == conn).then_some(session)
    }

    /// Stores the session of a connection.
    pub(super) fn begin(&mut self, conn: ConnId, session: TlsSession) {
        if self.sessions.len() <= conn.index() {
            self.sessions.resize_with(conn.index() + 1, || None);
        }
        self.sessions[conn.index()] = Some((conn, Box::new(session)));
    }

    /// Drops the session of a connection, if it still has one.
    pub(super) fn end(&mut self, conn: ConnId) {
        if self.session(conn).is_some() {
            self.forget(conn);
        }
    }

    /// Drops the session in the connection's slot.
    pub(super) fn forget(&mut self, conn: ConnId) {
        if let Some(place) = self.sessions.get_mut(conn.index()) {
            *place = None;
        }
    }

    pub(super) fn session_mut(&mut self, conn: ConnId) -> Option<&mut TlsSession> {
        let (id, session) = self.sessions.get_mut(conn.index())?.as_mut()?;
        (*id == conn).then_some(session)
    }
}
