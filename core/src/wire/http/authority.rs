//! Hosts and ports, as in `Host`, in request targets and in origins.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// The scheme of a request or an origin. It determines the default port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The name or address of a server, with an optional port, as in `Host` (RFC 9110 section 7.2).
///
/// The case of letters does not matter. An IPv6 address is in brackets and may have any notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The name in lower case, or the address in its shortest form.
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

/// The error for a text that is not a valid value of `Host`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the name or address of a server: {problem}")]
#[non_exhaustive]
pub struct AuthorityError {
    /// The text that is not a valid value.
    pub text: String,
    /// What is wrong with the text, and what to write instead.
    pub problem: String,
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        let wrong = |problem: String| AuthorityError { text: text.to_owned(), problem };
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let bare = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if bare.len() <= MAX_BYTES && (scheme.is_some() || bare != rest) {
            return Err(wrong(format!("a host has no scheme and no path; write {bare}")));
        }
        let authority = Self::parse(text).map_err(|problem| wrong(problem.to_string()))?;
        if authority.port == Some(0) { Err(wrong(NO_PORT.to_string())) } else { Ok(authority) }
    }
}

/// Maximum length of an authority, in bytes.
///
/// A name has at most 253 (RFC 1035 section 2.3.4), a colon one, and a port five.
const MAX_BYTES: usize = 259;
const NO_PORT: &str = "the port must be from 1 to 65535";

impl Authority {
    /// Parses an authority from a request or a configuration.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES {
            return Err("the name is too long");
        }
        let end_of_host = match text.strip_prefix('[') {
            Some(_) => text.find(']').map_or(text.len(), |bracket| bracket + 1),
            None if text.matches(':').count() > 1 => return Err("write an IPv6 address in brackets, such as [::1]"),
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(end_of_host);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return Err("only a port may follow the brackets"),
            // An empty port is the same as none (RFC 3986 section 3.2.3).
            Some("") => None,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| NO_PORT)?)
            }
            Some(_) => return Err(NO_PORT),
        };
        Ok(Self { host: normal(host)?, port })
    }

    /// Returns `true` if a request for `asked` is for this server.
    ///
    /// An authority without a port matches every port. A request without one is for the default
    /// port of its scheme, or of either scheme if its scheme is not known.
    pub(crate) fn is_asked_by(&self, asked: &Self, scheme: Option<Scheme>) -> bool {
        let is_default = |port| match scheme {
            Some(scheme) => scheme.port() == port,
            None => [Scheme::Http, Scheme::Https].iter().any(|scheme| scheme.port() == port),
        };
        let fits = |port| asked.port.map_or_else(|| is_default(port), |asked| asked == port);
        self.host == asked.host && self.port.is_none_or(fits)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Validates a host, and normalizes it for comparisons.
fn normal(host: &str) -> Result<String, &'static str> {
    if host.is_empty() {
        return Err("the host is missing");
    }
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address.map(|address| format!("[{address}]")).ok_or("there is no valid IPv6 address in the brackets");
    }
    if host.contains('*') {
        return Err("wildcards are not supported; list each name");
    }
    if !host.is_ascii() {
        return Err("write the name as browsers send it, in ASCII (xn--...)");
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err("a name has only letters, digits, hyphens, underscores and dots");
    }
    // Browsers convert a host whose last label is a number to a dotted IPv4 address.
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit())
        || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"))
    {
        let address = host.parse::<Ipv4Addr>();
        return address
            .map(|address| address.to_string())
            .map_err(|_| "it is not a valid IPv4 address, such as 127.0.0.1");
    }
    Ok(host.to_ascii_lowercase())
}
