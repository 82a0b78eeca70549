//! Telnet (RFC 854) in parts that can be used alone: the [`Parser`] takes a byte stream apart, and
//! [`Options`] settles by RFC 1143 which options are on.
//!
//! No listener speaks telnet yet; these are for embedders who speak it themselves.

mod negotiation;
mod parser;

pub use negotiation::{Answer, Change, Options, Side};
pub use parser::{Command, Parser, Piece, Verb};

/// The byte that begins every command (RFC 854): "interpret as command". As data it is sent twice.
pub const IAC: u8 = 255;
pub(crate) const SE: u8 = 240;
pub(crate) const SB: u8 = 250;

/// Appends `data` to `out` with every [`IAC`] sent twice (RFC 854).
pub fn escape(data: &[u8], out: &mut alloc::vec::Vec<u8>) {
    let mut rest = data;
    while let Some(at) = memchr::memchr(IAC, rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(IAC);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends a subnegotiation to `out`: `IAC SB option data IAC SE` (RFC 855), the data escaped.
pub fn subnegotiation(option: u8, data: &[u8], out: &mut alloc::vec::Vec<u8>) {
    out.extend_from_slice(&[IAC, SB, option]);
    escape(data, out);
    out.extend_from_slice(&[IAC, SE]);
}

#[cfg(test)]
mod tests;
