use super::fields::Fields;
use super::framing::Framing;
use super::guarded::Guarded;
use super::status::Status;
use crate::base::{Reason, work};
use crate::wire::telnet::IAC;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use memchr::memmem;

/// Maximum size of the head of a request or response, in bytes.
pub(crate) const HEAD_MAX_BYTES: usize = 8 << 10;
/// The bytes that end a head (RFC 9112 section 2.1).
const END: &[u8] = b"\r\n\r\n";
/// The first bytes of a TLS handshake (RFC 8446 section 5.1).
const TLS: &[u8] = &[22, 3];

/// The result of parsing the first bytes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParsedHead {
    /// An incomplete request.
    Unclear,
    /// A request, and its length in bytes.
    Request(Request, usize),
    /// Input that is refused with a response, after which the connection closes.
    Bad(Bad),
    /// A TLS handshake, on a listener without TLS.
    Tls,
}

/// The refusal of a request before it is routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) status: Status,
    pub(crate) reason: Reason,
    /// The explanation for the peer and the log.
    pub(crate) why: &'static str,
    /// The request, as far as it could be parsed.
    pub(crate) request: Option<Box<Request>>,
}

impl Bad {
    const fn request(status: Status, why: &'static str) -> Self {
        Self { status, reason: Reason::BadRequest, why, request: None }
    }
}

/// An HTTP request, without its body.
///
/// Its `Debug` output omits the query and the values of fields, because they may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Whether the version is HTTP/1.1. Otherwise it is 1.0.
    pub(crate) is_1_1: bool,
    pub(super) fields: Fields,
    /// The authority of a target in absolute form. It replaces `Host`.
    authority: Option<String>,
    /// How the end of its body is found.
    pub(crate) framing: Framing,
    /// The part of the listener to which the request's credential admits it.
    pub(crate) admitted_to: Option<Guarded>,
}

impl Request {
    /// Returns the method, such as `GET`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the host and port of the request, as sent.
    ///
    /// They come from the target if it has them, otherwise from `Host` (RFC 9112 section 3.2.2).
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.authority.as_deref().or_else(|| self.fields.value("host"))
    }

    /// Returns `true` if the request was admitted to the [monitor](crate::http::Http::monitor).
    ///
    /// That means: the listener serves the monitor, the path is the monitor's, and the request has
    /// its credential or cookie.
    #[must_use]
    pub const fn opens_monitor(&self) -> bool {
        matches!(self.admitted_to, Some(Guarded::Monitor))
    }

    /// Returns `true` if the request has the key of the [API](crate::http::Http::api), and its path is below `/api/`.
    #[must_use]
    pub const fn has_api_key(&self) -> bool {
        matches!(self.admitted_to, Some(Guarded::Api))
    }

    /// Sets the part of the listener to which the request is admitted.
    pub(crate) const fn admitted_to(mut self, guarded: Option<Guarded>) -> Self {
        self.admitted_to = guarded;
        self
    }

    /// Returns the path without the query, percent-encoded as sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns the value of a query parameter, percent-encoded as sent.
    ///
    /// Returns `None` if the parameter is missing or repeated.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        let mut values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
        let first = values.next();
        first.filter(|_| values.next().is_none()).map(|(_, value)| value)
    }

    /// Returns the value of a header field, or `None` if the field is missing or repeated.
    #[must_use]
    pub fn field<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.fields.value(name)
    }

    /// Returns the values of a header field, one for each of its lines.
    pub fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.values(name)
    }

    /// Returns `true` if the request asks for the upgrade to WebSocket.
    pub(crate) fn asks_for_upgrade(&self) -> bool {
        // The field is ignored in HTTP/1.0 (RFC 9110 section 7.8).
        self.is_1_1 && self.fields.has_token("upgrade", "websocket")
    }

    /// Returns `true` if the response has no body.
    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Returns `true` if the request has a body that is not empty, or may have one.
    pub(crate) fn has_body(&self) -> bool {
        self.framing != Framing::Empty
    }

    /// Returns `true` if the client waits for `100 Continue` before it sends the body.
    pub(crate) fn expects_continue(&self) -> bool {
        self.is_1_1 && self.has_body() && self.fields.values("expect").next().is_some()
    }

    /// Returns `true` if the connection stays open for another request (RFC 9112 section 9.3).
    pub(crate) fn keeps_alive(&self) -> bool {
        self.is_1_1 && !self.fields.has_token("connection", "close")
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.fields.names().collect::<Vec<_>>();
        let Self { method, .. } = self;
        f.debug_struct("Request")
            .field("method", method)
            .field("path", &self.path())
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}

/// Progress of the search for a head, so that input in small pieces is searched only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadSearch {
    /// Number of bytes that were already searched.
    ///
    /// The next search begins three bytes earlier, because the end of the head may be split.
    pub(crate) searched: usize,
    /// Number of interim responses so far.
    pub(super) interim: u8,
}

impl HeadSearch {
    pub(crate) const START: Self = Self { searched: 0, interim: 0 };
}

/// Parses the request at the front of `held`. Its body may have `body_max` bytes; with 0, none.
///
/// Between calls with the same `search`, `held` may only grow.
pub(crate) fn parse_head(held: &[u8], search: &mut HeadSearch, body_max: u32) -> ParsedHead {
    // Empty lines before a request are skipped (RFC 9112 section 2.2).
    let start = held.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count().min(4);
    let held = &held[start..];
    if held.starts_with(TLS) {
        return ParsedHead::Tls;
    }
    if held.first() == Some(&IAC) || held.starts_with(b"SSH-") || held.starts_with(b"PRI * HTTP/2.0\r\n") {
        let why = "only HTTP/1.1 and WebSocket are supported";
        return ParsedHead::Bad(Bad { reason: Reason::WrongProtocol, ..Bad::request(Status::BAD_REQUEST, why) });
    }
    let end = match find_head(held, search) {
        Head::Whole(end) => end,
        Head::Unclear => return ParsedHead::Unclear,
        Head::BareControls => {
            return ParsedHead::Bad(Bad::request(Status::BAD_REQUEST, "the head contains a bare CR or LF, or a NUL"));
        }
        Head::TooLong => {
            return ParsedHead::Bad(Bad::request(Status::FIELDS_TOO_LARGE, "the head is longer than 8 KiB"));
        }
    };
    match parse(&held[..end], body_max) {
        Ok(request) => ParsedHead::Request(request, start + end),
        Err(bad) => ParsedHead::Bad(bad),
    }
}

/// The result of searching for the head of a request or a response.
pub(crate) enum Head {
    /// The head is incomplete.
    Unclear,
    /// The head is complete and has this many bytes.
    Whole(usize),
    /// The head contains a bare CR, a bare LF or a NUL.
    BareControls,
    /// The head is longer than the limit.
    TooLong,
}

pub(crate) fn find_head(held: &[u8], search: &mut HeadSearch) -> Head {
    let seen = &held[..held.len().min(HEAD_MAX_BYTES)];
    // The end of the head, or a CR LF, may have begun in bytes that were searched before.
    let searched = core::mem::take(&mut search.searched).min(seen.len());
    let from = searched.saturating_sub(END.len() - 1);
    let end = memmem::find(&seen[from..], END).map(|at| from + at + END.len());
    work::step(2 * (end.unwrap_or(seen.len()) - from));
    match end {
        _ if has_bare_controls(&seen[..end.unwrap_or(seen.len())], from) => Head::BareControls,
        Some(end) => Head::Whole(end),
        None if held.len() >= HEAD_MAX_BYTES => Head::TooLong,
        None => {
            search.searched = seen.len();
            Head::Unclear
        }
    }
}

/// Returns `true` if `head` has a bare CR, a bare LF or a NUL at or after `from`.
///
/// Some parsers treat these bytes as line ends, others do not.
fn has_bare_controls(head: &[u8], from: usize) -> bool {
    head.iter().enumerate().skip(from).any(|(at, byte)| match byte {
        0 => true,
        b'\n' => at == 0 || head[at - 1] != b'\r',
        b'\r' => head.get(at + 1).is_some_and(|next| *next != b'\n'),
        _ => false,
    })
}

fn parse(head: &[u8], body_max: u32) -> Result<Request, Bad> {
    work::step(Fields::MAX + head.len());
    let mut fields = [httparse::EMPTY_HEADER; Fields::MAX];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Bad::request(Status::FIELDS_TOO_LARGE, "there are more than 64 header fields"));
        }
        Err(httparse::Error::Version) => {
            return Err(Bad::request(Status::VERSION_NOT_SUPPORTED, "only HTTP/1.1 and 1.0 are supported"));
        }
        _ => return Err(Bad::request(Status::BAD_REQUEST, "the head is malformed")),
    }
    let (authority, target) = parts(parsed.path.unwrap_or_default());
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_string(),
        target,
        is_1_1: parsed.version == Some(1),
        fields: Fields::of(parsed.headers),
        authority,
        framing: Framing::Empty,
        admitted_to: None,
    };
    match check(&request, body_max) {
        Ok(framing) => {
            request.framing = framing;
            Ok(request)
        }
        Err((status, why)) => Err(Bad { request: Some(Box::new(request)), ..Bad::request(status, why) }),
    }
}

/// Splits a target in absolute form into authority and path (RFC 9112 section 3.2.2).
///
/// Other targets have no authority.
fn parts(target: &str) -> (Option<String>, String) {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        target.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|_| &target[scheme.len()..])
    });
    let Some(rest) = rest else { return (None, target.to_string()) };
    let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if behind.starts_with('/') { "" } else { "/" };
    (Some(authority.to_string()), format!("{slash}{behind}"))
}

/// Checks the fields that decide how a request is understood. Returns the framing of its body.
fn check(request: &Request, body_max: u32) -> Result<Framing, (Status, &'static str)> {
    let bad = |why| Err((Status::BAD_REQUEST, why));
    let hosts = request.fields.values("host").count();
    if hosts > 1 {
        return bad("there is more than one Host field");
    }
    if hosts == 0 && request.is_1_1 {
        return bad("there is no Host field");
    }
    let framing = Framing::of(&request.fields, request.is_1_1, body_max)?;
    let host = request.fields.value("host").unwrap_or_default();
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:[]".contains(c);
    if !host.chars().all(is_host) {
        return bad("Host is not a valid host and port");
    }
    if request.authority.as_ref().is_some_and(|authority| authority.is_empty() || !authority.chars().all(is_host)) {
        return bad("the target has no valid host and port");
    }
    let is_of_all = request.method == "OPTIONS" && request.target == "*";
    if !is_of_all && !request.target.starts_with('/') {
        return bad("the target is not a path");
    }
    // The field has no meaning in HTTP/1.0 (RFC 9110 section 10.1.1).
    let mut expected = request.fields.values("expect");
    if body_max > 0 && request.is_1_1 && expected.any(|value| !value.eq_ignore_ascii_case("100-continue")) {
        return Err((Status::EXPECTATION_FAILED, "the only supported expectation is 100-continue"));
    }
    Ok(framing)
}
