use super::{Charset, Key, Side};
use crate::base::Payload;

/// An event of a telnet connection other than a line, such as a key, a command or a report.
///
/// The signals from [`Resized`](Self::Resized) to [`Charset`](Self::Charset) report that a value in
/// [`Terminal`](super::Terminal) has changed. The values are not authenticated: a peer may send
/// anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal<'a> {
    /// The peer's window has a new size (NAWS, RFC 1073).
    ///
    /// Of several sizes that arrive together only the last is reported.
    #[non_exhaustive]
    Resized {
        /// Width of the window, in characters; 0 if unknown.
        columns: u16,
        /// Height of the window, in rows; 0 if unknown.
        rows: u16,
    },
    /// The peer's list of terminal types is complete (RFC 1091).
    TerminalTypes,
    /// The peer added, changed or removed environment variables (RFC 1572).
    Environment,
    /// The peer reported a new line speed (RFC 1079).
    Speed,
    /// The peer reported a new X display location (RFC 1096).
    DisplayLocation,
    /// The peer reported a new location of the terminal (RFC 779).
    Location,
    /// Text uses another character set from now on (RFC 2066).
    Charset(Charset),
    /// Input arrives in another mode from now on.
    InputMode(InputMode),
    /// To a client: the server changed where the input is edited and echoed.
    ///
    /// A change may take several signals, because a server switches one option at a time.
    ClientMode(ClientMode),
    /// To a client: text without a line ending, such as `login: `.
    ///
    /// It ends with GA (RFC 858) or EOR (RFC 885), or nothing followed it for
    /// [`TelnetClient::prompt_after`](super::TelnetClient::prompt_after). What follows begins a new
    /// line.
    Prompt(Payload<'a>),
    /// A telnet option was switched on or off.
    #[non_exhaustive]
    Option {
        /// The option's number.
        option: u8,
        /// The side on which the option was switched on or off.
        side: Side,
        /// Whether the option is on now.
        on: bool,
    },
    /// Parameters of an option that the application handles instead of the session.
    ///
    /// The option is MSDP (see [`msdp`](super::msdp)), or the application enabled it.
    #[non_exhaustive]
    Subnegotiation {
        /// The option's number.
        option: u8,
        /// The option's parameters, unescaped.
        content: &'a [u8],
    },
    /// A message of the Generic MUD Communication Protocol (GMCP).
    #[non_exhaustive]
    Gmcp {
        /// The names of the package and message, such as `Core.Hello`.
        package: &'a str,
        /// The message's JSON, not validated; empty if the message has none.
        data: &'a str,
    },
    /// A key that the peer pressed, reported only in [`InputMode::Keys`].
    Key(Key),
    /// The peer pressed its Break key (BRK, RFC 854).
    Break,
    /// The peer interrupts the running operation (IP, RFC 854).
    ///
    /// In character mode also Control-C. The session discards the unfinished line.
    InterruptProcess,
    /// The peer asks for no more output of the running operation, which continues (AO, RFC 854).
    ///
    /// The server discards queued messages, unless MCCP2 is or was on.
    AbortOutput,
    /// The peer suspends the running operation (SUSP, RFC 1184).
    Suspend,
    /// The peer aborts the running operation (ABORT, RFC 1184), more strongly than an interrupt.
    Abort,
    /// The peer signals end of file (EOF, RFC 1184). It may still send input.
    ///
    /// In character mode also Control-D on an empty line.
    EndOfFile,
    /// The peer asks to be logged out (RFC 727). The connection ends after this event.
    Logout,
}

/// Where a telnet server wants the input edited and echoed, from the client's point of view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientMode {
    /// The client edits lines and shows them.
    #[default]
    Line,
    /// The client edits lines and does not show them: the server has taken over the echo.
    ///
    /// Servers do so for passwords.
    Hidden,
    /// The client sends each key at once, and the server echoes: it sent `WILL ECHO` and `WILL SGA`.
    Character,
}

/// Mode of a telnet peer's input: lines that the peer or the server edits, or single keys.
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
    /// Returns the mode's name in a listener's address, such as `line`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Character => "character",
            Self::Keys => "keys",
        }
    }
}
