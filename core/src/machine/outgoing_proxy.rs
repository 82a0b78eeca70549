//! The handshake of an outgoing connection with its proxy, before TLS and the protocol.

use super::Machine;
use crate::base::{ConnId, DialId, Failure, Origin, Peer, ProxyFault};
use crate::config::Dial;
use crate::handler::Handler;
use crate::state::Ending;
use crate::state::conn::{Conn, HandshakeStep, Phase};
use crate::wire::outgoing_proxy::{HandshakeProgress, ProxyHandshake};
use crate::wire::{ProbeInput, Wire};

impl<H: Handler> Machine<H> {
    /// Begins the handshake with the proxy of a dial. Returns `false` if the dial has none.
    pub(super) fn begin_proxy(&mut self, dial: DialId) -> Result<bool, ProxyFault> {
        let Some(Dial { proxy: Some(proxy), address, .. }) = self.state.dials.get(dial) else { return Ok(false) };
        let handshake = ProxyHandshake::new(proxy, address)?;
        self.state.dials.set_proxy_handshake(dial, Some(handshake));
        Ok(true)
    }

    /// Adds the connection to the proxy of a dial, and queues the first message to it.
    pub(super) fn dialed_proxy(&mut self, dial: DialId, peer: Peer) -> ConnId {
        self.state.dialed(peer);
        let timeout = self.state.dials.timeout(dial);
        let conn = self.opened(peer, Origin::Dial(dial), Wire::default(), timeout);
        self.advance_proxy(conn, ProbeInput::Growing);
        conn
    }

    /// Passes received bytes to the handshake with the proxy.
    ///
    /// Returns how many of them belong to the answer of the proxy, or `None` if none is awaited.
    /// The machine handles the others after [`advance_proxy`](Self::advance_proxy): they may be
    /// TLS.
    pub(super) fn receive_from_proxy(&mut self, conn: ConnId, bytes: &[u8]) -> Option<usize> {
        let dial = self.awaits_proxy(conn)?;
        Some(self.state.dials.proxy_handshake(dial)?.receive(bytes))
    }

    /// Returns the dial of a connection that awaits the answer of its proxy.
    fn awaits_proxy(&self, conn: ConnId) -> Option<DialId> {
        let awaits = |found: &&Conn| found.step == HandshakeStep::Proxy && found.is_undecided() && !found.input_ended;
        self.state.conns.get(conn).filter(awaits)?;
        self.state.dial_of(conn)
    }

    /// Acts on the progress of the handshake with the proxy, on the end of input or the time limit.
    pub(super) fn advance_proxy(&mut self, conn: ConnId, input: ProbeInput) {
        let Some(dial) = self.state.dial_of(conn) else { return };
        let index = conn.slot();
        let progress = match self.state.dials.proxy_handshake(dial) {
            Some(handshake) => {
                let output = handshake.take_output();
                let progress = handshake.progress();
                if !output.is_empty() {
                    self.state.outbound.control(index, &output);
                }
                progress
            }
            None => HandshakeProgress::Failed(ProxyFault::Closed),
        };
        self.state.outbound.changed.insert(index);
        let fault = match (progress, input) {
            (HandshakeProgress::Done, _) if self.state.outbound.pending(index) == 0 => {
                return self.pass_proxy(conn, dial);
            }
            // The proxy answered a request that is not fully written, so it is not one. The rest
            // of the request must not be sent over TLS.
            (HandshakeProgress::Done, _) => ProxyFault::NotProxy,
            (HandshakeProgress::Failed(fault), _) => fault,
            (HandshakeProgress::Reading, ProbeInput::Growing) => return,
            (HandshakeProgress::Reading, ProbeInput::Ended) => ProxyFault::Closed,
            (HandshakeProgress::Reading, ProbeInput::Waited) => ProxyFault::TimedOut,
        };
        let failure = Failure::Proxy(fault);
        self.state.handshake_failed(dial, conn, failure);
        self.state.end(index, failure.reason(), Ending::Flush);
    }

    /// Continues with TLS or the protocol, once the proxy has connected.
    fn pass_proxy(&mut self, conn: ConnId, dial: DialId) {
        self.state.dials.set_proxy_handshake(dial, None);
        let Some(found) = self.state.dials.get(dial) else { return };
        let (until, has_tls) = (self.state.now + found.timeout, found.begins_with_tls());
        if !has_tls {
            return self.pass_dial(conn, dial);
        }
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        found.step = HandshakeStep::Tls;
        found.phase = Phase::Undecided { until };
        self.state.schedule(conn.slot());
        #[cfg(feature = "tls")]
        self.begin_tls(self.state.now, conn);
    }
}
