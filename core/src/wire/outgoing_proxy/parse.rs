//! The text form of an outgoing proxy.

use super::error::OutgoingProxyError;
use super::options::{Credentials, OutgoingProxy, ProxyProtocol};
use super::target::Target;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr;

/// Parses `[SCHEME://][USER:PASSWORD@]HOST[:PORT]`.
///
/// | scheme | protocol |
/// |---|---|
/// | `http` (the default) | [`CONNECT`](ProxyProtocol::HttpConnect) |
/// | `socks5`, `socks5h` | [SOCKS5](ProxyProtocol::Socks5) |
///
/// Both schemes of SOCKS5 mean the same: the proxy resolves host names, as curl's `socks5h` does. The
/// default port is [1080](OutgoingProxy::PORT_DEFAULT) for all schemes, as in curl. The user and the
/// password are percent-encoded (RFC 3986 section 2.1), for example `%40` for `@`. A slash may end
/// the text.
impl FromStr for OutgoingProxy {
    type Err = OutgoingProxyError;

    fn from_str(text: &str) -> Result<Self, OutgoingProxyError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "http" => ProxyProtocol::HttpConnect,
            "socks5" | "socks5h" => ProxyProtocol::Socks5,
            "https" => return Err(OutgoingProxyError::Tls),
            _ => return Err(OutgoingProxyError::Scheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        let address = with_port(place);
        // The text may contain a password, so the error shows only the address.
        Target::parse(&address).map_err(|_| OutgoingProxyError::Address(place.to_string()))?;
        let credentials = user.map(|user| decode(protocol, user)).transpose()?;
        Ok(Self { protocol, address, credentials })
    }
}

/// Returns `HOST:PORT`, with the default port if there is none.
fn with_port(place: &str) -> String {
    let has_port = match place.strip_prefix('[') {
        Some(rest) => rest.contains("]:"),
        None => place.contains(':'),
    };
    if has_port { place.to_string() } else { format!("{place}:{}", OutgoingProxy::PORT_DEFAULT) }
}

fn decode(protocol: ProxyProtocol, text: &str) -> Result<Credentials, OutgoingProxyError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let (user, password) = (unescape(user)?, unescape(password)?);
    protocol.check(&user, &password)?;
    Ok(Credentials { user, password })
}

fn unescape(text: &str) -> Result<String, OutgoingProxyError> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'%' {
            let (high, low) = (digit(bytes.next()), digit(bytes.next()));
            high.zip(low).map(|(high, low)| high << 4 | low).ok_or(OutgoingProxyError::Escape)?
        } else {
            byte
        });
    }
    String::from_utf8(plain).map_err(|_| OutgoingProxyError::Escape)
}
