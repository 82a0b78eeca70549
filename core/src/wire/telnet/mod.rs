//! Telnet (RFC 854): what a `telnet://` listener speaks, in parts that can also be used alone.
//!
//! - [`Parser`] takes a byte stream apart: data, commands, negotiations, subnegotiations.
//! - [`Options`] settles by RFC 1143 which options are on.
//! - [`Session`] is the server's end of one connection: lines and [`Signal`]s out of bytes, the answers, the
//!   [`Terminal`] at the other end, and the line that is edited on the server. It is the decoder of
//!   [`Wire::Telnet`](crate::wire::Wire), and [`Telnet`] configures it.
//!
//! # What is supported
//!
//! | option | RFC | how |
//! |---|---|---|
//! | BINARY | 856 | agreed to; asked for once an eight-bit character set is agreed on |
//! | ECHO | 857 | ours in character mode and for passwords; the peer's is refused |
//! | SGA | 858 | ours in character mode; the peer's is agreed to |
//! | STATUS | 859 | answered |
//! | TM | 860 | answered behind what was said before |
//! | LOGOUT | 727 | [`Signal::Logout`], and the connection ends |
//! | SNDLOC | 779 | agreed to, kept |
//! | TTYPE | 1091, MTTS | asked for, up to ten names, kept |
//! | EOR | 885 | marks prompts |
//! | NAWS | 1073 | asked for, kept; of several that arrive together the last is told |
//! | TSPEED, XDISPLOC | 1079, 1096 | agreed to, asked for, kept |
//! | LFLOW | 1372 | on, but off where the application wants all keys |
//! | LINEMODE | 1184 | asked for in line mode: the peer edits, and sends its interrupt key as a command |
//! | NEW-ENVIRON | 1572 | asked for, up to 32 variables, kept; never proof of anything |
//! | CHARSET | 2066 | UTF-8, ISO 8859-1, code page 437, US-ASCII; translation tables are refused |
//! | GMCP, MSDP | | offered where configured or enabled; passed on |
//! | MSSP | | answered where the application has said what |
//! | MCCP2, MCCP3 | | offered where configured |
//!
//! Any other option is refused, once for each request, unless the application
//! [enables](crate::Hub::enable_option) it: MXP, MSP and the like.
//!
//! # What is not
//!
//! Urgent data: a Synch is read in its place in the stream, where its DM does nothing, so that what was sent
//! before it is not dropped.

mod charset;
mod compress;
mod config;
mod editor;
mod key;
pub mod msdp;
mod negotiation;
pub mod option;
mod parser;
mod screen;
mod session;
mod signal;
mod terminal;

pub use charset::Charset;
pub use config::Telnet;
pub use key::Key;
pub use negotiation::{Answer, Change, Options, Side};
pub use parser::{Command, Parser, Piece, Verb};
pub use session::{Replies, Session};
pub use signal::{InputMode, Signal};
pub use terminal::{Mtts, Terminal};

use crate::base::{Payload, work};
use alloc::vec::Vec;
use memchr::{memchr, memchr2};

/// The byte that begins every command (RFC 854): "interpret as command". As data it is sent twice.
pub const IAC: u8 = 255;
pub(crate) const SE: u8 = 240;
pub(crate) const SB: u8 = 250;

/// Appends `data` to `out` with every [`IAC`] sent twice (RFC 854).
pub fn escape(data: &[u8], out: &mut Vec<u8>) {
    let mut rest = data;
    work::step(1 + data.len());
    while let Some(at) = memchr(IAC, rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(IAC);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends a subnegotiation to `out`: `IAC SB option data IAC SE` (RFC 855), the data escaped.
pub fn subnegotiation(option: u8, data: &[u8], out: &mut Vec<u8>) {
    // An option may have the number of IAC itself.
    out.extend_from_slice(&[IAC, SB]);
    escape(&[option], out);
    escape(data, out);
    out.extend_from_slice(&[IAC, SE]);
}

/// Appends `payload` to `out` as a network virtual terminal shows it: line feeds become CR LF and a CR without one
/// CR NUL (RFC 854), text is in `charset`, and every IAC is sent twice.
pub(crate) fn encode(payload: Payload<'_>, charset: Charset, out: &mut Vec<u8>) {
    let translated: Vec<u8>;
    let mut rest = match payload {
        Payload::Text(text) if charset != Charset::Utf8 && !text.is_ascii() => {
            let mut bytes = Vec::new();
            charset.encode(text, &mut bytes);
            translated = bytes;
            &translated
        }
        _ => payload.as_bytes(),
    };
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        escape(&rest[..at], out);
        let (length, ending) = match rest.get(at..at + 2) {
            Some(b"\r\n") => (2, b"\r\n"),
            _ if rest[at] == b'\n' => (1, b"\r\n"),
            _ => (1, b"\r\0"),
        };
        out.extend_from_slice(ending);
        rest = &rest[at + length..];
    }
    escape(rest, out);
}

#[cfg(test)]
mod tests;
