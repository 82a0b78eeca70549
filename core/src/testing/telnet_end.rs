//! The state of a test's telnet client.

use super::screen::Screen;
use crate::base::Payload;
use crate::wire::telnet::{ClientMode, ClientSession, Command, Delivery, TelnetClient};
use crate::wire::{Budget, DecodeBuffer, Item};
use alloc::string::String;
use alloc::vec::Vec;

/// The client's end of a telnet connection: the negotiation, the keyboard and the screen.
pub(super) struct TelnetEnd {
    session: ClientSession,
    screen: Screen,
    buffer: DecodeBuffer,
    /// The characters that were typed since the last Enter, where the client edits the line.
    typed: String,
}

/// The width of a window whose size is not configured, in columns.
const COLUMNS: u16 = 80;

impl TelnetEnd {
    pub(super) fn new(config: TelnetClient) -> Self {
        let columns = config.size.map_or(COLUMNS, |(columns, _)| columns);
        Self {
            session: ClientSession::new(config.delivery(Delivery::Stream)),
            screen: Screen::new(columns),
            buffer: DecodeBuffer::default(),
            typed: String::new(),
        }
    }

    pub(super) fn mode(&self) -> ClientMode {
        self.session.mode()
    }

    pub(super) const fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Decodes and shows received bytes. Returns the bytes to send in answer.
    #[expect(clippy::panic, reason = "a test should fail where its assumption does")]
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut input, mut at, mut out) = (bytes.to_vec(), 0, Vec::new());
        while at < input.len() || self.session.is_ahead() {
            let decoded = self.session.decode(&mut input[at..], &mut self.buffer, &Budget::default());
            let (used, text) = match decoded {
                Ok(decoded) => match decoded.item {
                    Some(Item::Message(payload)) => (decoded.used, String::from_utf8_lossy(payload.as_bytes())),
                    _ => (decoded.used, "".into()),
                },
                Err(error) => panic!("the server broke the telnet protocol: {error}"),
            };
            at += used;
            // NUL has no effect on a terminal (RFC 854).
            for c in text.chars().filter(|c| *c != '\0') {
                show(&mut self.screen, c);
            }
            out.extend(self.replies());
        }
        out
    }

    /// Types one key. Returns the bytes to send.
    pub(super) fn press(&mut self, key: char) -> Vec<u8> {
        let mode = self.session.mode();
        // In the other modes, the server shows what the user types, or the line is secret and nobody shows it.
        let echoes = mode == ClientMode::Line;
        match key {
            _ if mode == ClientMode::Character => {
                self.session.write(Payload::Text(key.encode_utf8(&mut [0; 4])));
            }
            '\r' | '\n' => {
                let mut line = core::mem::take(&mut self.typed);
                line.push('\n');
                self.session.write(Payload::Text(&line));
                if echoes {
                    show(&mut self.screen, '\r');
                    show(&mut self.screen, '\n');
                }
            }
            '\u{7f}' | '\u{8}' => {
                if self.typed.pop().is_some() && echoes {
                    "\u{8} \u{8}".chars().for_each(|c| show(&mut self.screen, c));
                }
            }
            key => {
                self.typed.push(key);
                if echoes {
                    show(&mut self.screen, key);
                }
            }
        }
        self.replies()
    }

    /// Sets the size of the window. Returns the bytes to send.
    pub(super) fn resize(&mut self, columns: u16, rows: u16) -> Vec<u8> {
        self.screen.set_columns(columns);
        self.session.set_window_size(columns, rows);
        self.replies()
    }

    /// Returns the bytes of a command.
    pub(super) fn command(&mut self, command: Command) -> Vec<u8> {
        self.session.command(command);
        self.replies()
    }

    /// Returns the bytes of a GMCP message, or `None` if the option is off.
    pub(super) fn gmcp(&mut self, package: &str, data: &str) -> Option<Vec<u8>> {
        self.session.gmcp(package, data).then(|| self.replies())
    }

    fn replies(&mut self) -> Vec<u8> {
        let replies = self.session.replies();
        replies.map(|replies| [replies.control, replies.output].concat()).unwrap_or_default()
    }
}

#[expect(clippy::panic, reason = "a test should fail where its assumption does")]
fn show(screen: &mut Screen, c: char) {
    if let Err(why) = screen.put(c) {
        panic!("the terminal of the test cannot show what the server sent: {why}");
    }
}
