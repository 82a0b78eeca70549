//! The verbs in the parameters of options, and parsing that both ends share.

/// The IS verb of TTYPE, TSPEED, XDISPLOC, STATUS and NEW-ENVIRON.
pub(super) const IS: u8 = 0;
/// The SEND verb of TTYPE, TSPEED, XDISPLOC, STATUS and NEW-ENVIRON, which requests a value.
pub(super) const SEND: u8 = 1;
/// Verbs of CHARSET (RFC 2066).
pub(super) const REQUEST: u8 = 1;
pub(super) const ACCEPTED: u8 = 2;
pub(super) const REJECTED: u8 = 3;
pub(super) const TTABLE_IS: u8 = 4;
pub(super) const TTABLE_REJECTED: u8 = 5;
/// Maximum number of character sets that are read from one offer by the peer.
pub(super) const CHARSETS_MAX: usize = 64;
/// Cost of looking up a character set, in equivalent bytes of plain input.
pub(super) const CHARSET_COST: usize = 16;

/// Returns the names in a request of CHARSET, after the verb (RFC 2066).
pub(super) fn charset_names(rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    let rest = rest.strip_prefix(b"[TTABLE]").and_then(|rest| rest.get(1..)).unwrap_or(rest);
    let names = rest.split_first().map(|(separator, names)| names.split(move |byte| byte == separator));
    names.into_iter().flatten()
}
