use super::authority::{Authority, Scheme};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Which pages may connect: a browser says where a page came from (RFC 6454), other programs say nothing and are let
/// in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// Pages that came from the scheme, host and port that they connect to. The scheme is `https` where TLS is spoken; behind a
    /// trusted proxy it is what the proxy says in `X-Forwarded-Proto` or `Forwarded`, and either if it says nothing.
    #[default]
    Same,
    /// Pages from these origins.
    List(Vec<WebOrigin>),
    /// All pages. Any page that a user opens can then speak in the user's place.
    Any,
}

impl Origins {
    /// Whether a page of `origin` may connect to `host`, both as they stand in the request, which came by `scheme` if that is
    /// known.
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

/// Where a page comes from: scheme, host and port (RFC 6454 section 4), such as `https://example.org`.
///
/// Written as browsers send it, but that letters of the host may be in either case, the port of the scheme may stand there, and
/// a `/` may end it. Schemes of applications, such as `capacitor://localhost`, are taken as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    scheme: String,
    host: String,
    /// Of `http` and `https` always there.
    port: Option<u16>,
}

/// A text that no browser sends as an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} can't be an origin: {problem}")]
#[non_exhaustive]
pub struct OriginError {
    /// The text.
    pub text: String,
    /// What is wrong with it, and what to write.
    pub problem: String,
}

impl FromStr for WebOrigin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let parsed = match scheme.as_deref() {
            Some("file" | "data" | "blob" | "about") => {
                Err("browsers say of such pages only that they have none".into())
            }
            _ => Self::parse(text.strip_suffix('/').filter(|rest| !rest.ends_with('/')).unwrap_or(text)),
        };
        let checked = parsed.and_then(|origin| match (origin.scheme.as_str(), origin.port) {
            ("ws" | "wss", _) => {
                let scheme = origin.scheme.replace("ws", "http");
                Err(format!("an origin is where the page comes from; write {scheme}://{}", origin.host))
            }
            (_, Some(0)) => Err("its port is none from 1 to 65535".into()),
            _ => Ok(origin),
        });
        checked.map_err(|problem| OriginError { text: text.to_owned(), problem })
    }
}

/// Longer ones name no host.
const MAX_BYTES: usize = 300;

impl WebOrigin {
    /// Reads what a browser sends.
    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err("no origin is as long".into());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(match text {
                "null" => "pages without one can't be told apart".into(),
                "same" | "*" => "it stands alone".into(),
                _ => format!("there is no scheme in it, such as https://{text}"),
            });
        };
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
            return Err(format!("{scheme:?} is no scheme"));
        }
        let scheme = scheme.to_ascii_lowercase();
        let bare = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let bare = bare.rsplit('@').next().unwrap_or_default();
        if bare != rest {
            return Err(format!("there is no user and no path in it; write {scheme}://{bare}"));
        }
        let Some(known) = Scheme::named(&scheme) else {
            if rest.is_empty() || rest.contains('*') || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err("name the host as it is sent".into());
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
    fn an_origin_that_can_match_is_understood_as_browsers_send_it() {
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
    fn an_origin_that_can_never_match_is_refused_with_what_to_write() {
        for (text, problem) in [
            ("https://example.org/chat", "write https://example.org"),
            ("https://example.org//", "write https://example.org"),
            ("https://example.org?x", "write https://example.org"),
            ("https://user@example.org", "write https://example.org"),
            ("https://*.example.org", "there are no patterns"),
            ("https://*", "there are no patterns"),
            ("https://b\u{fc}cher.example", "xn--"),
            ("https://example.org:0", "from 1 to 65535"),
            ("https://example.org:65536", "from 1 to 65535"),
            ("https://example.org:+443", "from 1 to 65535"),
            ("https://127.1", "no IPv4 address"),
            ("https://0x7f000001", "no IPv4 address"),
            ("https://::1", "in brackets"),
            ("https://[::1", "no IPv6 address"),
            ("https://[::1]x", "behind the bracket"),
            ("https://", "no host"),
            (" https://example.org", "no scheme"),
            ("https://example.org ", "letters, digits"),
            ("example.org", "such as https://example.org"),
            ("wss://example.org", "write https://example.org"),
            ("ws://example.org", "write http://example.org"),
            ("file:///x", "they have none"),
            ("null", "can't be told apart"),
            ("same", "stands alone"),
            ("*", "stands alone"),
            ("", "no scheme"),
        ] {
            let error = text.parse::<WebOrigin>().expect_err(text).to_string();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_same_origin_has_the_same_scheme_host_and_port() {
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
