//! Admission and refusal of new peers.

use crate::base::{ConnId, ListenerId, Origin, Payload, Peer, Reason, Representation};
use crate::config::Listen;
use crate::facts::Refusal;
use crate::handler::{Event, Handler};
use crate::machine::Machine;
use crate::state::admission::Rules;
use crate::state::{Notice, Pending, State};
use crate::wire::http::Status;
use crate::wire::{Encoder, Protocol, Wire};
use alloc::vec::Vec;
use core::time::Duration;

impl<H: Handler> Machine<H> {
    /// Accepts or refuses a new connection. Returns its protocol.
    pub(super) fn admit(&mut self, listener: ListenerId, peer: Peer) -> Result<Protocol, Refusal> {
        if self.state.accept_succeeded(listener) {
            self.settle();
        }
        self.check_admission(listener, peer).map_err(|reason| {
            self.state.pending.push_back(Pending::Refused(listener, peer, reason));
            self.state.record_refusal(peer, reason);
            self.settle();
            self.refusal(listener, reason)
        })
    }

    fn refusal(&mut self, listener: ListenerId, reason: Reason) -> Refusal {
        self.state.metrics.refused.add(reason);
        let mut farewell = Vec::new();
        match self.state.listeners.get(listener) {
            // Before a handshake, a peer can only be answered in HTTP. It is not answered at all
            // before TLS, or before a proxy has sent its header.
            Some(Listen { tls: Some(_), .. } | Listen { proxies: Some(_), .. }) => {}
            Some(Listen { protocol: Protocol::Http(_), .. }) => {
                farewell = Status::of_refusal(reason).last_words_with(reason.sentence(), false);
            }
            Some(Listen { protocol, notices: true, .. }) => {
                let encoding = protocol.wire().encoding();
                let text = Notice::Closing(reason).write(Representation::Text);
                let _ = Encoder::default().encode(encoding, Payload::Text(&text), &mut farewell);
            }
            _ => {}
        }
        Refusal { reason, farewell }
    }

    fn check_admission(&mut self, listener: ListenerId, peer: Peer) -> Result<Protocol, Reason> {
        let State { config, listeners, admission, now, drain, random, metrics, .. } = &mut self.state;
        let listen = listeners.get_open(listener).filter(|_| drain.is_none()).ok_or(Reason::Shutdown)?;
        let counted = match (&listen.proxies, listen.trusts(peer)) {
            (Some(_), false) => return Err(Reason::AddressRefused),
            (_, true) => Peer::Local,
            (None, false) => peer,
        };
        let chance = if config.connections.early_drop.is_some() { random.next_u64() } else { 0 };
        let rules = Rules { now: *now, config, listen, chance };
        admission.admit(rules, listener, counted, &mut metrics.would_refuse)?;
        Ok(listen.protocol.clone())
    }

    pub(super) fn opened(&mut self, peer: Peer, origin: Origin, wire: Wire, wait: Option<Duration>) -> ConnId {
        let id = self.state.open(peer, origin, wire, wait);
        self.record_opened(id);
        if self.state.open_slot(id).is_some() {
            self.emit(Event::Opened { conn: id, peer, origin, request: None });
        }
        id
    }
}
