use crate::base::setters;
use crate::wire::InvalidUtf8;
use crate::wire::telnet::Charset;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// Configuration of telnet in the role of the client (RFC 854), for outgoing connections.
///
/// The client sends nothing but messages until the server sends a telnet command. It then agrees to
/// what the fields below allow and refuses all else, so by default the server learns nothing about
/// the user's machine. Environment variables are never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TelnetClient {
    /// How the server's text reaches the application.
    pub delivery: Delivery,
    /// How long an unfinished line waits before it is reported as a
    /// [prompt](super::Signal::Prompt), with [`Delivery::Lines`].
    ///
    /// For servers that do not mark prompts, such as most devices with their `login: `. Zero: at
    /// once. `None`: only prompts that end with GA or EOR are reported.
    pub prompt_after: Option<Duration>,
    /// Policy for text that is invalid in the character set.
    pub invalid_utf8: InvalidUtf8,
    /// The initial character set, used until the server requests another (RFC 2066).
    pub charset: Charset,
    /// The terminal types to report (RFC 1091). If empty, the server's request is refused.
    pub types: TerminalTypes,
    /// The width and height of the window, in characters (RFC 1073).
    ///
    /// `None`: the server's request is refused until
    /// [`Hub::set_window_size`](crate::Hub::set_window_size) sets a size.
    pub size: Option<(u16, u16)>,
    /// Whether to accept the Generic MUD Communication Protocol (GMCP).
    pub gmcp: bool,
    /// Whether to accept the MUD Server Data Protocol (MSDP).
    pub msdp: bool,
    /// Whether to accept compression by the server (MCCP2).
    ///
    /// It takes about 45 KiB of memory while it is used.
    pub compress: bool,
    /// Interval of `IAC NOP` while the server is silent. `None`: no keep-alive.
    ///
    /// Only for a server that has sent a telnet command. At least 10 ms; zero means `None`.
    pub keep_alive: Option<Duration>,
}

setters!(TelnetClient {
    delivery: Delivery,
    prompt_after: Option<Duration>,
    invalid_utf8: InvalidUtf8,
    charset: Charset,
    types: TerminalTypes,
    size: Option<(u16, u16)>,
    gmcp: bool,
    msdp: bool,
    compress: bool,
    keep_alive: Option<Duration>,
});

impl Default for TelnetClient {
    /// Returns lines, prompts after 500 ms, and UTF-8 with invalid text replaced; all else is off.
    fn default() -> Self {
        Self {
            delivery: Delivery::Lines,
            prompt_after: Some(Duration::from_millis(500)),
            invalid_utf8: InvalidUtf8::Replace,
            charset: Charset::Utf8,
            types: TerminalTypes::default(),
            size: None,
            gmcp: false,
            msdp: false,
            compress: false,
            keep_alive: None,
        }
    }
}

/// How the text of a telnet server reaches the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Each line as a message, without its ending. Prompts are [signals](super::Signal::Prompt).
    ///
    /// A line ends with LF. CRs at its beginning and end, and all NULs, are removed. For programs.
    #[default]
    Lines,
    /// Each piece of the stream as a message, as it arrives, with all control characters but NUL.
    ///
    /// A character is never split. For terminals.
    Stream,
}

impl Delivery {
    /// Returns the name of the delivery in a dialled address, such as `lines`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Stream => "stream",
        }
    }
}

/// The terminal types that a telnet client reports, preferred first (RFC 1091).
///
/// Their text form is a comma-separated list, such as `XTERM-256COLOR,XTERM`. A client of the MUD
/// Terminal Type Standard reports its own name, its terminal's type, and `MTTS` with a bit set (see
/// [`Mtts`](crate::telnet::Mtts)).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TerminalTypes {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

impl TerminalTypes {
    /// Longest text form, in bytes.
    pub const BYTES_MAX: usize = 95;
    /// Longest name of a terminal type, in characters (RFC 1091).
    pub const NAME_MAX: usize = 40;

    /// Returns the text form: the names, separated by commas.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }

    /// Returns the names, preferred first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.as_str().split(',').filter(|name| !name.is_empty())
    }
}

impl FromStr for TerminalTypes {
    type Err = TerminalTypesError;

    fn from_str(text: &str) -> Result<Self, TerminalTypesError> {
        let is_allowed = |byte: u8| byte == b' ' || byte.is_ascii_graphic() && byte != b',';
        let is_name = |name: &str| (1..=Self::NAME_MAX).contains(&name.len()) && name.bytes().all(is_allowed);
        let mut bytes = [0; Self::BYTES_MAX];
        match bytes.get_mut(..text.len()) {
            Some(place) if text.is_empty() || text.split(',').all(is_name) => place.copy_from_slice(text.as_bytes()),
            _ => return Err(TerminalTypesError),
        }
        let length = u8::try_from(text.len()).map_err(|_| TerminalTypesError)?;
        Ok(Self { bytes, length })
    }
}

impl Default for TerminalTypes {
    /// Returns an empty list.
    fn default() -> Self {
        Self { bytes: [0; Self::BYTES_MAX], length: 0 }
    }
}

impl fmt::Debug for TerminalTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The error returned when a list of terminal types is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("terminal types are a comma-separated list: names of 1 to 40 ASCII characters, at most 95 bytes in total")]
#[non_exhaustive]
pub struct TerminalTypesError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_types_parse_and_refuse_what_rfc_1091_does_not_allow() {
        let types: TerminalTypes = "DRUPE,XTERM-256COLOR,MTTS 13".parse().expect("well formed");
        assert!(types.names().eq(["DRUPE", "XTERM-256COLOR", "MTTS 13"]));
        assert!("".parse::<TerminalTypes>().expect("none").names().eq([""; 0]));
        let long = "x".repeat(TerminalTypes::NAME_MAX);
        let list = alloc::format!("{long},{long},{}", "y".repeat(13));
        assert_eq!(list.len(), TerminalTypes::BYTES_MAX);
        assert_eq!(list.parse::<TerminalTypes>().map(|types| types.as_str() == list), Ok(true));
        for text in [",", "a,", ",a", "a,,b", "grün", "a\u{7f}", "a\u{1b}b", &alloc::format!("{long}x"), &(list + "y")]
        {
            assert_eq!(text.parse::<TerminalTypes>(), Err(TerminalTypesError), "{text}");
        }
    }
}
