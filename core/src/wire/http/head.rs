use super::answer::Status;
use crate::telnet::IAC;
use crate::{Reason, work};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use memchr::memmem;

/// A head is at most so long.
const HEAD_MAX_BYTES: usize = 8 << 10;
/// What ends a head (RFC 9112 section 2.1).
const END: &[u8] = b"\r\n\r\n";
/// The first bytes of a TLS handshake (RFC 8446 section 5.1).
const TLS: &[u8] = &[22, 3];

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The beginning of a request.
    Unclear,
    /// A request, in so many bytes.
    Request(Request, usize),
    /// Nothing that is served: to be answered so, and closed for this reason.
    Bad(Status, Reason),
    /// TLS, where none is spoken.
    Tls,
}

/// A request without a body. What it shows of itself (`Debug`) is without what may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// HTTP/1.1 and not 1.0.
    pub(super) is_1_1: bool,
    pub(super) fields: Fields,
}

impl Request {
    /// The path, without what a `?` begins, and encoded as it came.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a parameter in the query, encoded as it came; `None` if it is missing or stands more than once.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        let mut values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
        let first = values.next();
        first.filter(|_| values.next().is_none()).map(|(_, value)| value)
    }

    /// The value of a header field; `None` if it is missing or stands more than once.
    #[must_use]
    pub fn field<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.fields.value(name)
    }

    /// Whether it asks for WebSocket.
    pub(crate) fn asks_for_upgrade(&self) -> bool {
        super::upgrade::is_wanted(self)
    }

    /// Whether another request may follow (RFC 9112 section 9.3).
    pub(super) fn keeps_alive(&self) -> bool {
        self.is_1_1 && !self.fields.has_token("connection", "close")
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.fields.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        let Self { method, .. } = self;
        f.debug_struct("Request")
            .field("method", method)
            .field("path", &self.path())
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}

/// Header fields, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// At most so many are read.
    pub(super) const MAX: usize = 64;

    pub(super) fn of(parsed: &[httparse::Header<'_>]) -> Self {
        let blank = |c| c == ' ' || c == '\t';
        // What is looked at is ASCII; what others put into their fields need not be.
        let text = |value: &[u8]| String::from_utf8_lossy(value).trim_matches(blank).to_string();
        Self(parsed.iter().map(|field| (field.name.to_string(), text(field.value))).collect())
    }

    /// The values of a field, in order.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The value of a field that stands once; `None` if it is missing or stands more often.
    pub(super) fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.values(name);
        let first = values.next();
        first.filter(|_| values.next().is_none())
    }

    /// Whether a list in a field has a token, in any case (RFC 9110 section 5.6.1).
    pub(super) fn has_token<'a>(&'a self, name: &'a str, token: &'a str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|member| member.trim().eq_ignore_ascii_case(token))
    }
}

/// How far the front of a stream has been looked at, so that what comes byte by byte is looked at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadSearch {
    /// The end of the head does not begin in so many bytes, but for their last.
    pub(crate) searched: usize,
    /// Responses that were not final.
    pub(super) interim: u8,
}

/// Looks for a request at the front of `held`, which has only grown since `search` was used the last time.
pub(crate) fn look(held: &[u8], search: &mut HeadSearch) -> Look {
    // An empty line before a request is passed over (RFC 9112 section 2.2).
    let start = held.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count().min(4);
    let held = &held[start..];
    if held.starts_with(TLS) {
        return Look::Tls;
    }
    if held.first() == Some(&IAC) || held.starts_with(b"SSH-") || held.starts_with(b"PRI * HTTP/2.0\r\n") {
        return Look::Bad(Status::BAD_REQUEST, Reason::WrongProtocol);
    }
    let end = match find_head(held, search) {
        Head::Whole(end) => end,
        Head::Unclear => return Look::Unclear,
        Head::BareControls => return Look::Bad(Status::BAD_REQUEST, Reason::BadRequest),
        Head::TooLong => return Look::Bad(Status::FIELDS_TOO_LARGE, Reason::BadRequest),
    };
    match parse(&held[..end]) {
        Ok(request) => Look::Request(request, start + end),
        Err(status) => Look::Bad(status, Reason::BadRequest),
    }
}

/// What the front of a stream is as the head of a request or a response.
pub(super) enum Head {
    /// Not all of it is there.
    Unclear,
    /// It has so many bytes.
    Whole(usize),
    /// Lines that end in a way that readers differ about.
    BareControls,
    /// It is longer than is read.
    TooLong,
}

pub(super) fn find_head(held: &[u8], search: &mut HeadSearch) -> Head {
    let seen = &held[..held.len().min(HEAD_MAX_BYTES)];
    // What ends a head, or follows a CR, may have begun before.
    let searched = core::mem::take(&mut search.searched).min(seen.len());
    let from = searched.saturating_sub(END.len() - 1);
    work::step(2 * (seen.len() - from));
    let end = memmem::find(&seen[from..], END).map(|at| from + at + END.len());
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

/// A CR or an LF alone, or a NUL, from a place on: some readers would see a line's end where others do not.
fn has_bare_controls(head: &[u8], from: usize) -> bool {
    head.iter().enumerate().skip(from).any(|(at, byte)| match byte {
        0 => true,
        b'\n' => at == 0 || head[at - 1] != b'\r',
        b'\r' => head.get(at + 1).is_some_and(|next| *next != b'\n'),
        _ => false,
    })
}

fn parse(head: &[u8]) -> Result<Request, Status> {
    work::step(Fields::MAX + head.len());
    let mut fields = [httparse::EMPTY_HEADER; Fields::MAX];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Status::FIELDS_TOO_LARGE),
        Err(httparse::Error::Version) => return Err(Status::VERSION_NOT_SUPPORTED),
        _ => return Err(Status::BAD_REQUEST),
    }
    let request = Request {
        method: parsed.method.unwrap_or_default().to_string(),
        target: origin_form(parsed.path.unwrap_or_default()).to_string(),
        is_1_1: parsed.version == Some(1),
        fields: Fields::of(parsed.headers),
    };
    check(&request)?;
    Ok(request)
}

/// A target without scheme and authority, which a client may put before it (RFC 9112 section 3.2.2).
fn origin_form(target: &str) -> &str {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        target.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|_| &target[scheme.len()..])
    });
    match rest {
        Some(rest) => rest.find('/').map_or("/", |path| &rest[path..]),
        None => target,
    }
}

fn check(request: &Request) -> Result<(), Status> {
    let hosts = request.fields.values("host").count();
    if hosts > 1 || hosts == 0 && request.is_1_1 {
        return Err(Status::BAD_REQUEST);
    }
    let encoded = request.fields.values("transfer-encoding").next().is_some();
    let mut lengths = request.fields.values("content-length").peekable();
    if encoded && lengths.peek().is_some() {
        return Err(Status::BAD_REQUEST);
    }
    if encoded {
        return Err(Status::NOT_IMPLEMENTED);
    }
    for length in lengths {
        match length {
            "0" => {}
            length if !length.is_empty() && length.bytes().all(|digit| digit.is_ascii_digit()) => {
                return Err(Status::CONTENT_TOO_LARGE);
            }
            _ => return Err(Status::BAD_REQUEST),
        }
    }
    let host = request.fields.value("host").unwrap_or_default();
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:[]".contains(c);
    if !host.chars().all(is_host) || !request.target.starts_with('/') {
        return Err(Status::BAD_REQUEST);
    }
    Ok(())
}
