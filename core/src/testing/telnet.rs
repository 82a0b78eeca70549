//! A telnet client on a connection of a [`TestHub`].

use super::end::PeerEnd;
use super::hub::TestHub;
use super::telnet_end::TelnetEnd;
use crate::base::ConnId;
use crate::handler::Handler;
use crate::wire::telnet::{ClientMode, Command, TelnetClient, TerminalTypes};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A telnet client with a terminal, on a connection of a [`TestHub`]; see [`TestHub::telnet`].
///
/// It answers the server's negotiation as the configuration of the client allows. Its terminal is as
/// wide as the window and never scrolls. It understands CR, LF, tab, backspace, and the control
/// sequences that move the cursor up, down, left and right, erase the rest of a line or of the
/// screen, clear the screen, and set colours. A test panics at any other, and at a violation of the
/// protocol.
pub struct TestTelnet<'a, H: Handler> {
    hub: &'a mut TestHub<H>,
    conn: ConnId,
}

impl<H: Handler> TestHub<H> {
    /// Connects a telnet client to the first listener: an `XTERM` of 80 columns and 24 rows.
    ///
    /// ```
    /// use drupe_core::app::Echo;
    /// use drupe_core::testing::TestHub;
    /// use drupe_core::{Config, Listen};
    ///
    /// let listen: Listen = "telnet://127.0.0.1:0?mode=character".parse()?;
    /// let mut hub = TestHub::with_config(Config::listening([listen]), Echo);
    /// let ann = hub.open_telnet();
    /// hub.telnet(ann).type_line("hello");
    /// hub.telnet(ann).type_keys("word\u{7f}");
    /// assert_eq!(hub.telnet(ann).screen(), ["hello", "hello", "wor"]);
    /// # Ok::<(), drupe_core::ListenError>(())
    /// ```
    ///
    /// # Panics
    /// If the server refuses the connection.
    pub fn open_telnet(&mut self) -> ConnId {
        let conn = self.connect();
        let types: TerminalTypes = "XTERM".parse().unwrap_or_default();
        self.begin_telnet(conn, TelnetClient::default().types(types).size(Some((80, 24))));
        conn
    }

    /// Makes a peer a telnet client, which agrees to the options that `client` allows.
    ///
    /// The connection is one on which nothing was sent yet.
    pub fn begin_telnet(&mut self, conn: ConnId, client: TelnetClient) {
        self.begin(conn, PeerEnd::Telnet(Box::new(TelnetEnd::new(client))));
    }

    /// Returns the telnet client of a connection.
    ///
    /// # Panics
    /// If the connection has none.
    pub fn telnet(&mut self, conn: ConnId) -> TestTelnet<'_, H> {
        self.telnet_end(conn);
        TestTelnet { hub: self, conn }
    }

    #[expect(clippy::panic, reason = "a test should fail where its assumption does")]
    fn telnet_end(&mut self, conn: ConnId) -> &mut TelnetEnd {
        match self.end_of_mut(conn) {
            Some(PeerEnd::Telnet(telnet)) => telnet,
            _ => panic!("the connection has no telnet client: `TestHub::open_telnet` connects one"),
        }
    }
}

impl<H: Handler> TestTelnet<'_, H> {
    /// Types a line and Enter.
    pub fn type_line(&mut self, line: &str) {
        self.type_keys(line);
        self.type_keys("\r");
    }

    /// Types keys one by one. `\r` is Enter, `\u{7f}` is Backspace, and `\u{1b}[D` is the left arrow.
    ///
    /// Where the [mode](Self::mode) is [`ClientMode::Line`], the terminal shows the keys, and sends
    /// the line at Enter. In [`ClientMode::Character`], each key is sent at once.
    pub fn type_keys(&mut self, keys: &str) {
        for key in keys.chars() {
            let bytes = self.hub.telnet_end(self.conn).press(key);
            self.send(&bytes);
        }
    }

    /// Changes the size of the window, in characters, and reports it (RFC 1073).
    ///
    /// The rows that are on the screen stay as wide as they are.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let bytes = self.hub.telnet_end(self.conn).resize(columns, rows);
        self.send(&bytes);
    }

    /// Sends a two-byte command, such as [`Command::InterruptProcess`].
    pub fn send_command(&mut self, command: Command) {
        let bytes = self.hub.telnet_end(self.conn).command(command);
        self.send(&bytes);
    }

    /// Sends a message of the Generic MUD Communication Protocol.
    ///
    /// # Panics
    /// If the client and the server have not agreed to it.
    #[expect(clippy::panic, reason = "a test should fail where its assumption does")]
    pub fn send_gmcp(&mut self, package: &str, data: &str) {
        match self.hub.telnet_end(self.conn).gmcp(package, data) {
            Some(bytes) => self.send(&bytes),
            None => panic!("GMCP is off: the client needs `TelnetClient::gmcp`, and the server must offer it"),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.hub.send(self.conn, bytes);
        }
    }

    /// Returns where the server wants the input edited and echoed.
    #[must_use]
    pub fn mode(&self) -> ClientMode {
        self.end().map_or(ClientMode::Line, TelnetEnd::mode)
    }

    /// Returns the lines on the screen, without blanks at their ends and empty lines at the end.
    ///
    /// A line that the terminal wraps is one line. Typed lines that the server wraps are several, as
    /// the server sends the line breaks. Lines from before the screen was cleared
    /// come first. [`TestHub::clear`] does not change the screen.
    #[must_use]
    pub fn screen(&self) -> Vec<String> {
        let mut lines = self.end().map_or_else(Vec::new, |end| end.screen().lines());
        lines.iter_mut().for_each(|line| line.truncate(line.trim_end().len()));
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Returns the last line on the screen that is not empty, such as a prompt with what was typed.
    #[must_use]
    pub fn last_line(&self) -> String {
        self.screen().pop().unwrap_or_default()
    }

    fn end(&self) -> Option<&TelnetEnd> {
        match self.hub.end_of(self.conn) {
            Some(PeerEnd::Telnet(telnet)) => Some(telnet),
            _ => None,
        }
    }
}

impl<H: Handler> fmt::Debug for TestTelnet<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestTelnet").field("conn", &self.conn).field("screen", &self.screen()).finish()
    }
}
