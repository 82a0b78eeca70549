use super::authority::Scheme;
use super::head::Request;
use crate::base::Network;
use crate::base::Peer;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Trusted proxies that report the client's address in a header field.
///
/// The field is read from its end, where the nearest proxy writes, and only through trusted hops.
/// So a value that the client itself wrote is never believed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forwarded {
    /// The header field that the proxies write.
    ///
    /// The other field is ignored, because the proxies pass it on as the client wrote it.
    pub field: ForwardedField,
    /// The networks of the trusted proxies.
    pub trusted: Vec<Network>,
}

/// The header field in which proxies report the client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedField {
    /// `X-Forwarded-For`, a list of addresses.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Forwarded {
    /// Creates settings for proxies in the `trusted` networks, which write `field`.
    pub fn new(field: ForwardedField, trusted: impl IntoIterator<Item = Network>) -> Self {
        Self { field, trusted: trusted.into_iter().collect() }
    }

    /// Returns `true` if `peer` is a trusted proxy, as all peers of Unix sockets are.
    pub(crate) fn trust(&self, peer: Peer) -> bool {
        match peer {
            Peer::Address(address) => self.trusts(address.ip()),
            Peer::Local => true,
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Returns the client of a request that `peer` sent.
    ///
    /// That is the nearest hop that is not trusted, or the farthest hop if all are. A hop that
    /// cannot be parsed ends the chain: the client is then the proxy that reported it.
    pub(crate) fn client(&self, peer: Peer, request: &Request) -> Peer {
        if !self.trust(peer) {
            return peer;
        }
        let mut client = peer;
        for hop in self.hops(request).into_iter().rev() {
            let Some(address) = parse(&hop) else { break };
            client = Peer::from(address);
            if !self.trusts(address.ip()) {
                break;
            }
        }
        client
    }

    /// Returns the scheme of the client's request, if the nearest proxy reports it.
    pub(crate) fn scheme(&self, request: &Request) -> Option<Scheme> {
        match self.field {
            ForwardedField::XForwardedFor => {
                let values = request.fields.values("x-forwarded-proto").flat_map(|value| value.split(','));
                Scheme::named(values.last()?.trim())
            }
            ForwardedField::Forwarded => {
                let values = request.fields.values("forwarded").flat_map(|value| split_quoted(value, ','));
                Scheme::named(&parameter(values.last()?, "proto"))
            }
        }
    }

    /// Returns the hops that the proxies report, farthest first.
    fn hops(&self, request: &Request) -> Vec<String> {
        match self.field {
            ForwardedField::XForwardedFor => {
                let values = request.fields.values("x-forwarded-for").flat_map(|value| value.split(','));
                values.map(|hop| hop.trim().into()).collect()
            }
            ForwardedField::Forwarded => {
                let values = request.fields.values("forwarded").flat_map(|value| split_quoted(value, ','));
                values.map(|element| parameter(element, "for")).collect()
            }
        }
    }
}

/// Returns a parameter's value in a `Forwarded` element (RFC 7239 section 4), or an empty string.
fn parameter(element: &str, wanted: &str) -> String {
    let parameters = split_quoted(element, ';').into_iter().filter_map(|pair| pair.split_once('='));
    let mut values = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
    let value = values.next().map(|(_, value)| value.trim()).unwrap_or_default();
    value.trim_matches('"').into()
}

/// Splits `text` at separators outside double quotes.
fn split_quoted(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

/// Parses an address with or without a port. An IPv6 address may have brackets.
fn parse(hop: &str) -> Option<SocketAddr> {
    if let Ok(address) = hop.parse::<SocketAddr>() {
        return Some(SocketAddr::new(address.ip().to_canonical(), address.port()));
    }
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address.to_canonical(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::{HeadSearch, ParsedHead, parse_head};
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn forwarded_field_is_read_from_its_end_past_trusted_hops() {
        let trusted: Vec<Network> = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect(text)).into();
        let x = ForwardedField::XForwardedFor;
        let rfc = ForwardedField::Forwarded;
        for (field, peer, head, client) in [
            (x, "10.0.0.1:5", "X-Forwarded-For: 192.0.2.1", "192.0.2.1:0"),
            (x, "10.0.0.1:5", "X-Forwarded-For: 6.6.6.6, 192.0.2.1", "192.0.2.1:0"),
            (x, "10.0.0.1:5", "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1:0"),
            (x, "10.0.0.1:5", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1", "192.0.2.1:0"),
            (x, "10.0.0.1:5", "X-Forwarded-For: 10.0.0.3, 10.0.0.2", "10.0.0.3:0"),
            (x, "10.0.0.1:5", "X-Forwarded-For: 192.0.2.1, garbage, 10.0.0.2", "10.0.0.2:0"),
            (x, "10.0.0.1:5", "X-Forwarded-For: ", "10.0.0.1:5"),
            (x, "10.0.0.1:5", "Forwarded: for=192.0.2.1", "10.0.0.1:5"),
            (x, "10.0.0.1:5", "X-Forwarded-For: 192.0.2.1:8080", "192.0.2.1:8080"),
            (x, "10.0.0.1:5", "X-Forwarded-For: ::ffff:192.0.2.1", "192.0.2.1:0"),
            (x, "10.0.0.1:5", "X-Forwarded-For: [2001:db9::1]", "[2001:db9::1]:0"),
            (x, "[2001:db8::9]:5", "X-Forwarded-For: 2001:db9::1", "[2001:db9::1]:0"),
            (x, "192.0.2.9:5", "X-Forwarded-For: 6.6.6.6", "192.0.2.9:5"),
            (x, "local", "X-Forwarded-For: 192.0.2.1", "192.0.2.1:0"),
            (rfc, "10.0.0.1:5", "Forwarded: for=6.6.6.6, for=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1:0"),
            (rfc, "10.0.0.1:5", "Forwarded: For=\"[2001:db9::1]:4711\"", "[2001:db9::1]:4711"),
            (rfc, "10.0.0.1:5", "Forwarded: for=\"6.6.6.6, 192.0.2.1\"", "10.0.0.1:5"),
            (rfc, "10.0.0.1:5", "Forwarded: for=unknown", "10.0.0.1:5"),
            (rfc, "10.0.0.1:5", "Forwarded: proto=https", "10.0.0.1:5"),
            (rfc, "10.0.0.1:5", "X-Forwarded-For: 192.0.2.1", "10.0.0.1:5"),
        ] {
            let forwarded = Forwarded { field, trusted: trusted.clone() };
            let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n");
            let ParsedHead::Request(request, _) = parse_head(head.as_bytes(), &mut HeadSearch::default(), 0) else {
                panic!("{head}")
            };
            let found = forwarded.client(peer.parse().expect(peer), &request);
            assert_eq!(found.to_string(), client, "{head}");
        }
    }
}
