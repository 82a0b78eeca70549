//! Steps before a connection may open: the proxy header, admission by the first shard, TLS.

use super::Machine;
use crate::base::{ConnId, Failure, Origin, Peer, Reason};
use crate::handler::Handler;
use crate::state::Ending;
use crate::state::conn::{Conn, HandshakeStep, Phase};
use crate::wire::{ProbeInput, ProxyHeader, parse_proxy_header};

impl<H: Handler> Machine<H> {
    /// Continues the handshake of a connection that waits at `step`.
    pub(super) fn advance_handshake(&mut self, conn: ConnId, step: HandshakeStep, input: ProbeInput) {
        let index = conn.slot();
        if step == HandshakeStep::Proxy {
            return self.advance_proxy(conn, input);
        }
        if step == HandshakeStep::Header && self.look_for_header(conn) {
            return;
        }
        match (step, input) {
            (_, ProbeInput::Growing) => {}
            (_, ProbeInput::Ended) => self.state.end(index, Reason::PeerClosed, Ending::Flush),
            (HandshakeStep::Header, ProbeInput::Waited) => self.state.end(index, Reason::BadProxyHeader, Ending::Flush),
            // The first shard did not answer.
            (HandshakeStep::Admission, ProbeInput::Waited) => self.go_on(conn, Some(Err(Reason::ServerBusy))),
            (_, ProbeInput::Waited) => {
                if let Some(dial) = self.state.dial_of(conn) {
                    self.state.handshake_failed(dial, conn, Failure::TimedOut);
                }
                self.state.end(index, Reason::TlsFailed, Ending::Flush);
            }
        }
    }

    /// Parses the proxy header and acts on it. Returns `false` if the header is incomplete.
    fn look_for_header(&mut self, conn: ConnId) -> bool {
        let Some(found) = self.state.conns.get_mut(conn) else { return true };
        match parse_proxy_header(&found.held) {
            ProxyHeader::Unclear => return false,
            ProxyHeader::Bad => self.state.end(conn.slot(), Reason::BadProxyHeader, Ending::Flush),
            ProxyHeader::Header(speaks_for, length) => {
                let mut held = found.held.take();
                held.consume(length);
                found.held.keep(held);
                // If the proxy connects for itself, or reports no client address, its own address
                // counts.
                let peer = speaks_for.unwrap_or(found.peer);
                let outcome = self.state.arrived(conn, peer);
                self.go_on(conn, outcome);
            }
        }
        true
    }

    /// Handles the first shard's decision to accept or refuse a proxy's client.
    pub(super) fn admission_came(&mut self, conn: ConnId, peer: Peer, refused: Option<Reason>) {
        let waits = |found: &Conn| found.is_undecided() && found.step == HandshakeStep::Admission;
        if !self.state.conns.get(conn).is_some_and(waits) {
            if refused.is_none() {
                // The connection is over, so no other code gives back the count of this address.
                self.state.left_address(peer);
            }
            return;
        }
        if refused.is_none() {
            self.state.belongs_to(conn, peer);
        }
        self.go_on(conn, Some(refused.map_or(Ok(()), Err)));
    }

    /// Acts on the admission of a client: accepted, refused, or not decided yet (`None`).
    fn go_on(&mut self, conn: ConnId, outcome: Option<Result<(), Reason>>) {
        let is_http = self.state.conns.get(conn).is_some_and(|found| found.is_http);
        match outcome {
            None => self.state.schedule(conn.slot()),
            Some(Err(reason)) if is_http => self.refuse_upgrade(conn, reason),
            Some(Err(reason)) => self.state.end(conn.slot(), reason, Ending::Flush),
            Some(Ok(())) if is_http => {
                if let Some(found) = self.state.conns.get_mut(conn) {
                    found.step = HandshakeStep::Speech;
                }
                self.probe(conn, ProbeInput::Growing);
            }
            Some(Ok(())) => self.pass(conn),
        }
        self.state.outbound.changed.insert(conn.slot());
    }

    /// Advances a connection to its next handshake step: TLS, or the detection of the protocol.
    pub(super) fn pass(&mut self, conn: ConnId) {
        let now = self.state.now;
        let Some(found) = self.state.conns.get_mut(conn).filter(|found| found.is_undecided()) else { return };
        if let Origin::Dial(dial) = found.origin {
            return self.pass_dial(conn, dial);
        }
        let Some(offered) = &found.handshake.offered else { return };
        let (protocol, tls) = (offered.protocol.clone(), offered.tls.as_ref().map(|tls| tls.handshake_timeout));
        if let (Some(timeout), false) = (tls, found.step == HandshakeStep::Tls) {
            found.step = HandshakeStep::Tls;
            found.phase = Phase::Undecided { until: now + timeout };
            return self.state.schedule(conn.slot());
        }
        found.step = HandshakeStep::Speech;
        match protocol.wait() {
            None => self.start_protocol(conn, protocol.wire(), None),
            Some(wait) => {
                found.phase = Phase::Undecided { until: now + wait };
                self.state.schedule(conn.slot());
                if !self.state.conns.get(conn).is_some_and(|found| found.held.is_empty()) {
                    self.probe(conn, ProbeInput::Growing);
                }
            }
        }
    }
}
