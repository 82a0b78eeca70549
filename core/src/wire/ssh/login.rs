use super::session::SshSession;
use crate::wire::LineEnding;
use crate::wire::telnet::{InputMode, Terminal};
use alloc::string::String;
use alloc::vec::Vec;

/// The start of a session: the user, the client's terminal and its environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SshLogin {
    /// The user's name, as the client sent it.
    pub user: String,
    /// Whether the user has authenticated with a key or a password.
    pub is_authenticated: bool,
    /// The client's terminal (RFC 4254 section 6.2). `None`: the client sends and receives plain lines.
    pub terminal: Option<SshTerminal>,
    /// Whether sent lines end with CR LF. It has no effect with a terminal.
    pub has_crlf: bool,
    /// Environment variables (RFC 4254 section 6.4), at most [`Terminal::VARIABLES_MAX`].
    pub environment: Vec<(String, String)>,
}

/// The terminal of an SSH client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SshTerminal {
    /// The terminal type, such as `xterm-256color`.
    pub name: String,
    /// Width in characters, 0 if unknown.
    pub columns: u16,
    /// Height in rows, 0 if unknown.
    pub rows: u16,
}

impl SshTerminal {
    /// Creates the description of a terminal. A size above 65,535 counts as 65,535.
    #[must_use]
    pub fn new(name: &str, columns: u32, rows: u32) -> Self {
        let clamp = |size| u16::try_from(size).unwrap_or(u16::MAX);
        Self { name: name.into(), columns: clamp(columns), rows: clamp(rows) }
    }
}

impl SshLogin {
    /// The longest name of a user, in bytes.
    pub const USER_MAX_BYTES: usize = 64;

    /// Creates an unauthenticated login with this user name, without a terminal.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self { user: name.into(), ..Self::default() }
    }

    /// Marks the user as authenticated.
    #[must_use]
    pub fn authenticated(mut self) -> Self {
        self.is_authenticated = true;
        self
    }

    /// Sets the client's terminal.
    #[must_use]
    pub fn terminal(mut self, terminal: SshTerminal) -> Self {
        self.terminal = Some(terminal);
        self
    }

    /// Adds an environment variable. Returns `false` if there are too many or it is too long.
    pub fn add_variable(&mut self, name: &str, value: &str) -> bool {
        let is_short = |text: &str| text.len() <= Terminal::TEXT_MAX_BYTES;
        let fits = self.environment.len() < Terminal::VARIABLES_MAX && is_short(name) && is_short(value);
        if fits {
            self.environment.push((name.into(), value.into()));
        }
        fits
    }

    /// Sets what the client reported about its terminal. The name of the user becomes `USER`.
    pub(super) fn describe(&self, terminal: &mut Terminal) {
        if let Some(SshTerminal { name, columns, rows }) = &self.terminal {
            terminal.add_type(name.as_bytes());
            terminal.resize(*columns, *rows);
        }
        terminal.set_variable(b"USER", Some(self.user.as_bytes()));
        for (name, value) in self.environment.iter().filter(|(name, _)| name != "USER") {
            terminal.set_variable(name.as_bytes(), Some(value.as_bytes()));
        }
    }

    /// Returns how the input of the session is read.
    pub(crate) const fn session(&self, mode: InputMode) -> SshSession {
        match (&self.terminal, self.has_crlf) {
            (Some(_), _) => SshSession::Terminal(mode),
            (None, true) => SshSession::Lines(LineEnding::CrLf),
            (None, false) => SshSession::Lines(LineEnding::Lf),
        }
    }
}
