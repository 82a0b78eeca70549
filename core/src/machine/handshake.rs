//! From a peer's first bytes to what is spoken.

use super::Machine;
use crate::handler::{Event, Handler};
use crate::http::{Answer, Http, Look, Status, answer, look};
use crate::id::Origin;
use crate::state::Ending;
use crate::wire::{NO_TLS, Protocol, Sight, Verdict, Wire};
use crate::{ConnId, Reason};

impl<H: Handler> Machine<H> {
    /// Looks at the first bytes of a connection for what is spoken, and serves it if that is clear.
    pub(super) fn look_closer(&mut self, conn: ConnId, sight: Sight) {
        let found = self.state.conns.get(conn).filter(|found| found.is_undecided());
        let Some(Origin::Listener(listener)) = found.map(|found| found.origin) else { return };
        let listen = self.state.config.listeners.get(listener.index());
        match listen.map(|listen| listen.protocol.clone()) {
            Some(Protocol::Auto(_)) if self.state.conns.get(conn).is_some_and(|found| found.is_http) => {
                self.look_for_requests(conn, &Http::default(), sight);
            }
            Some(Protocol::Auto(auto)) => {
                let Some(found) = self.state.conns.get(conn) else { return };
                match auto.look(&found.held, sight) {
                    Verdict::Unclear => {}
                    Verdict::Spoken(wire) => self.speak(conn, wire),
                    Verdict::Http => {
                        let http = Http::default();
                        self.state.await_request(conn, http.timeout);
                        let sight = if sight == Sight::Waited { Sight::Growing } else { sight };
                        self.look_for_requests(conn, &http, sight);
                    }
                    Verdict::Refused(words) => self.refuse(conn, words, Reason::WrongProtocol),
                }
            }
            Some(Protocol::Http(http)) => self.look_for_requests(conn, &http, sight),
            _ => {}
        }
    }

    /// Answers the requests that have arrived, until one asks for WebSocket, no faster than the answers are taken.
    fn look_for_requests(&mut self, conn: ConnId, http: &Http, sight: Sight) {
        let index = conn.slot();
        let mut answered = false;
        while let Some(found) = self.state.conns.get_mut(conn).filter(|found| found.is_undecided()) {
            found.backlog = false;
            let (request, used) = match look(&found.held) {
                Look::Unclear if sight == Sight::Growing => return,
                // Nothing was asked, or nothing more will be.
                Look::Unclear if sight == Sight::Ended => {
                    return self.state.end(index, Reason::PeerClosed, Ending::Flush);
                }
                Look::Unclear if found.held.is_empty() => {
                    return self.state.end(index, Reason::Idle, Ending::Flush);
                }
                Look::Unclear => {
                    return self.refuse(conn, &Status::REQUEST_TIMEOUT.last_words(), Reason::MessageTimeout);
                }
                Look::Bad(status, reason) => return self.refuse(conn, &status.last_words(), reason),
                Look::Tls => return self.refuse(conn, NO_TLS, Reason::WrongProtocol),
                Look::Request(request, used) => (request, used),
            };
            if self.state.must_wait(index) || answered && self.state.should_write_first(index) {
                if let Some(found) = self.state.conns.get_mut(conn) {
                    found.backlog = true;
                }
                return self.state.schedule(index);
            }
            answered = true;
            if let Some(found) = self.state.conns.get_mut(conn) {
                found.held.drain(..used);
            }
            if !self.state.charge(index, 1, used as u64).serves() {
                continue;
            }
            let drains = self.state.drain.is_some();
            match answer(&request, http, drains, || self.state.metrics().exposition()) {
                Answer::More(bytes) => {
                    self.state.outbound.control(index, &bytes);
                    self.state.await_request(conn, http.timeout);
                }
                Answer::Last(bytes) => return self.refuse(conn, &bytes, Reason::Answered),
                Answer::Upgraded(bytes, socket) => {
                    // Where a pong can't overtake it.
                    self.state.outbound.control(index, &bytes);
                    return self.speak(conn, Wire::WebSocket(socket));
                }
            }
        }
    }

    fn speak(&mut self, conn: ConnId, wire: Wire) {
        let Some(found) = self.state.conns.get(conn) else { return };
        let (peer, origin) = (found.peer, found.origin);
        self.state.decide(conn, wire);
        self.tell(Event::Opened { conn, peer, origin });
        self.serve_held(conn);
    }

    fn refuse(&mut self, conn: ConnId, words: &[u8], reason: Reason) {
        self.state.outbound.control(conn.slot(), words);
        self.state.end(conn.slot(), reason, Ending::Flush);
    }
}
