//! Outgoing connections: their attempts, and the handshakes of TLS and WebSocket.

use super::Machine;
use crate::base::{ConnId, DialId, Failure, Origin, Peer, Time};
use crate::config::{Dial, DialProtocol};
use crate::facts::Fact;
use crate::handler::{Event, Handler};
use crate::state::conn::{HandshakeStep, Phase};
use crate::state::{Ending, State};
use crate::tls::ClientTls;
use crate::wire::websocket::{Role, WebSocket};
use crate::wire::{ProbeInput, Wire};
use alloc::sync::Arc;

impl<H: Handler> Machine<H> {
    /// Handles a connection that the shell made for one of the [`dials`](Self::dials).
    ///
    /// Returns `None` if the dial has no attempt in progress, or fails it: if its TLS settings are
    /// [pending](crate::tls::ClientTls::pending), or its address can't be sent to its proxy. The
    /// shell then drops its socket.
    pub fn dialed(&mut self, now: Time, dial: DialId, peer: Peer) -> Option<ConnId> {
        let peer = peer.canonical();
        self.begin(now, &Fact::Dialed { dial, peer });
        let wanted = self.state.dials.get_if_wanted(dial)?.clone();
        let has_tls = wanted.begins_with_tls();
        let Dial { protocol, timeout, tls, .. } = wanted;
        if tls.as_ref().is_some_and(ClientTls::is_pending) {
            self.dial_is_lost(dial, Failure::Tls);
            return None;
        }
        match self.begin_proxy(dial) {
            Ok(true) => return Some(self.dialed_proxy(dial, peer)),
            Ok(false) => {}
            Err(fault) => {
                self.dial_is_lost(dial, Failure::Proxy(fault));
                return None;
            }
        }
        self.state.dialed(peer);
        let (origin, wait) = (Origin::Dial(dial), Some(timeout));
        Some(match protocol {
            DialProtocol::Spoken(wire) if !has_tls => self.opened(peer, origin, wire, None),
            DialProtocol::WebSocket(_) if !has_tls => {
                let socket = WebSocket { role: Role::Client, ..WebSocket::default() };
                let conn = self.opened(peer, origin, Wire::WebSocket(socket), wait);
                self.ask_for_websocket(conn, dial);
                conn
            }
            _ => {
                let conn = self.opened(peer, origin, Wire::default(), wait);
                #[cfg(feature = "tls")]
                self.begin_tls(now, conn);
                conn
            }
        })
    }

    /// Handles a failed attempt to connect one of the [`dials`](Self::dials).
    pub fn dial_failed(&mut self, now: Time, dial: DialId, failure: Failure) {
        self.begin(now, &Fact::DialFailed { dial, failure });
        if self.state.dials.get_if_wanted(dial).is_some() {
            self.dial_is_lost(dial, failure);
        }
    }

    pub(super) fn dial_is_lost(&mut self, dial: DialId, failure: Failure) {
        self.state.metrics.dial_errors += 1;
        let State { dials, random, now, .. } = &mut self.state;
        let retry_at = dials.disconnected(dial, *now, random);
        self.emit(Event::DialFailed { dial, failure, retry_at });
    }

    /// Starts the protocol of an outgoing connection after its TLS handshake.
    pub(super) fn pass_dial(&mut self, conn: ConnId, dial: DialId) {
        let Some(Dial { protocol, timeout, .. }) = self.state.dials.get(dial).cloned() else { return };
        let until = self.state.now + timeout;
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        found.step = HandshakeStep::Speech;
        match protocol {
            DialProtocol::Spoken(wire) => self.start_protocol(conn, wire, None),
            DialProtocol::WebSocket(_) => {
                found.phase = Phase::Undecided { until };
                self.ask_for_websocket(conn, dial);
                self.state.schedule(conn.slot());
            }
        }
    }

    /// Queues the request of the WebSocket handshake of an outgoing connection.
    fn ask_for_websocket(&mut self, conn: ConnId, dial: DialId) {
        let Some(Dial { protocol: DialProtocol::WebSocket(handshake), address, tls, .. }) = self.state.dials.get(dial)
        else {
            return;
        };
        let (handshake, address, is_secure) = (Arc::clone(handshake), address.clone(), tls.is_some());
        // The server sees the nonce, so it comes from its own generator: it must reveal nothing
        // about `Hub::random` or jitter.
        let nonce = self.state.outbound.encoder.masks.nonce();
        let (request, accept) = handshake.request(&address, is_secure, nonce);
        self.state.dials.expect(dial, accept);
        self.state.outbound.control(conn.slot(), &request);
    }

    pub(super) fn look_for_response(&mut self, conn: ConnId, dial: DialId, input: ProbeInput) {
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        let (mut held, mut used) = (found.held.take(), 0);
        let handshake = self.state.dials.handshake(dial);
        let looked = handshake
            .map(|(asked, accept)| asked.parse_response(&held, &mut found.handshake.head_search, &mut used, accept));
        held.consume(used);
        found.held.keep(held);
        let failure = match (looked, input) {
            (Some(Ok(Some((socket, subprotocol)))), _) => {
                self.state.dials.agreed(dial, subprotocol);
                return self.start_protocol(conn, Wire::WebSocket(socket), None);
            }
            (Some(Err(failure)), _) => failure,
            (_, ProbeInput::Growing) => return,
            (_, ProbeInput::Ended) => Failure::Handshake,
            (_, ProbeInput::Waited) => Failure::TimedOut,
        };
        self.state.handshake_failed(dial, conn, failure);
        self.state.end(conn.slot(), failure.reason(), Ending::Flush);
    }
}
