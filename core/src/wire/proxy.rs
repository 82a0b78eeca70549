//! The PROXY protocol of `HAProxy`, versions 1 and 2: a header with the client's address.

use crate::base::Network;
use crate::base::setters;
use crate::base::{Peer, work};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;
use core::time::Duration;

/// Trusted proxies that report the client's address by the PROXY protocol, version 1 or 2.
///
/// Every connection of the listener must begin with the header, which is read before TLS.
/// Connections from other than the trusted networks are refused as
/// [`Reason::AddressRefused`](crate::Reason::AddressRefused).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxies {
    /// The networks of the trusted proxies.
    ///
    /// Peers of a Unix socket are always trusted: the permissions of its file decide which may
    /// connect.
    pub trusted: Vec<Network>,
    /// Time limit for the header. With zero, every connection is refused.
    pub timeout: Duration,
}

setters!(Proxies { trusted: Vec<Network>, timeout: Duration });

impl Proxies {
    /// Creates settings that trust proxies in these networks, with 5 s for the header.
    #[must_use]
    pub fn trusting(trusted: impl IntoIterator<Item = Network>) -> Self {
        Self { trusted: trusted.into_iter().collect(), timeout: Duration::from_secs(5) }
    }

    pub(crate) fn trust(&self, peer: Peer) -> bool {
        match peer {
            Peer::Local => true,
            Peer::Address(address) => self.trusted.iter().any(|network| network.contains(address.ip())),
        }
    }
}

/// The client that a proxy reports. `None`: the proxy itself, or a client of unknown address.
type SpeaksFor = Option<Peer>;

/// The result of parsing the first bytes of a connection from a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyHeader {
    /// An incomplete header.
    Unclear,
    /// The reported client, and the length of the header in bytes.
    Header(SpeaksFor, usize),
    /// Input that is not a valid header.
    Bad,
}

/// Maximum size of a version 1 PROXY header with its line ending, in bytes.
const TEXT_MAX_BYTES: usize = 107;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED_BYTES: usize = 16;
/// Maximum accepted size of the content of a version 2 PROXY header, in bytes.
const BINARY_MAX_BYTES: usize = 4 << 10;

/// Returns `true` if `held` and `more` together may be a complete PROXY header.
///
/// Returns `false` only for an incomplete version 2 header, which need not be parsed yet.
pub(crate) fn may_be_whole(held: &[u8], more: &[u8]) -> bool {
    let mut front = [0; FIXED_BYTES];
    let bytes = held.iter().chain(more).zip(&mut front).map(|(byte, place)| *place = *byte).count();
    let content = usize::from(u16::from_be_bytes([front[14], front[15]]));
    let is_long = bytes == FIXED_BYTES && front.starts_with(SIGNATURE) && content <= BINARY_MAX_BYTES;
    !is_long || held.len() + more.len() >= FIXED_BYTES + content
}

pub(crate) fn parse_header(held: &[u8]) -> ProxyHeader {
    work::step(FIXED_BYTES);
    let common = held.len().min(SIGNATURE.len());
    if held[..common] == SIGNATURE[..common] {
        return parse_binary_header(held).unwrap_or(ProxyHeader::Unclear);
    }
    let common = held.len().min(6);
    if held[..common] != b"PROXY "[..common] {
        return ProxyHeader::Bad;
    }
    let seen = &held[..held.len().min(TEXT_MAX_BYTES)];
    work::step(seen.len());
    match memchr::memmem::find(seen, b"\r\n") {
        Some(end) => parse_text(&seen[..end]).map_or(ProxyHeader::Bad, |peer| ProxyHeader::Header(peer, end + 2)),
        None if held.len() >= TEXT_MAX_BYTES => ProxyHeader::Bad,
        None => ProxyHeader::Unclear,
    }
}

/// Parses a version 1 PROXY header without its line ending (specification section 2.1).
fn parse_text(line: &[u8]) -> Option<SpeaksFor> {
    let line = core::str::from_utf8(line).ok()?;
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let [source, destination, from, to] = [words.next()?, words.next()?, words.next()?, words.next()?];
    if words.next().is_some() {
        return None;
    }
    let parse = |text: &str| match family {
        "TCP4" => Ipv4Addr::from_str(text).map(IpAddr::V4).ok(),
        "TCP6" => Ipv6Addr::from_str(text).map(IpAddr::V6).ok(),
        _ => None,
    };
    parse(destination)?;
    port(to)?;
    Some(Some(Peer::from(SocketAddr::new(parse(source)?, port(from)?))))
}

fn port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain)
}

/// Parses a version 2 PROXY header. Returns `None` if more input is needed.
///
/// See section 2.2 of the specification.
fn parse_binary_header(held: &[u8]) -> Option<ProxyHeader> {
    let command = *held.get(12)?;
    let family = *held.get(13)?;
    let length = usize::from(u16::from_be_bytes([*held.get(14)?, *held.get(15)?]));
    if command >> 4 != 2 || length > BINARY_MAX_BYTES {
        return Some(ProxyHeader::Bad);
    }
    let end = FIXED_BYTES + length;
    let content = held.get(FIXED_BYTES..end)?;
    Some(parse_binary(command & 15, family, content).map_or(ProxyHeader::Bad, |peer| ProxyHeader::Header(peer, end)))
}

fn parse_binary(command: u8, family: u8, content: &[u8]) -> Option<SpeaksFor> {
    match command {
        // LOCAL: the proxy connects on its own behalf, and the rest of the header is ignored.
        0 => return Some(None),
        1 => {}
        _ => return None,
    }
    let (peer, addresses) = match family {
        // TCP over IPv4, TCP over IPv6, Unix stream.
        0x11 => {
            let [a, b, c, d, _, _, _, _, high, low] = *content.first_chunk::<10>()?;
            let address = SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])));
            (Some(Peer::from(address)), 12)
        }
        0x21 => {
            let address = Ipv6Addr::from(*content.first_chunk::<16>()?);
            let port = u16::from_be_bytes(*content.get(32..)?.first_chunk()?);
            (Some(Peer::from(SocketAddr::new(address.into(), port))), 36)
        }
        0x31 => (Some(Peer::Local), 216),
        // UNSPEC: the proxy does not know the address or does not support its protocol.
        0 => (None, 0),
        _ => return None,
    };
    let mut rest = content.get(addresses..)?;
    // Further fields (TLV) may follow.
    while let Some((_, after)) = rest.split_first() {
        let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
        rest = after.get(2 + length..)?;
    }
    Some(peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, content].concat()
    }

    fn decided(header: &[u8]) -> ProxyHeader {
        let steps = (0..=header.len()).map(|seen| parse_header(&header[..seen]));
        steps.into_iter().find(|parsed| *parsed != ProxyHeader::Unclear).unwrap_or(ProxyHeader::Unclear)
    }

    fn peer(text: &str) -> SpeaksFor {
        text.parse().map(Some).expect(text)
    }

    #[test]
    fn proxy_header_parses_whole_or_in_pieces() {
        let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0x9c, 0x40, 0, 80];
        let v6 =
            [&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 16], &[0x9c, 0x40, 0, 80]].concat();
        let long = [b"PROXY TCP4 ", &[b'1'; 200][..]].concat();
        for (header, outcome) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 40000 80\r\n".to_vec(), Some(peer("192.0.2.1:40000"))),
            (b"PROXY TCP6 2001:db8::1 ::1 40000 80\r\n".to_vec(), Some(peer("[2001:db8::1]:40000"))),
            (b"PROXY UNKNOWN\r\n".to_vec(), Some(None)),
            (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".to_vec(), Some(None)),
            (b"PROXY TCP4 2001:db8::1 ::1 40000 80\r\n".to_vec(), None),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 040000 80\r\n".to_vec(), None),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 80\r\n".to_vec(), None),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 40000 80 1\r\n".to_vec(), None),
            (b"PROXY TCP4 192.0.2.1\r\n".to_vec(), None),
            (b"GET / HTTP/1.1\r\n".to_vec(), None),
            (long, None),
            (binary(0x21, 0x11, &v4), Some(peer("192.0.2.1:40000"))),
            (binary(0x21, 0x11, &[&v4[..], &[4, 0, 2, 1, 1]].concat()), Some(peer("192.0.2.1:40000"))),
            (binary(0x21, 0x21, &v6), Some(peer("[2001:db8::1]:40000"))),
            (binary(0x21, 0x31, &[0; 216]), Some(Some(Peer::Local))),
            (binary(0x20, 0, &[9; 30]), Some(None)),
            (binary(0x21, 0, &[]), Some(None)),
            (binary(0x21, 0x11, &v4[..11]), None),
            (binary(0x21, 0x11, &[&v4[..], &[4, 0, 3, 1, 1]].concat()), None),
            (binary(0x21, 0x12, &v4), None),
            (binary(0x31, 0x11, &v4), None),
            (binary(0x22, 0x11, &v4), None),
            (binary(0x21, 0x11, &[0; 5_000]), None),
        ] {
            let expected = outcome.map_or(ProxyHeader::Bad, |peer| ProxyHeader::Header(peer, header.len()));
            assert_eq!(decided(&header), expected, "{}", header.escape_ascii());
            let more = [&header[..], b"more"].concat();
            assert_eq!(parse_header(&more), expected, "{}", header.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn proxy_header_parser_decides_within_its_size_limit(bytes in prop::collection::vec(any::<u8>(), 0..300), v2: bool) {
            let start: &[u8] = if v2 { SIGNATURE } else { b"PROXY " };
            let mut held = [start, &bytes].concat();
            let _ = parse_header(&held);
            held.resize(BINARY_MAX_BYTES + FIXED_BYTES, b' ');
            prop_assert_ne!(parse_header(&held), ProxyHeader::Unclear);
        }
    }
}
