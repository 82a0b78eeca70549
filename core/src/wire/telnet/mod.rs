//! Telnet (RFC 854): the protocol of `telnet://` listeners and dials, in parts that can be used
//! separately.
//!
//! - [`Parser`] splits a byte stream into data, commands, negotiations and subnegotiations.
//! - [`Options`] negotiates which options are on (RFC 1143).
//! - [`Session`] is the server's end of one connection. It decodes bytes into lines and
//!   [`Signal`]s, answers the peer, keeps its [`Terminal`], and edits the input line. It is the
//!   decoder of [`Wire::Telnet`](crate::wire::Wire). [`Telnet`] configures it.
//! - [`ClientSession`] is the client's end of one connection, the decoder of
//!   [`Wire::TelnetClient`](crate::wire::Wire). [`TelnetClient`] configures it.
//!
//! # Options of the server
//!
//! "Ours" is the server's side of an option. An option that is "kept" is stored in [`Terminal`].
//!
//! | option | RFC | support |
//! |---|---|---|
//! | BINARY | 856 | accepted; requested with a character set other than US-ASCII |
//! | ECHO | 857 | ours requested in character and keys mode, and for passwords; the peer's refused |
//! | SGA | 858 | ours requested in character and keys mode; the peer's accepted |
//! | STATUS | 859 | answered |
//! | TM | 860 | answered after all earlier output |
//! | LOGOUT | 727 | [`Signal::Logout`], then the connection ends |
//! | SNDLOC | 779 | accepted, kept |
//! | TTYPE | 1091, MTTS | requested, up to ten names, kept |
//! | EOR | 885 | requested; marks prompts |
//! | NAWS | 1073 | requested, kept; of several sizes that arrive together only the last is reported |
//! | TSPEED, XDISPLOC | 1079, 1096 | accepted, the value requested, kept |
//! | LFLOW | 1372 | accepted; flow control is on except in keys mode |
//! | LINEMODE | 1184 | requested in line mode: the peer edits, and sends its interrupt key as a command |
//! | NEW-ENVIRON | 1572 | requested, up to 32 variables, kept; not authenticated |
//! | CHARSET | 2066 | UTF-8, ISO 8859-1, code page 437, US-ASCII; translation tables are refused |
//! | GMCP, MSDP | | offered if configured or enabled; messages go to the application |
//! | MSSP | | offered if the [application sets variables](crate::Hub::set_server_status) |
//! | MCCP2, MCCP3 | | offered if configured |
//!
//! Any other option, such as MXP or MSP, is refused unless the application
//! [enables](crate::Hub::enable_option) it. Each request gets one refusal, up to
//! [`Options::CHANGES_MAX`].
//!
//! # Options of the client
//!
//! A client sends no telnet command before the server does. It agrees to what follows, and refuses
//! all else unless the application [enables](crate::Hub::enable_option) it.
//!
//! | option | RFC | support |
//! |---|---|---|
//! | BINARY | 856 | accepted; requested with a character set other than US-ASCII |
//! | ECHO | 857 | the server's accepted: see [`ClientMode`]; ours refused |
//! | SGA | 858 | accepted: with ECHO of the server, each key is sent at once |
//! | TM | 860 | answered after all earlier output |
//! | TTYPE | 1091, MTTS | accepted if [types](TelnetClient::types) are configured |
//! | EOR | 885 | accepted; marks the end of a [`Signal::Prompt`], as GA does |
//! | NAWS | 1073 | accepted once the [size](crate::Hub::set_window_size) is known |
//! | CHARSET | 2066 | the server's request: UTF-8 if it is offered, else ISO 8859-1, code page 437 or US-ASCII |
//! | GMCP, MSDP | | accepted if configured; messages go to the application |
//! | MCCP2 | | accepted if configured |
//!
//! NEW-ENVIRON, TSPEED, XDISPLOC, SNDLOC and LINEMODE are refused: they reveal the user's machine, or
//! are not needed.
//!
//! # Not supported
//!
//! Urgent data. A Synch is read at its place in the stream, where its DM has no effect, so data
//! sent before it is not discarded.

mod charset;
mod client;
mod compress;
mod config;
mod editor;
mod end;
mod key;
mod key_decoder;
pub mod msdp;
mod negotiation;
pub mod option;
mod parameter;
mod parser;
mod screen;
mod session;
mod signal;
mod terminal;
mod text;

pub use charset::Charset;
pub use client::{ClientSession, Delivery, TelnetClient, TerminalTypes, TerminalTypesError};
pub use config::Telnet;
pub use key::Key;
pub(crate) use key_decoder::KeyDecoder;
pub use negotiation::{Answer, Change, Options, Side};
pub use parser::{Command, Parser, Piece, Verb};
pub use session::{Replies, Session};
pub use signal::{ClientMode, InputMode, Signal};
pub use terminal::{Mtts, Terminal};

use crate::base::{Payload, work};
use alloc::vec::Vec;
use memchr::{memchr, memchr2};

/// The byte that begins every command (RFC 854): "interpret as command". In data it is doubled.
pub const IAC: u8 = 255;
pub(crate) const SE: u8 = 240;
pub(crate) const SB: u8 = 250;

/// Appends `data` to `out` with every [`IAC`] doubled (RFC 854).
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

/// Appends `IAC SB option data IAC SE` (RFC 855) to `out`, with `option` and `data` escaped.
pub fn subnegotiation(option: u8, data: &[u8], out: &mut Vec<u8>) {
    // The option's number may be that of IAC.
    out.extend_from_slice(&[IAC, SB]);
    escape(&[option], out);
    escape(data, out);
    out.extend_from_slice(&[IAC, SE]);
}

/// Appends `payload` to `out` in the format of the network virtual terminal (RFC 854).
///
/// Line feeds become CR LF, and a CR without line feed becomes CR NUL. Text is encoded in
/// `charset`, and every IAC is doubled.
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
