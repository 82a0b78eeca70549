use super::{Charset, Key, Side};

/// Something other than a line that a telnet peer sent.
///
/// The signals from [`Resized`](Self::Resized) to [`Charset`](Self::Charset) report that a value in
/// [`Terminal`](super::Terminal) has changed. The values are not authenticated: a peer may send
/// anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal<'a> {
    /// The window has a new size (NAWS, RFC 1073).
    ///
    /// Of several sizes that arrive together only the last is reported.
    #[non_exhaustive]
    Resized {
        /// Characters per row.
        columns: u16,
        /// Number of rows.
        rows: u16,
    },
    /// The list of terminal types is complete (RFC 1091).
    TerminalTypes,
    /// Environment variables were added, changed or removed (RFC 1572).
    Environment,
    /// The speed of the line was received or changed (RFC 1079).
    Speed,
    /// The X display was received or changed (RFC 1096).
    DisplayLocation,
    /// The location was received or changed (RFC 779).
    Location,
    /// Text uses another character set from now on (RFC 2066).
    Charset(Charset),
    /// Input arrives in another mode from now on.
    InputMode(InputMode),
    /// An option went on or off.
    #[non_exhaustive]
    Option {
        /// The option.
        option: u8,
        /// The side on which it went on or off.
        side: Side,
        /// Whether it is on now.
        on: bool,
    },
    /// Parameters of an option that the session does not handle itself.
    ///
    /// The option is MSDP (see [`msdp`](super::msdp)), or the application enabled it.
    #[non_exhaustive]
    Subnegotiation {
        /// The option.
        option: u8,
        /// The parameters, unescaped.
        content: &'a [u8],
    },
    /// A message of the Generic MUD Communication Protocol.
    #[non_exhaustive]
    Gmcp {
        /// The names of the package and message, such as `Core.Hello`.
        package: &'a str,
        /// JSON, not validated. Empty if there is none.
        data: &'a str,
    },
    /// A key. Only in [`InputMode::Keys`].
    Key(Key),
    /// The peer pressed its Break key (BRK, RFC 854).
    Break,
    /// The peer interrupts the running operation (IP, RFC 854).
    ///
    /// In character mode also Control-C. The session discards the unfinished line.
    InterruptProcess,
    /// The peer wants no more output of the running operation, but lets it finish (AO, RFC 854).
    ///
    /// The server discards queued messages, unless MCCP2 is or was on.
    AbortOutput,
    /// The peer suspends the running operation (SUSP, RFC 1184).
    Suspend,
    /// The peer aborts the running operation (ABORT, RFC 1184), more strongly than an interrupt.
    Abort,
    /// The peer sends no more input (EOF, RFC 1184). In character mode also Control-D on an empty
    /// line.
    EndOfFile,
    /// The peer asks to be logged out (RFC 727). The connection ends after this event.
    Logout,
}

/// How a telnet peer's input arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputMode {
    /// Whole lines that the peer's terminal edits and echoes.
    #[default]
    Line,
    /// Whole lines that the server edits and echoes.
    ///
    /// A line has at most 4 KiB, as on a Unix terminal, or the longest message if that is less.
    /// Keys beyond that are answered with a bell.
    Character,
    /// Single keys, each as a [`Signal::Key`]. Nothing is echoed.
    Keys,
}

impl InputMode {
    /// Returns the mode's name in a listener's address.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Character => "character",
            Self::Keys => "keys",
        }
    }
}
