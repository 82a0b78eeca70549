use super::authority::{Authority, Scheme};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// The origins of the web pages that may connect.
///
/// A browser sends the origin of the page (RFC 6454). Other programs send none and may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// Pages of the same origin: with the scheme, host and port that they connect to.
    ///
    /// The scheme is `https` on a listener with TLS. Behind a trusted proxy it is the one that the
    /// proxy reports in `X-Forwarded-Proto` or `Forwarded`, or either one if the proxy reports
    /// none.
    #[default]
    Same,
    /// Pages from these origins.
    List(Vec<WebOrigin>),
    /// All pages. Any page that a user opens can then act as the user.
    Any,
}

impl Origins {
    /// Returns `true` if a page of `origin` may connect to `host`.
    ///
    /// Both are as sent in the request. `scheme` is that of the request, if known.
    pub(super) fn allow(&self, origin: &str, host: Option<&str>, scheme: Option<Scheme>) -> bool {
        match self {
            Self::Any => true,
            Self::List(list) => WebOrigin::parse(origin).is_ok_and(|origin| list.contains(&origin)),
            Self::Same => {
                let Ok(origin) = WebOrigin::parse(origin) else { return false };
                let Some(Ok(asked)) = host.map(Authority::parse) else { return false };
                let of_page = Scheme::named(&origin.scheme);
                let is_same = of_page.is_some_and(|of_page| scheme.is_none_or(|scheme| scheme == of_page));
                is_same && origin.host == asked.host && origin.port == asked.port.or(of_page.map(Scheme::port))
            }
        }
    }
}

/// The origin of a page: scheme, host and port (RFC 6454 section 4), such as `https://example.org`.
///
/// The format is that of browsers, but the host may have upper-case letters, the default port may
/// be given, and a `/` may follow. The host of an application scheme, such as
/// `capacitor://localhost`, is compared unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    scheme: String,
    host: String,
    /// The port, which is always set for `http` and `https`.
    port: Option<u16>,
}

/// The error for a text that is not the origin of a web page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an origin: {problem}")]
#[non_exhaustive]
pub struct OriginError {
    /// The text that is not an origin.
    pub text: String,
    /// What is wrong with the text, and what to write instead.
    pub problem: String,
}

impl FromStr for WebOrigin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let parsed = match scheme.as_deref() {
            Some("file" | "data" | "blob" | "about") => Err("browsers send null as the origin of such pages".into()),
            _ => Self::parse(text.strip_suffix('/').filter(|rest| !rest.ends_with('/')).unwrap_or(text)),
        };
        let checked = parsed.and_then(|origin| match (origin.scheme.as_str(), origin.port) {
            ("ws" | "wss", _) => {
                let scheme = origin.scheme.replace("ws", "http");
                Err(format!("an origin has the scheme of the page; write {scheme}://{}", origin.host))
            }
            (_, Some(0)) => Err("the port must be from 1 to 65535".into()),
            _ => Ok(origin),
        });
        checked.map_err(|problem| OriginError { text: text.to_owned(), problem })
    }
}

/// Maximum length of an origin, in bytes. No valid host makes it longer.
const MAX_BYTES: usize = 300;

impl WebOrigin {
    /// Parses the value of an `Origin` field.
    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err("the origin is too long".into());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(match text {
                "null" => "it stands for all pages without an origin".into(),
                "same" | "*" => "it must be the only entry".into(),
                _ => format!("the scheme is missing, such as https://{text}"),
            });
        };
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
            return Err(format!("{scheme:?} is not a scheme"));
        }
        let scheme = scheme.to_ascii_lowercase();
        let bare = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let bare = bare.rsplit('@').next().unwrap_or_default();
        if bare != rest {
            return Err(format!("an origin has no user and no path; write {scheme}://{bare}"));
        }
        let Some(known) = Scheme::named(&scheme) else {
            if rest.is_empty() || rest.contains('*') || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err("write the host as browsers send it".into());
            }
            return Ok(Self { scheme, host: rest.to_owned(), port: None });
        };
        let Authority { host, port } = Authority::parse(rest).map_err(ToString::to_string)?;
        Ok(Self { scheme, host, port: port.or(Some(known.port())) })
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        let default = Scheme::named(&self.scheme).map(Scheme::port);
        self.port.filter(|_| self.port != default).map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_origin_matches_what_browsers_send() {
        for (text, shown) in [
            ("https://example.org", "https://example.org"),
            ("https://example.org/", "https://example.org"),
            ("HTTPS://Example.ORG:443", "https://example.org"),
            ("http://example.org:443", "http://example.org:443"),
            ("http://[0:0::1]:80", "http://[::1]"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://localhost", "http://localhost"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ] {
            let origin: WebOrigin = text.parse().expect(text);
            assert_eq!(origin.to_string(), shown);
            let list = Origins::List([origin].into());
            assert!(list.allow(shown, Some("other.example"), None), "{text}");
            assert!(!list.allow("https://evil.example", Some("other.example"), None), "{text}");
        }
    }

    #[test]
    fn origin_that_never_matches_is_refused_with_a_suggestion() {
        for (text, problem) in [
            ("https://example.org/chat", "write https://example.org"),
            ("https://example.org//", "write https://example.org"),
            ("https://example.org?x", "write https://example.org"),
            ("https://user@example.org", "write https://example.org"),
            ("https://*.example.org", "wildcards are not supported"),
            ("https://*", "wildcards are not supported"),
            ("https://b\u{fc}cher.example", "xn--"),
            ("https://example.org:0", "from 1 to 65535"),
            ("https://example.org:65536", "from 1 to 65535"),
            ("https://example.org:+443", "from 1 to 65535"),
            ("https://127.1", "not a valid IPv4 address"),
            ("https://0x7f000001", "not a valid IPv4 address"),
            ("https://0X7F000001", "not a valid IPv4 address"),
            ("https://::1", "in brackets"),
            ("https://[::1", "no valid IPv6 address"),
            ("https://[::1]x", "follow the brackets"),
            ("https://", "host is missing"),
            (" https://example.org", "not a scheme"),
            ("https://example.org ", "letters, digits"),
            ("example.org", "such as https://example.org"),
            ("wss://example.org", "write https://example.org"),
            ("ws://example.org", "write http://example.org"),
            ("file:///x", "send null"),
            ("null", "without an origin"),
            ("same", "the only entry"),
            ("*", "the only entry"),
            ("", "scheme is missing"),
        ] {
            let error = text.parse::<WebOrigin>().expect_err(text).to_string();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
    }

    #[test]
    fn same_origin_needs_equal_scheme_host_and_port() {
        let (http, https, either) = (Some(Scheme::Http), Some(Scheme::Https), None);
        for (origin, host, scheme, is_same) in [
            ("http://example.org", "example.org", http, true),
            ("http://example.org", "EXAMPLE.org:80", http, true),
            ("http://example.org:8025", "example.org:8025", http, true),
            ("http://example.org:8025", "example.org", http, false),
            ("https://example.org:8025", "example.org:8025", http, false),
            ("https://example.org", "example.org", http, false),
            ("https://example.org", "example.org:443", http, false),
            ("https://example.org", "example.org", https, true),
            ("http://example.org", "example.org", https, false),
            ("http://example.org:443", "example.org:443", https, false),
            ("https://example.org", "example.org", either, true),
            ("http://example.org", "example.org", either, true),
            ("https://example.org", "example.org:80", either, false),
            ("http://[::1]:8025", "[0:0:0:0:0:0:0:1]:8025", http, true),
            ("http://evil.example", "example.org", http, false),
            ("capacitor://example.org", "example.org", either, false),
            ("null", "example.org", either, false),
        ] {
            assert_eq!(Origins::Same.allow(origin, Some(host), scheme), is_same, "{origin} at {host} by {scheme:?}");
        }
        assert!(!Origins::Same.allow("http://example.org", None, http));
    }
}
