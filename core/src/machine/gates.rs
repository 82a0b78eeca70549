//! What a connection passes before it may speak: the header of a proxy, the word of who counts, TLS.

use super::Machine;
use crate::base::{ConnId, Peer, Reason};
use crate::handler::Handler;
use crate::state::Ending;
use crate::state::conn::{Conn, Gate, Phase};
use crate::wire::{ProxyLook, Sight, look_for_proxy};

impl<H: Handler> Machine<H> {
    /// A connection waits at a gate and something has happened.
    pub(super) fn look_at_gate(&mut self, conn: ConnId, gate: Gate, sight: Sight) {
        let index = conn.slot();
        if gate == Gate::Header && self.look_for_header(conn) {
            return;
        }
        match (gate, sight) {
            (_, Sight::Growing) => {}
            (_, Sight::Ended) => self.state.end(index, Reason::PeerClosed, Ending::Flush),
            (Gate::Header, Sight::Waited) => self.state.end(index, Reason::BadProxyHeader, Ending::Flush),
            // Who counts did not answer.
            (Gate::Admission, Sight::Waited) => self.state.end(index, Reason::ServerBusy, Ending::Flush),
            (_, Sight::Waited) => self.state.end(index, Reason::TlsFailed, Ending::Flush),
        }
    }

    /// Reads the header of a proxy; false if it is not all there.
    fn look_for_header(&mut self, conn: ConnId) -> bool {
        let Some(found) = self.state.conns.get_mut(conn) else { return true };
        match look_for_proxy(&found.held) {
            ProxyLook::Unclear => return false,
            ProxyLook::Bad => self.state.end(conn.slot(), Reason::BadProxyHeader, Ending::Flush),
            ProxyLook::Header(speaks_for, length) => {
                let mut held = found.held.take();
                held.consume(length);
                found.held.keep(held);
                // A proxy that speaks for itself, or does not say for whom, is let in by its own address.
                let peer = speaks_for.unwrap_or(found.peer);
                let outcome = self.state.arrived(conn, peer);
                self.go_on(conn, outcome);
            }
        }
        true
    }

    /// The shard that counts has said whether the peer of a proxy may come in.
    pub(super) fn admission_came(&mut self, conn: ConnId, peer: Peer, refused: Option<Reason>) {
        let waits = |found: &Conn| found.is_undecided() && found.gate == Gate::Admission;
        if !self.state.conns.get(conn).is_some_and(waits) {
            if refused.is_none() {
                // It is over, and counted under an address that nobody else would count out.
                self.state.left_address(peer);
            }
            return;
        }
        if refused.is_none() {
            self.state.is_of(conn, peer);
        }
        self.go_on(conn, Some(refused.map_or(Ok(()), Err)));
    }

    /// Goes on with a peer that may come in, or not; `None` if that is not yet said.
    fn go_on(&mut self, conn: ConnId, outcome: Option<Result<(), Reason>>) {
        let is_http = self.state.conns.get(conn).is_some_and(|found| found.is_http);
        match outcome {
            None => self.state.schedule(conn.slot()),
            Some(Err(reason)) if is_http => self.refuse_upgrade(conn, reason),
            Some(Err(reason)) => self.state.end(conn.slot(), reason, Ending::Flush),
            Some(Ok(())) if is_http => {
                if let Some(found) = self.state.conns.get_mut(conn) {
                    found.gate = Gate::Speech;
                }
                self.look_closer(conn, Sight::Growing);
            }
            Some(Ok(())) => self.pass(conn),
        }
        self.state.outbound.changed.insert(conn.slot());
    }

    /// A connection passes the gate it stood at.
    pub(super) fn pass(&mut self, conn: ConnId) {
        let now = self.state.now;
        let Some(found) = self.state.conns.get_mut(conn).filter(|found| found.is_undecided()) else { return };
        let Some(offered) = &found.offered else { return };
        let (protocol, tls) = (offered.protocol.clone(), offered.tls.as_ref().map(|tls| tls.handshake_timeout));
        if let (Some(timeout), false) = (tls, found.gate == Gate::Tls) {
            found.gate = Gate::Tls;
            found.phase = Phase::Undecided { until: now + timeout };
            return self.state.schedule(conn.slot());
        }
        found.gate = Gate::Speech;
        match protocol.wait() {
            None => self.speak(conn, protocol.wire(), None),
            Some(wait) => {
                found.phase = Phase::Undecided { until: now + wait };
                self.state.schedule(conn.slot());
                if !self.state.conns.get(conn).is_some_and(|found| found.held.is_empty()) {
                    self.look_closer(conn, Sight::Growing);
                }
            }
        }
    }
}
