//! The head of a request from another server, and this server's response to it.

use core::fmt;

/// Maximum size of a request's head, in bytes, so that it fits into one message to the server.
///
/// The server itself accepts less, and answers a larger head with the status 431.
const HEAD_MAX_BYTES: usize = 64 << 10;
/// Names of fields that concern only the connection between the client and the other server.
const HOP_BY_HOP: [&str; 3] = ["connection", "keep-alive", "proxy-connection"];

/// The head of a request that another server received.
///
/// Its `Debug` output omits the head, because it may contain secrets.
#[derive(Clone)]
pub struct MountRequest {
    head: Vec<u8>,
    upgrades: bool,
    problem: Option<&'static str>,
}

impl MountRequest {
    /// Creates a request's head from a method and a target, such as `GET` and `/chat?token=x`.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let mut request = Self { head: Vec::new(), upgrades: false, problem: None };
        if !is_token(method.as_bytes()) {
            request.problem = Some("its method is not a token");
        }
        if target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            request.problem = Some("its target has a byte that must be percent-encoded, or is empty");
        }
        request.push([method.as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n"]);
        request
    }

    /// Adds a header field, unless it is hop-by-hop. Call it again for a field with several lines.
    ///
    /// `Connection`, `Keep-Alive` and `Proxy-Connection` are ignored. The mount writes `Connection`
    /// itself.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        if HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
            return self;
        }
        if !is_token(name.as_bytes()) {
            self.problem = Some("the name of a field is not a token");
        } else if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            self.problem = Some("the value of a field has a line break or a NUL");
        } else {
            self.upgrades |= name.eq_ignore_ascii_case("upgrade");
            self.push([name.as_bytes(), b": ", value, b"\r\n"]);
        }
        self
    }

    fn push(&mut self, parts: [&[u8]; 4]) {
        if self.head.len() + parts.iter().map(|part| part.len()).sum::<usize>() > HEAD_MAX_BYTES {
            self.problem = Some("its head has more than 64 KiB");
        } else {
            parts.iter().for_each(|part| self.head.extend_from_slice(part));
        }
    }

    /// Returns the bytes of the head, or the problem with it.
    ///
    /// Only an upgrade keeps the connection: another request ends it with its response.
    pub(super) fn into_bytes(mut self) -> Result<Vec<u8>, &'static str> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let connection: &[u8] =
            if self.upgrades { b"Connection: Upgrade\r\n\r\n" } else { b"Connection: close\r\n\r\n" };
        self.head.extend_from_slice(connection);
        Ok(self.head)
    }
}

impl fmt::Debug for MountRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountRequest").field("problem", &self.problem).finish_non_exhaustive()
    }
}

#[cfg(feature = "http")]
impl<B> From<&http::Request<B>> for MountRequest {
    /// Converts a request's head. Adds `Host` with the URI's authority if the field is missing.
    fn from(request: &http::Request<B>) -> Self {
        let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let mut head = Self::new(request.method().as_str(), target);
        if let (Some(authority), None) = (request.uri().authority(), request.headers().get(http::header::HOST)) {
            head = head.field("host", authority.as_str());
        }
        for (name, value) in request.headers() {
            head = head.field(name.as_str(), value.as_bytes());
        }
        head
    }
}

/// The server's response, for the other server to send.
///
/// Its `Debug` output omits the fields and the body, because they may contain secrets.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountResponse {
    /// The status code, such as 101 or 503.
    pub status: u16,
    /// The header fields. Hop-by-hop fields such as `Connection` are kept only with the status 101.
    pub fields: Vec<(String, String)>,
    /// The body. Empty with the status 101.
    pub body: Vec<u8>,
}

impl MountResponse {
    pub(super) const SWITCHING_PROTOCOLS: u16 = 101;

    /// Parses the head of a response. Returns the response without its body, and the head's length.
    ///
    /// Returns `None` if the head is incomplete or malformed.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
        let mut lines = core::str::from_utf8(bytes.get(..end)?).ok()?.split("\r\n");
        let status: u16 = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let fields = lines.filter_map(|line| line.split_once(':'));
        let is_kept = |name: &str| {
            status == Self::SWITCHING_PROTOCOLS || !HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop))
        };
        let fields = fields
            .filter(|(name, _)| is_kept(name))
            .map(|(name, value)| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
            .collect();
        Some((Self { status, fields, body: Vec::new() }, end + 4))
    }

    /// Returns the value of the first header field with this name, if any.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Converts this response to a response of the crate `http`.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn into_http<B: From<Vec<u8>>>(self) -> http::Response<B> {
        let mut response = http::Response::new(B::from(self.body));
        *response.status_mut() =
            http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::SERVICE_UNAVAILABLE);
        for (name, value) in &self.fields {
            if let (Ok(name), Ok(value)) =
                (http::HeaderName::try_from(name.as_str()), http::HeaderValue::try_from(value.as_str()))
            {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

impl fmt::Debug for MountResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Returns `true` for an HTTP token (RFC 9110 section 5.6.2).
fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_head_cannot_be_split_by_its_parts() {
        let text = |request: MountRequest| request.into_bytes().map(|head| String::from_utf8(head).expect("ASCII"));
        let get = || MountRequest::new("GET", "/chat?x=1").field("Host", "a").field("Connection", "keep-alive, x");
        assert_eq!(text(get()).as_deref(), Ok("GET /chat?x=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let upgrade = text(get().field("upgrade", "websocket")).expect("well formed");
        assert!(upgrade.ends_with("upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), "{upgrade}");
        for wrong in [
            MountRequest::new("GET /", "/"),
            MountRequest::new("", "/"),
            MountRequest::new("GET", "/ HTTP/1.1\r\nX: y"),
            MountRequest::new("GET", ""),
            get().field("X Y", "z"),
            get().field("X", "y\r\nZ: z"),
            get().field("X", [0]),
            get().field("X", vec![b'y'; HEAD_MAX_BYTES]),
        ] {
            assert!(wrong.into_bytes().is_err());
        }
    }

    #[test]
    fn response_is_parsed_without_fields_of_the_connection() {
        let text = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\r\nrest";
        let (response, length) = MountResponse::parse(text).expect("well formed");
        assert_eq!((response.status, response.fields.len(), length), (503, 1, text.len() - 4));
        assert_eq!((response.field("retry-after"), response.field("connection")), (Some("5"), None));
        let switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n";
        let (response, _) = MountResponse::parse(switching).expect("well formed");
        assert_eq!(response.field("connection"), Some("Upgrade"));
        for length in 0..text.len() - 4 {
            assert_eq!(MountResponse::parse(&text[..length]), None, "{length}");
        }
        for wrong in ["\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "bye\r\n\r\n"] {
            assert_eq!(MountResponse::parse(wrong.as_bytes()), None);
        }
    }
}
