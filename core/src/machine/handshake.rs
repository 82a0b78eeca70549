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
        let Some(Origin::Listener(listener)) = self.state.conns.get(conn).map(|found| found.origin) else { return };
        let listen = self.state.config.listeners.get(listener.index());
        match listen.map(|listen| listen.protocol.clone()) {
            Some(Protocol::Auto(auto)) => {
                let Some(found) = self.state.conns.get(conn) else { return };
                match auto.look(&found.held, sight) {
                    Verdict::Unclear => {}
                    Verdict::Spoken(wire) => self.speak(conn, wire),
                    Verdict::Http => self.look_for_requests(conn, &Http::default(), sight),
                    Verdict::Refused(words) => self.refuse(conn, words, Reason::WrongProtocol),
                }
            }
            Some(Protocol::Http(http)) => self.look_for_requests(conn, &http, sight),
            _ => {}
        }
    }

    /// Answers the requests that have arrived, until one asks for WebSocket.
    fn look_for_requests(&mut self, conn: ConnId, http: &Http, sight: Sight) {
        while let Some(found) = self.state.conns.get_mut(conn).filter(|found| found.is_undecided()) {
            match look(&found.held) {
                Look::Unclear if sight == Sight::Growing => return,
                // Nothing was asked, or nothing more will be.
                Look::Unclear if found.held.is_empty() || sight == Sight::Ended => {
                    return self.state.end(conn.slot(), Reason::PeerClosed, Ending::Flush);
                }
                Look::Unclear => {
                    return self.refuse(conn, &Status::REQUEST_TIMEOUT.last_words(), Reason::MessageTimeout);
                }
                Look::Bad(status, reason) => return self.refuse(conn, &status.last_words(), reason),
                Look::Tls => return self.refuse(conn, NO_TLS, Reason::WrongProtocol),
                Look::Request(request, used) => {
                    found.held.drain(..used);
                    let drains = self.state.drain.is_some();
                    let answer = answer(&request, http, drains, || self.state.metrics().exposition());
                    match answer {
                        Answer::More(bytes) => {
                            self.state.outbound.send_raw(conn.slot(), &bytes, None);
                            self.state.await_handshake(conn, http.timeout);
                        }
                        Answer::Last(bytes) => return self.refuse(conn, &bytes, Reason::Answered),
                        Answer::Upgraded(bytes, socket) => {
                            self.state.outbound.send_raw(conn.slot(), &bytes, None);
                            return self.speak(conn, Wire::WebSocket(socket));
                        }
                    }
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
        self.state.outbound.send_raw(conn.slot(), words, None);
        self.state.end(conn.slot(), reason, Ending::Flush);
    }
}
