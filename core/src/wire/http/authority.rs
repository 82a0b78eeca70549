//! Hosts and ports, as they stand in `Host`, in a target and in an origin.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// How a server is reached: each scheme has a port of its own.
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

/// The name or address of a server, and perhaps its port, as the value of `Host` has them (RFC 9110 section 7.2).
///
/// Letters may be in either case, and an IPv6 address, in brackets, may be written in any way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// In lower case; an address as it is written in short.
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

/// A text that can't be the value of `Host`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no name or address of a server: {problem}")]
#[non_exhaustive]
pub struct AuthorityError {
    /// The text.
    pub text: String,
    /// What is wrong with it, and what to write.
    pub problem: String,
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        let wrong = |problem: String| AuthorityError { text: text.to_owned(), problem };
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let bare = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if bare.len() <= MAX_BYTES && (scheme.is_some() || bare != rest) {
            return Err(wrong(format!("there is no scheme and no path in it; write {bare}")));
        }
        let authority = Self::parse(text).map_err(|problem| wrong(problem.to_string()))?;
        if authority.port == Some(0) { Err(wrong(NO_PORT.to_string())) } else { Ok(authority) }
    }
}

/// Names have at most 253 characters (RFC 1035 section 2.3.4), and a port five digits.
const MAX_BYTES: usize = 259;
const NO_PORT: &str = "its port is none from 1 to 65535";

impl Authority {
    /// Reads what stands in a request, or in a configuration.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES {
            return Err("no name is as long");
        }
        let end_of_host = match text.strip_prefix('[') {
            Some(_) => text.find(']').map_or(text.len(), |bracket| bracket + 1),
            None if text.matches(':').count() > 1 => return Err("an IPv6 address stands in brackets, such as [::1]"),
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(end_of_host);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return Err("nothing but a port stands behind the bracket"),
            // As good as none (RFC 3986 section 3.2.3).
            Some("") => None,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| NO_PORT)?)
            }
            Some(_) => return Err(NO_PORT),
        };
        Ok(Self { host: normal(host)?, port })
    }

    /// Whether a request for `asked` is for this server. Without a port here every port will do; a request without one is for
    /// the port of its scheme, and of either if that is not known.
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

/// A host as it is compared.
fn normal(host: &str) -> Result<String, &'static str> {
    if host.is_empty() {
        return Err("there is no host in it");
    }
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address.map(|address| format!("[{address}]")).ok_or("there is no IPv6 address in the brackets");
    }
    if host.contains('*') {
        return Err("there are no patterns; name each one");
    }
    if !host.is_ascii() {
        return Err("write the name as browsers send it, in ASCII (xn--...)");
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err("a name has letters, digits, hyphens and dots");
    }
    // What looks like a number is sent by browsers as the four of an IPv4 address.
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
        let address = host.parse::<Ipv4Addr>();
        return address.map(|address| address.to_string()).map_err(|_| "it is no IPv4 address, such as 127.0.0.1");
    }
    Ok(host.to_ascii_lowercase())
}
