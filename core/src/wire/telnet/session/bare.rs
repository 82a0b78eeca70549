//! Sessions of terminals that do not speak telnet, such as those of SSH clients.

use super::Session;
use crate::wire::telnet::{InputMode, Telnet, Terminal};

impl Session {
    /// Creates a session for a terminal that sends each key and negotiates nothing.
    ///
    /// The caller keeps IAC out of the input. Line mode counts as character mode.
    pub(crate) fn without_negotiation(mode: InputMode) -> Self {
        let mut session = Self::new(Telnet::default().mode(mode).probe(false));
        session.negotiates = false;
        session.told = session.mode();
        session.typing = Some(core::default::Default::default());
        session
    }

    /// Returns the input mode of a terminal that sends each key.
    pub(super) const fn mode_without_negotiation(&self) -> InputMode {
        match self.wanted {
            InputMode::Keys => InputMode::Keys,
            InputMode::Line | InputMode::Character => InputMode::Character,
        }
    }

    /// Sets what the peer reported at its start. The next call of `decode` reports the size.
    pub(crate) fn describe(&mut self, set: impl FnOnce(&mut Terminal)) {
        set(&mut self.terminal);
        self.resized = self.terminal.columns.is_some();
    }

    /// Sets the size of the window, which the next call of `decode` reports if it has changed.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.resized |= self.terminal.resize(columns, rows);
    }
}
