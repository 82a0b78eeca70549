//! Prompts, text without a line end, and telnet options.

use crate::base::{ConnId, Payload};
use crate::handler::Hub;
use crate::wire::telnet::{InputMode, Session, Side, Terminal};

impl<C: Default> Hub<'_, C> {
    /// What a telnet peer told of itself; `None` for other wires.
    #[must_use]
    pub fn terminal(&self, conn: ConnId) -> Option<&Terminal> {
        self.state.terminal(conn)
    }

    /// Queues text without what ends a message, on wires of lines; false on others. See
    /// [`Session::write`](crate::telnet::Session::write).
    pub fn write<'p>(&mut self, conn: ConnId, payload: impl Into<Payload<'p>>) -> bool {
        self.state.write(conn, payload.into())
    }

    /// Asks for a line: queues `text` without a line's end, and, for a telnet peer, what marks a prompt. Where the
    /// server edits, the prompt stands before what is typed until the line is complete. False on wires without lines.
    pub fn prompt(&mut self, conn: ConnId, text: &str) -> bool {
        self.state.with_session(conn, |session| session.prompt(text, false)).is_some() || self.write(conn, text)
    }

    /// As [`prompt`](Self::prompt), for a line that should not be seen. False if what is typed will be seen: the peer
    /// does not speak telnet, or not yet (it is asked to hide it once it does), or has refused before.
    pub fn prompt_hidden(&mut self, conn: ConnId, text: &str) -> bool {
        let hides = |session: &mut Session| {
            session.prompt(text, true);
            session.hides()
        };
        let hides = self.state.with_session(conn, hides);
        hides.unwrap_or_else(|| {
            self.write(conn, text);
            false
        })
    }

    /// Sets how what a telnet peer types should arrive; false on other wires. It arrives as lines until the peer
    /// agrees, which is told as [`Signal::InputMode`](crate::telnet::Signal).
    pub fn set_input_mode(&mut self, conn: ConnId, mode: InputMode) -> bool {
        self.state.with_session(conn, |session| session.set_mode(mode)).is_some()
    }

    /// Asks a telnet peer for an option, as soon as it is known to speak telnet; false on other wires. That it
    /// goes on, or off, is told as [`Signal::Option`](crate::telnet::Signal); that it is refused is not.
    pub fn enable_option(&mut self, conn: ConnId, side: Side, option: u8) -> bool {
        self.state.with_session(conn, |session| session.enable_option(side, option)).is_some()
    }

    /// Takes an option back.
    pub fn disable_option(&mut self, conn: ConnId, side: Side, option: u8) -> bool {
        self.state.with_session(conn, |session| session.disable_option(side, option)).is_some()
    }

    /// Queues parameters of a telnet option (RFC 855), in the option's own format; false if it is not on.
    pub fn subnegotiate(&mut self, conn: ConnId, option: u8, content: &[u8]) -> bool {
        self.state.with_session(conn, |session| session.subnegotiate(option, content)).unwrap_or(false)
    }

    /// Queues a message of the Generic MUD Communication Protocol, whose `data` is JSON or nothing; false if the
    /// option is not on.
    pub fn gmcp(&mut self, conn: ConnId, package: &str, data: &str) -> bool {
        self.state.with_session(conn, |session| session.gmcp(package, data)).unwrap_or(false)
    }

    /// Sets what telnet peers that list servers are told (MSSP: `NAME`, `UPTIME`, ...). `PLAYERS` is the number of
    /// open connections, unless it is set here. Who connects from now on is offered it.
    pub fn set_server_status(&mut self, variables: &[(&str, &str)]) {
        self.state.server_status = variables.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    }
}
