//! TLS between the network and the rest of the machine.
//!
//! The rest sees plain bytes only: decrypted bytes count as received, and encrypted bytes that the
//! socket accepted count as written.

use super::Machine;
#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure};
use crate::base::{ConnId, Failure, Origin, Reason, Time, TlsFault};
use crate::handler::Handler;
use crate::state::Ending;
use crate::state::conn::{Conn, HandshakeStep, Phase};
use crate::tls::{Progress, Tls, TlsSession};

/// Maximum number of plain bytes that are encrypted at a time: two TLS records.
const SEALED_MAX_BYTES: usize = 32 << 10;

impl<H: Handler> Machine<H> {
    /// Returns `true` if the received bytes of a connection must be decrypted.
    pub(super) fn is_enciphered(&self, conn: ConnId) -> bool {
        self.tls.session(conn).is_some() || self.tls_of(conn).is_some()
    }

    fn tls_of(&self, conn: ConnId) -> Option<&Tls> {
        let found =
            self.state.conns.get(conn).filter(|found| found.step != HandshakeStep::Speech && found.is_undecided())?;
        found.handshake.offered.as_ref()?.tls.as_ref().filter(|tls| tls.is_spoken_here())
    }

    /// Returns `true` if input that ends now would lack the TLS `close_notify`.
    pub(super) fn is_cut_off(&self, conn: ConnId) -> bool {
        self.tls.session(conn).is_some_and(TlsSession::is_cut_off)
    }

    /// Begins the TLS handshake of an outgoing connection, unless another component speaks TLS.
    pub(super) fn begin_tls(&mut self, now: Time, conn: ConnId) {
        let Some(dial) = self.state.dial_of(conn) else { return };
        let Some((address, tls)) = self.state.dials.tls(dial).filter(|(_, tls)| tls.is_spoken_here()) else { return };
        match tls.session(address) {
            Some(session) => self.tls.begin(conn, session),
            // The host is no valid name, so no certificate can be for it.
            None => self.fail(now, conn, Failure::TlsHandshake(TlsFault::NameMismatch)),
        }
    }

    /// Begins the TLS handshakes that the handler has asked for.
    pub(super) fn begin_asked_tls(&mut self) {
        while let Some(conn) = self.state.begins_tls.pop() {
            let Some((address, tls)) = self.state.dial_of(conn).and_then(|dial| self.state.dials.tls(dial)) else {
                continue;
            };
            if self.state.open_slot(conn).is_none() || !tls.is_spoken_here() {
                continue;
            }
            if let Some(session) = tls.session(address) {
                self.tls.begin(conn, session);
                self.state.outbound.changed.insert(conn.slot());
            } else {
                // The host is no valid name, so no certificate can be for it.
                self.state.asked_tls_has_failed(conn, Failure::TlsHandshake(TlsFault::NameMismatch));
                self.state.end(conn.slot(), Reason::TlsFailed, Ending::Drop);
            }
        }
    }

    /// Returns the failure of an outgoing connection's TLS handshake whose alert is not written yet.
    ///
    /// If the server ends first, this is the cause, and not its end.
    pub(super) fn failure_of_dial(&self, conn: ConnId) -> Option<Failure> {
        let is_dial = |found: &&Conn| found.is_undecided() && matches!(found.origin, Origin::Dial(_));
        if self.state.asked_tls_until(conn).is_none() {
            self.state.conns.get(conn).filter(is_dial)?;
        }
        self.tls.session(conn)?.failure()
    }

    /// Decrypts received bytes and handles the plain ones.
    ///
    /// Until the client address is known and admitted, they are only held.
    pub(super) fn decipher(&mut self, now: Time, conn: ConnId, bytes: &mut [u8]) {
        if self.tls.session(conn).is_none() {
            let Some(session) = self.tls_of(conn).and_then(Tls::session) else { return };
            self.tls.begin(conn, session);
        }
        let may_begin = self.state.conns.get(conn).is_some_and(|found| !found.is_undecided() || found.step.is_open());
        let mut plain = core::mem::take(&mut self.tls.plain);
        let Some(session) = self.tls.session_mut(conn) else { return };
        if !may_begin {
            session.hold(bytes);
            self.tls.plain = plain;
            return;
        }
        let Progress { secured, closed } = session.receive(bytes, &mut plain);
        let has_failed = session.has_failed();
        if let Some(secured) = secured {
            self.secured(now, conn, &secured);
        }
        if !plain.is_empty() {
            self.take(now, conn, &mut plain);
        }
        plain.clear();
        plain.shrink_to(crate::wire::SPARE_BYTES);
        self.tls.plain = plain;
        if closed {
            self.take_end(now, conn);
        }
        if has_failed {
            self.settle_failed(now, conn, false);
        }
        if self.state.conns.get(conn).is_some() {
            self.state.outbound.changed.insert(conn.slot());
        }
    }

    /// Encrypts the next output once all earlier output is written.
    pub(super) fn seal(&mut self, now: Time, conn: ConnId) {
        let Some(session) = self.tls.session(conn) else { return self.tls.forget(conn) };
        let takes_more = session.takes_more();
        let Some(found) = self.state.conns.get(conn) else {
            self.tls.sessions[conn.index()] = None;
            return;
        };
        if !takes_more {
            let is_written = session.outgoing().is_empty();
            if is_written {
                self.settle_closed(now, conn);
            }
            return;
        }
        let mut plain = core::mem::take(&mut self.tls.plain);
        let index = conn.slot();
        for slice in self.state.outbound.batch(index) {
            let room = SEALED_MAX_BYTES - plain.len();
            plain.extend_from_slice(&slice[..slice.len().min(room)]);
            if plain.len() == SEALED_MAX_BYTES {
                break;
            }
        }
        let Some(session) = self.tls.session_mut(conn) else { return };
        session.seal(&plain);
        let is_all = plain.len() == self.state.outbound.pending(index);
        let is_last = found.finished || matches!(found.phase, Phase::Flushing { .. } | Phase::Lingering { .. });
        if is_all && is_last {
            session.close();
        }
        if !plain.is_empty() {
            self.sealed(now, conn, plain.len());
        }
        plain.clear();
        self.tls.plain = plain;
        if self.tls.session(conn).is_some_and(|session| session.outgoing().is_empty()) {
            self.settle_failed(now, conn, false);
            self.settle_closed(now, conn);
        }
    }

    /// Records that encrypted bytes were written, and with them the plain bytes that they contain.
    pub(super) fn wrote_sealed(&mut self, now: Time, conn: ConnId, bytes: usize) {
        let Some(session) = self.tls.session_mut(conn) else { return };
        let plain = session.wrote(bytes);
        let is_empty = session.outgoing().is_empty();
        if plain > 0 {
            self.took(now, conn, plain);
        }
        if is_empty {
            self.settle_failed(now, conn, false);
            self.seal(now, conn);
            if self.tls.session(conn).is_some_and(|session| session.outgoing().is_empty()) {
                self.settle_closed(now, conn);
            }
            if self.state.conns.get(conn).is_some() {
                self.state.outbound.changed.insert(conn.slot());
            }
        }
    }

    /// Ends a connection whose TLS failed, once its alert is written or cannot be written.
    ///
    /// If `blocked` and TLS has not failed, calls [`settle_closed`](Self::settle_closed).
    pub(super) fn settle_failed(&mut self, now: Time, conn: ConnId, blocked: bool) {
        let Some(session) = self.tls.session(conn) else { return };
        if let Some(failure) = session.failure().filter(|_| blocked || session.outgoing().is_empty()) {
            self.fail(now, conn, failure);
        } else if blocked {
            self.settle_closed(now, conn);
        }
    }

    /// Ends a connection that still lingers although its peer has ended its half.
    ///
    /// Called once our `close_notify` is written or cannot be written.
    fn settle_closed(&mut self, now: Time, conn: ConnId) {
        let lingers = |found: &Conn| matches!(found.phase, Phase::Lingering { .. }) && found.input_ended;
        if self.state.conns.get(conn).is_some_and(lingers) {
            self.fail(now, conn, Failure::Reset);
        }
    }

    /// Checks for tests that each TLS session belongs to a connection.
    #[cfg(feature = "sim")]
    pub(super) fn recount_sessions(&self) -> Recounted {
        for (conn, _) in self.tls.sessions.iter().flatten() {
            // The session is dropped when the shell gets the connection from `next_changed`.
            let is_there = self.state.conns.get(*conn).is_some() || self.state.outbound.changed.contains(conn.slot());
            ensure(is_there, || alloc::format!("connection {conn} is over and has a TLS session"))?;
        }
        Ok(())
    }
}
