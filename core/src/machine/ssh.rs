//! Logins at SSH listeners, and the start of their sessions.

use super::Machine;
use crate::base::{ConnId, Identity, Origin, Reason};
use crate::handler::{Event, Handler};
use crate::state::Ending;
use crate::state::conn::Conn;
use crate::wire::ssh::{LoginAttempt, Prelude, SshLogin, parse_prelude};
use crate::wire::telnet::InputMode;
use crate::wire::{ProbeInput, Wire};

impl<H: Handler> Machine<H> {
    /// Reads the attempts to log in of an SSH connection and its login, and opens the connection then.
    ///
    /// `mode`: the input mode of clients with a terminal.
    pub(super) fn look_for_login(&mut self, conn: ConnId, mode: InputMode, input: ProbeInput) {
        while let Some(found) = self.state.conns.get(conn).filter(|found| found.is_undecided()) {
            let is_awaited = self.state.awaits_login_answer(conn);
            let reason = match (parse_prelude(&found.held), input) {
                (Prelude::Login(login, length), _) if !is_awaited => {
                    self.consume(conn, length);
                    return self.begin_session(conn, mode, &login);
                }
                (Prelude::Attempt(attempt, length), _) if !is_awaited => {
                    self.consume(conn, length);
                    self.pass_on_login(conn, &attempt);
                    continue;
                }
                // The SSH server must wait for the answer.
                (Prelude::Login(..) | Prelude::Attempt(..), _) => Reason::SshProtocol,
                (Prelude::Failed(fault), _) => fault.reason(),
                (Prelude::Unclear, ProbeInput::Growing) => return,
                (Prelude::Unclear, ProbeInput::Ended) => Reason::PeerClosed,
                (Prelude::Unclear, ProbeInput::Waited) => Reason::AuthenticationTimeout,
            };
            return self.state.end(conn.slot(), reason, Ending::Flush);
        }
    }

    fn consume(&mut self, conn: ConnId, bytes: usize) {
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        let mut held = found.held.take();
        held.consume(bytes);
        found.held.keep(held);
    }

    /// Emits [`Event::Login`]. Refuses an attempt that the handler ignores.
    fn pass_on_login(&mut self, conn: ConnId, attempt: &LoginAttempt) {
        let Some(&Conn { peer, origin: Origin::Listener(listener), .. }) = self.state.conns.get(conn) else { return };
        self.state.begin_login(conn, attempt.proof.is_offer());
        self.call(Event::Login { conn, listener, peer, attempt });
        self.state.refuse_ignored_login(conn);
        self.settle();
    }

    fn begin_session(&mut self, conn: ConnId, mode: InputMode, login: &SshLogin) {
        let Some(found) = self.state.conns.get(conn) else { return };
        let (peer, origin) = (found.peer, found.origin);
        let decided = self.state.take_login(conn);
        self.state.select_wire(conn, Wire::Ssh(login.session(mode)));
        if let Some(session) = self.state.conns.get_mut(conn).and_then(|found| found.decoder.ssh_mut()) {
            session.describe(login);
        }
        if login.is_authenticated {
            self.state.identify(conn, decided.unwrap_or_else(|| Identity::user(&login.user)));
        }
        self.emit(Event::Opened { conn, peer, origin, request: None });
        self.serve_held(conn);
    }
}
