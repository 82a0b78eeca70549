use super::{Charset, InputMode};
use crate::base::setters;
use crate::wire::InvalidUtf8;
use core::time::Duration;

/// Configuration of the telnet wire (RFC 854).
///
/// Programs that only send lines are served as well. Until a peer sends a telnet command, it
/// receives only text and, unless [`probe`](Self::probe) is off, three bytes at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Telnet {
    /// The input mode to request. Input arrives as lines until the peer agrees.
    pub mode: InputMode,
    /// Policy for a line that is invalid in the character set.
    ///
    /// The default is [`InvalidUtf8::Replace`], for old clients.
    pub invalid_utf8: InvalidUtf8,
    /// The initial character set, used until another is negotiated (RFC 2066).
    pub charset: Charset,
    /// Whether to send `IAC DO TERMINAL-TYPE` at once, to detect a peer that speaks telnet.
    ///
    /// Many clients do not start negotiating on their own.
    pub probe: bool,
    /// Whether to offer the Generic MUD Communication Protocol (GMCP).
    pub gmcp: bool,
    /// Whether to offer the MUD Server Data Protocol (MSDP).
    pub msdp: bool,
    /// Whether to offer compression (MCCP2 and MCCP3).
    ///
    /// It takes about 300 KiB of memory for each connection that uses it. A stream of output ends after a minute without
    /// output, which frees 150 KiB, and the next output begins another one.
    pub compress: bool,
    /// How long a peer that speaks telnet may be silent before the server sends `IAC NOP`.
    ///
    /// The server repeats it as often, so that no NAT or firewall drops the connection. At least 10
    /// ms; zero means `None`.
    pub keep_alive: Option<Duration>,
}

setters!(Telnet {
    mode: InputMode,
    invalid_utf8: InvalidUtf8,
    charset: Charset,
    probe: bool,
    gmcp: bool,
    msdp: bool,
    compress: bool,
    keep_alive: Option<Duration>,
});

impl Default for Telnet {
    /// Returns line mode, UTF-8 with invalid text replaced, and the probe; all else is off.
    fn default() -> Self {
        Self {
            mode: InputMode::Line,
            invalid_utf8: InvalidUtf8::Replace,
            charset: Charset::Utf8,
            probe: true,
            gmcp: false,
            msdp: false,
            compress: false,
            keep_alive: None,
        }
    }
}
