use alloc::string::String;
use alloc::vec::Vec;

/// Which pages may connect: a browser says where a page came from (RFC 6454), other programs say nothing and are let
/// in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Pages that came from the host and port that they connect to.
    #[default]
    Same,
    /// Pages from these origins, such as `https://example.org`.
    List(Vec<String>),
    /// All pages. Any page that a user opens can then speak in the user's place.
    Any,
}

impl Origins {
    /// Whether a page of `origin` may connect to `host`, both as they stand in the request.
    pub(super) fn allow(&self, origin: &str, host: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::List(list) => {
                let origin = Tuple::parse(origin);
                origin.is_some() && list.iter().any(|allowed| Tuple::parse(allowed) == origin)
            }
            Self::Same => {
                let Some(origin) = Tuple::parse(origin) else { return false };
                let Some((name, port)) = host.and_then(split_port) else { return false };
                origin.host.eq_ignore_ascii_case(name) && origin.port == port.unwrap_or(origin.default_port())
            }
        }
    }
}

/// Scheme, host and port (RFC 6454 section 4).
#[derive(Clone, Copy, Debug)]
struct Tuple<'a> {
    scheme: &'a str,
    host: &'a str,
    port: u16,
}

impl PartialEq for Tuple<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port == other.port
    }
}

impl<'a> Tuple<'a> {
    fn parse(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        if authority.contains(['/', '@', '?', '#', ' ']) {
            return None;
        }
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let (host, port) = split_port(authority)?;
        let tuple = Self { scheme, host, port: 0 };
        Some(Self { port: port.unwrap_or(tuple.default_port()), ..tuple })
    }

    fn default_port(&self) -> u16 {
        if self.scheme.eq_ignore_ascii_case("https") { 443 } else { 80 }
    }
}

/// A host and its port, if it has one; `None` if that is no host.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end_of_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[end_of_host..].rfind(':') {
        None if authority.is_empty() => None,
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at(end_of_host + colon);
            let digits = port[1..].bytes().all(|byte| byte.is_ascii_digit());
            let port = port[1..].parse().ok().filter(|_| digits && (end_of_host == 0 || colon == 0))?;
            (!host.is_empty()).then_some((host, Some(port)))
        }
    }
}
