use crate::wire::telnet::{Charset, InputMode};
use crate::wire::{Encoding, LineEnding, TelnetPath};

/// How the input of an SSH session is read, and its output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SshSession {
    /// The client has a terminal: the server edits and shows its lines, or passes on each key.
    ///
    /// The mode is [`InputMode::Character`] or [`InputMode::Keys`].
    Terminal(InputMode),
    /// The client sends and receives plain lines. Invalid UTF-8 is replaced.
    Lines(LineEnding),
}

impl SshSession {
    pub(in crate::wire) const fn encoding(self) -> Encoding {
        match self {
            Self::Terminal(_) => Encoding::Telnet { charset: Charset::Utf8, path: TelnetPath::Session },
            Self::Lines(ending) => Encoding::Lines(ending),
        }
    }
}
