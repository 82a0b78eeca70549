use super::{Charset, Key, Side};

/// What a telnet peer tells beside its lines.
///
/// What it says of itself (all but the keys and the wishes) is also kept in [`Terminal`](super::Terminal), and
/// told when it changes. None of it proves anything: it is what the peer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal<'a> {
    /// The window has a new size (NAWS, RFC 1073). Of several that arrive together the last is told.
    #[non_exhaustive]
    Resized {
        /// Characters in a row.
        columns: u16,
        /// Rows.
        rows: u16,
    },
    /// The list of terminal types is complete (RFC 1091).
    TerminalTypes,
    /// Variables came, or came anew (RFC 1572).
    Environment,
    /// The speed of the line is known (RFC 1079).
    Speed,
    /// The X display is known (RFC 1096).
    DisplayLocation,
    /// A place is known (RFC 779).
    Location,
    /// Text is written in another character set from now on (RFC 2066).
    Charset(Charset),
    /// What the peer types arrives in another way from now on.
    InputMode(InputMode),
    /// An option went on or off.
    #[non_exhaustive]
    Option {
        /// Which.
        option: u8,
        /// On whose side.
        side: Side,
        /// Whether it is on.
        on: bool,
    },
    /// Parameters of an option that this crate does nothing about itself: MSDP (see [`msdp`](super::msdp)), or one
    /// that the application enabled.
    #[non_exhaustive]
    Subnegotiation {
        /// Which.
        option: u8,
        /// As it came, with what was sent twice once.
        content: &'a [u8],
    },
    /// A message of the Generic MUD Communication Protocol.
    #[non_exhaustive]
    Gmcp {
        /// The name of the package and message, such as `Core.Hello`.
        package: &'a str,
        /// JSON, unchecked; empty if there is none.
        data: &'a str,
    },
    /// A key, in [`InputMode::Keys`].
    Key(Key),
    /// Break: the key of that name.
    Break,
    /// Interrupt what is being done; in character mode also Control-C. What was typed so far is gone.
    InterruptProcess,
    /// Let what is being done finish, but do not send its output. What was queued is dropped.
    AbortOutput,
    /// Suspend what is being done.
    Suspend,
    /// Abort what is being done, harder than an interrupt.
    Abort,
    /// No more input; in character mode Control-D on an empty line.
    EndOfFile,
    /// The peer wants to be logged out (RFC 727). The connection ends after this event.
    Logout,
}

/// How what the peer types arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputMode {
    /// Whole lines, which the peer's terminal edits and shows.
    #[default]
    Line,
    /// Whole lines, which the server edits and shows as they are typed. A line has at most 4 KiB, as on a terminal of
    /// Unix; what is typed beyond that is answered with a bell.
    Character,
    /// Every key as a [`Signal::Key`]; nothing is shown.
    Keys,
}

impl InputMode {
    /// Its name in a listening address.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Character => "character",
            Self::Keys => "keys",
        }
    }
}
