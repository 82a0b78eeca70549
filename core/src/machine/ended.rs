//! Facts about the end of a connection: the end of the peer's half, or of the socket.

use super::Machine;
use crate::base::{ConnId, Time};
use crate::base::{Failure, Origin};
use crate::facts::Fact;
use crate::handler::Handler;
use crate::state::Ending;
use crate::state::conn::Phase;
use crate::wire::ProbeInput;

impl<H: Handler> Machine<H> {
    /// Handles the end of the peer's half, after which nothing more can be read.
    ///
    /// Under TLS, a shell also reports the socket's end here; the machine checks for a missing
    /// `close_notify`.
    pub fn ended(&mut self, now: Time, conn: ConnId) {
        #[cfg(feature = "tls")]
        if let Some(failure) = self.failure_of_dial(conn) {
            return self.fail(now, conn, failure);
        }
        #[cfg(feature = "tls")]
        if self.is_cut_off(conn) {
            return self.truncated(now, conn);
        }
        self.take_end(now, conn);
    }

    pub(super) fn take_end(&mut self, now: Time, conn: ConnId) {
        self.begin(now, &Fact::Ended { conn });
        self.end_input(conn, false);
    }

    /// Handles the end of input without the `close_notify` of TLS (RFC 8446 section 6.1).
    ///
    /// The machine serves complete messages and discards an incomplete one. The connection ends as
    /// [`Reason::Truncated`](crate::Reason::Truncated) if a message was incomplete or the wire has no
    /// message boundaries, and otherwise as [`Reason::PeerClosed`](crate::Reason::PeerClosed). Only for shells that do [TLS
    /// themselves](crate::tls::Tls::external), as [`secured`](Self::secured).
    pub fn truncated(&mut self, now: Time, conn: ConnId) {
        self.begin(now, &Fact::Truncated { conn });
        self.end_input(conn, true);
    }

    fn end_input(&mut self, conn: ConnId, truncated: bool) {
        let waits = self.state.must_wait(conn.slot());
        let Some(found) = self.state.conns.get_mut(conn).filter(|found| !found.input_ended) else { return };
        found.input_ended = true;
        found.truncated = truncated;
        match found.phase {
            Phase::Open if found.held.is_empty() && !found.decoder.is_ahead() && !waits => self.finish_input(conn),
            // Held input is served first, and not while the connection must wait.
            Phase::Open => self.state.schedule(conn.slot()),
            Phase::Undecided { .. } => self.probe(conn, ProbeInput::Ended),
            Phase::Flushing { .. } => {}
            Phase::Lingering { .. } | Phase::Over => self.state.forget(conn.slot()),
        }
        self.state.outbound.changed.insert(conn.slot());
        self.settle();
    }

    /// Handles a failed socket, and ends its connection at once.
    pub fn failed(&mut self, now: Time, conn: ConnId, failure: Failure) {
        self.fail(now, conn, failure);
    }

    pub(super) fn fail(&mut self, now: Time, conn: ConnId, failure: Failure) {
        self.begin(now, &Fact::Failed { conn, failure });
        self.state.asked_tls_has_failed(conn, failure);
        let found = self.state.conns.get(conn);
        if let Some(Origin::Dial(dial)) = found.filter(|found| found.is_undecided()).map(|found| found.origin) {
            self.state.handshake_failed(dial, conn, failure);
        }
        if self.state.conns.get(conn).is_some() {
            self.state.end(conn.slot(), failure.reason(), Ending::Drop);
            self.state.forget(conn.slot());
            self.settle();
        }
    }
}
