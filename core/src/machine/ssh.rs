//! The start of SSH sessions.

use super::Machine;
use crate::base::{ConnId, Identity, Reason};
use crate::handler::{Event, Handler};
use crate::state::Ending;
use crate::wire::ssh::{Prelude, SshLogin, parse_prelude};
use crate::wire::telnet::InputMode;
use crate::wire::{ProbeInput, Wire};

impl<H: Handler> Machine<H> {
    /// Reads the login of an SSH connection, and opens the connection once it is complete.
    ///
    /// `mode`: the input mode of clients with a terminal.
    pub(super) fn look_for_login(&mut self, conn: ConnId, mode: InputMode, input: ProbeInput) {
        let Some(found) = self.state.conns.get_mut(conn) else { return };
        let reason = match (parse_prelude(&found.held), input) {
            (Prelude::Login(login, length), _) => {
                let mut held = found.held.take();
                held.consume(length);
                found.held.keep(held);
                return self.begin_session(conn, mode, &login);
            }
            (Prelude::Failed(fault), _) => fault.reason(),
            (Prelude::Unclear, ProbeInput::Growing) => return,
            (Prelude::Unclear, ProbeInput::Ended) => Reason::PeerClosed,
            (Prelude::Unclear, ProbeInput::Waited) => Reason::AuthenticationTimeout,
        };
        self.state.end(conn.slot(), reason, Ending::Flush);
    }

    fn begin_session(&mut self, conn: ConnId, mode: InputMode, login: &SshLogin) {
        let Some(found) = self.state.conns.get(conn) else { return };
        let (peer, origin) = (found.peer, found.origin);
        self.state.select_wire(conn, Wire::Ssh(login.session(mode)));
        if let Some(session) = self.state.conns.get_mut(conn).and_then(|found| found.decoder.ssh_mut()) {
            session.describe(login);
        }
        if login.is_authenticated {
            self.state.identify(conn, Identity::user(&login.user));
        }
        self.emit(Event::Opened { conn, peer, origin, request: None });
        self.serve_held(conn);
    }
}
