//! TLS that an application begins on an open outgoing connection.

use super::State;
use crate::base::{ConnId, DialId, Failure, Origin, Time};
use crate::config::{Dial, TlsStart};
use crate::state::dials::AskedTls;
use crate::tls::{BeginTlsError, ClientTls};

impl State {
    /// Begins TLS on an open connection. The machine creates the session once the handler returns.
    pub(crate) fn ask_for_tls(&mut self, id: ConnId) -> Result<(), BeginTlsError> {
        let dial = self.dial_of(id).filter(|_| self.open_slot(id).is_some()).ok_or(BeginTlsError::NoDial)?;
        let settings = self.dials.get(dial).filter(|dial| dial.tls_start == TlsStart::WhenAsked);
        let Some(Dial { tls: Some(tls), timeout, .. }) = settings else { return Err(BeginTlsError::NotConfigured) };
        if ClientTls::is_pending(tls) {
            return Err(BeginTlsError::NotConfigured);
        }
        let until = (self.now + *timeout).max(self.now.plus_nanos(1));
        if self.dials.asked_tls(dial, id) != AskedTls::No {
            return Err(BeginTlsError::Again);
        }
        if !self.outbound.is_empty(id.slot()) {
            return Err(BeginTlsError::UnsentOutput);
        }
        if self.conns.get(id).is_some_and(|conn| conn.is_unserved() || conn.decoder.is_partial()) {
            return Err(BeginTlsError::EarlyInput);
        }
        self.dials.set_asked_tls(dial, AskedTls::Begun(until), None);
        self.begins_tls.push(id);
        self.schedule(id.slot());
        Ok(())
    }

    /// Returns the dial of a connection, if it is outgoing.
    pub(crate) fn dial_of(&self, id: ConnId) -> Option<DialId> {
        match self.conns.get(id)?.origin {
            Origin::Dial(dial) => Some(dial),
            Origin::Listener(_) => None,
        }
    }

    /// Returns when the handshake of a connection that asked for TLS must be complete.
    pub(crate) fn asked_tls_until(&self, id: ConnId) -> Option<Time> {
        match self.dials.asked_tls(self.dial_of(id)?, id) {
            AskedTls::Begun(until) => Some(until),
            AskedTls::No | AskedTls::Failed(_) | AskedTls::Done => None,
        }
    }

    /// Records that the handshake of a connection that asked for TLS is complete.
    pub(crate) fn asked_tls_is_done(&mut self, id: ConnId) {
        if let Some(dial) = self.dial_of(id).filter(|_| self.asked_tls_until(id).is_some()) {
            self.dials.set_asked_tls(dial, AskedTls::Done, Some(self.now));
        }
    }

    /// Records why the handshake of a connection that asked for TLS failed.
    pub(crate) fn asked_tls_has_failed(&mut self, id: ConnId, failure: Failure) {
        if let Some(dial) = self.dial_of(id).filter(|_| self.asked_tls_until(id).is_some()) {
            self.dials.set_asked_tls(dial, AskedTls::Failed(failure), None);
        }
    }
}
