use super::{Charset, InputMode};
use crate::base::setters;
use crate::wire::InvalidUtf8;
use core::time::Duration;

/// Telnet (RFC 854): lines, and what two ends settle about them.
///
/// Any program that sends lines is served as well: until a peer sends a telnet command it gets nothing but text
/// and, unless [`probe`](Self::probe) is off, three bytes at the very beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Telnet {
    /// How what is typed should arrive. Where the peer does not agree to it, lines arrive.
    pub mode: InputMode,
    /// What happens to a line that is not in the character set: in the default, [`InvalidUtf8::Replace`], old
    /// clients get through.
    pub invalid_utf8: InvalidUtf8,
    /// How text is written until the peer agrees to something else (RFC 2066).
    pub charset: Charset,
    /// Whether to ask at once, with `IAC DO TERMINAL-TYPE`, whether the peer speaks telnet. Many clients do not
    /// begin by themselves.
    pub probe: bool,
    /// Whether the Generic MUD Communication Protocol is offered.
    pub gmcp: bool,
    /// Whether the MUD Server Data Protocol is offered.
    pub msdp: bool,
    /// Whether compression is offered, MCCP2 and MCCP3: some 300 KiB of memory for each connection that uses it.
    pub compress: bool,
    /// After this long without a byte from a peer that speaks telnet, and again as often, it is sent `IAC NOP`, so
    /// that no box on the way forgets the connection. At least 10 ms; zero is as `None`.
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
    /// Line mode and UTF-8, with a probe; nothing for MUDs, and no keep-alive.
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
