//! Prompts, text without a line ending, and telnet options.

use crate::base::{ConnId, Payload};
use crate::handler::Hub;
use crate::wire::telnet::{Command, InputMode, Session, Side, Terminal};

/// # Terminals: prompts, input modes and telnet options
///
/// "Peer" is the client of a telnet listener, or the server of a telnet dial.
impl<C> Hub<'_, C> {
    /// Returns what a telnet peer reported about its terminal, or `None` on other wires.
    #[must_use]
    pub fn terminal(&self, conn: ConnId) -> Option<&Terminal> {
        self.state.terminal(conn)
    }

    /// Queues text without a line ending, on wires of lines. Returns `false` on other wires.
    ///
    /// See [`Session::write`](crate::telnet::Session::write), and for dialled servers
    /// [`ClientSession::write`](crate::telnet::ClientSession::write).
    pub fn write<'p>(&mut self, conn: ConnId, payload: impl Into<Payload<'p>>) -> bool {
        self.state.write(conn, payload.into())
    }

    /// Queues `text` as a prompt, without a line ending. A telnet peer also gets a prompt marker.
    ///
    /// Where the server edits lines, the prompt stays in front of the input until the line is
    /// complete. Returns `false` on wires without lines.
    pub fn prompt(&mut self, conn: ConnId, text: &str) -> bool {
        self.state.with_session(conn, |session| session.prompt(text, false)).is_some() || self.write(conn, text)
    }

    /// Queues `text` as a prompt for input that is not shown, such as a password.
    ///
    /// Returns `false` if the input will be visible: the peer does not speak telnet, or not yet (it
    /// is asked to hide the input once it does), or it has refused before.
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

    /// Sets the input mode of a telnet or raw connection. Returns `false` on other wires.
    ///
    /// From telnet peers, input arrives as lines until the peer agrees, which
    /// [`Signal::InputMode`](crate::telnet::Signal) reports. On [`Raw`](crate::wire::Raw), the mode
    /// changes at once: [`InputMode::Keys`] yields keys, [`InputMode::Line`] yields bytes, and
    /// [`InputMode::Character`] is not supported.
    pub fn set_input_mode(&mut self, conn: ConnId, mode: InputMode) -> bool {
        if let Some(done) = self.state.set_raw_mode(conn, mode) {
            return done;
        }
        self.state.with_session(conn, |session| session.set_mode(mode)).is_some()
    }

    /// Requests a telnet option as soon as the peer is known to speak telnet.
    ///
    /// Returns `false` on other wires. [`Signal::Option`](crate::telnet::Signal) reports when the
    /// option goes on or off, but not when it is refused.
    pub fn enable_option(&mut self, conn: ConnId, side: Side, option: u8) -> bool {
        let enabled = self.state.with_either_session(
            conn,
            |session| session.enable_option(side, option),
            |session| session.enable_option(side, option),
        );
        enabled.is_some()
    }

    /// Disables a telnet option and withdraws any request for it. Returns `false` on other wires.
    pub fn disable_option(&mut self, conn: ConnId, side: Side, option: u8) -> bool {
        let disabled = self.state.with_either_session(
            conn,
            |session| session.disable_option(side, option),
            |session| session.disable_option(side, option),
        );
        disabled.is_some()
    }

    /// Queues a subnegotiation of a telnet option (RFC 855), in the option's own format.
    ///
    /// Returns `false` if the option is off.
    pub fn subnegotiate(&mut self, conn: ConnId, option: u8, content: &[u8]) -> bool {
        let queued = self.state.with_either_session(
            conn,
            |session| session.subnegotiate(option, content),
            |session| session.subnegotiate(option, content),
        );
        queued.unwrap_or(false)
    }

    /// Queues a Generic MUD Communication Protocol message. `data` is JSON or empty.
    ///
    /// Returns `false` if the option is off.
    pub fn gmcp(&mut self, conn: ConnId, package: &str, data: &str) -> bool {
        let queued = self.state.with_either_session(
            conn,
            |session| session.gmcp(package, data),
            |session| session.gmcp(package, data),
        );
        queued.unwrap_or(false)
    }

    /// Sets the size of the window that a telnet server sees (NAWS, RFC 1073), in characters.
    ///
    /// Reports it to a server that has asked, now and at each change. Returns `false` on other wires,
    /// and on telnet in the role of the server.
    pub fn set_window_size(&mut self, conn: ConnId, columns: u16, rows: u16) -> bool {
        self.state.with_client_session(conn, |session| session.set_window_size(columns, rows)).is_some()
    }

    /// Queues a two-byte telnet command to a dialled server, such as
    /// [`Command::InterruptProcess`](crate::telnet::Command).
    ///
    /// Returns `false` on other wires, and on telnet in the role of the server.
    pub fn send_command(&mut self, conn: ConnId, command: Command) -> bool {
        self.state.with_client_session(conn, |session| session.command(command)).is_some()
    }

    /// Sets the MSSP variables for crawlers of telnet servers (`NAME`, `UPTIME`, ...).
    ///
    /// `PLAYERS` defaults to the number of open connections. The server offers MSSP to peers that
    /// connect from now on.
    pub fn set_server_status(&mut self, variables: &[(&str, &str)]) {
        self.state.server_status = variables.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    }
}
