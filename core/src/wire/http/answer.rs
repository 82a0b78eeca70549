use super::access::{COOKIE_NAME, Shown};
use super::head::Request;
use super::{Access, Http, upgrade};
use crate::metrics::TunnelMetrics;
use crate::websocket::{Role, WebSocket};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

/// The status of a response (RFC 9110 section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u16, &'static str);

impl Status {
    const OK: Self = Self(200, "OK");
    pub(super) const BAD_REQUEST: Self = Self(400, "Bad Request");
    const UNAUTHORIZED: Self = Self(401, "Unauthorized");
    pub(crate) const FORBIDDEN: Self = Self(403, "Forbidden");
    pub(super) const NOT_FOUND: Self = Self(404, "Not Found");
    const METHOD_NOT_ALLOWED: Self = Self(405, "Method Not Allowed");
    pub(crate) const REQUEST_TIMEOUT: Self = Self(408, "Request Timeout");
    pub(super) const CONTENT_TOO_LARGE: Self = Self(413, "Content Too Large");
    const MISDIRECTED: Self = Self(421, "Misdirected Request");
    pub(crate) const TOO_MANY_REQUESTS: Self = Self(429, "Too Many Requests");
    pub(super) const UPGRADE_REQUIRED: Self = Self(426, "Upgrade Required");
    pub(super) const FIELDS_TOO_LARGE: Self = Self(431, "Request Header Fields Too Large");
    pub(super) const NOT_IMPLEMENTED: Self = Self(501, "Not Implemented");
    pub(crate) const UNAVAILABLE: Self = Self(503, "Service Unavailable");
    pub(super) const VERSION_NOT_SUPPORTED: Self = Self(505, "HTTP Version Not Supported");

    /// A response that says no more than this, and is the last one; without the body to a HEAD.
    pub(crate) fn last_words(self, is_head: bool) -> Vec<u8> {
        self.last_words_until(is_head, None)
    }

    /// The same, and when to come back.
    pub(crate) fn last_words_until(self, is_head: bool, retry_after: Option<Duration>) -> Vec<u8> {
        Response { retry_after, ..Response::text(self, &format!("{}\n", self.1)) }.bytes(is_head, false)
    }
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// These bytes, and another request may follow.
    More(Vec<u8>),
    /// These bytes, and the end.
    Last(Vec<u8>),
    /// These bytes, and the end: a wrong credential was shown.
    Unauthorized(Vec<u8>),
    /// These bytes, and WebSocket from there on.
    Upgraded(Vec<u8>, WebSocket),
}

const PAGE: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/drupe.js");
const MONITOR_PAGE: &str = include_str!("page/monitor.html");
const MONITOR_SCRIPT: &str = include_str!("page/monitor.js");
const MONITOR_STYLE: &str = include_str!("page/monitor.css");
/// Where the monitor is.
pub(crate) const MONITOR_PATH: &str = "/monitor";
const ICON: &str = include_str!("page/drupe.svg");
const STYLE: &str = include_str!("page/drupe.css");
/// Nothing but what this server serves runs, is shown or is connected to.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What an answer depends on beside the request.
pub(crate) struct Site<'a, M, T> {
    pub(crate) http: &'a Http,
    /// The server is shutting down, and says when to come back.
    pub(crate) drains: bool,
    pub(crate) retry_after: Option<Duration>,
    /// What nobody outside knows.
    pub(crate) seed: u64,
    pub(crate) has_tls: bool,
    /// Whoever asks has shown wrong credentials too often.
    pub(crate) is_throttled: bool,
    /// Asked only if they are asked for.
    pub(crate) metrics: M,
    pub(crate) tunnels: T,
}

/// Answers a request.
pub(crate) fn answer<M, T>(request: &Request, site: Site<'_, M, T>) -> Answer
where
    M: FnOnce() -> String,
    T: FnOnce() -> Vec<TunnelMetrics>,
{
    let Site { http, drains, retry_after, seed, has_tls, is_throttled, metrics, tunnels } = site;
    let is_head = request.method == "HEAD";
    if !is_known_host(request, &http.hosts) {
        return Answer::Last(Status::MISDIRECTED.last_words(is_head));
    }
    let is_monitor = http.monitor.is_some() && request.path() == MONITOR_PATH;
    let needs_credential = is_monitor || http.metrics == Access::Credential && request.path() == "/metrics";
    let shown = http.monitor.as_ref().map_or(Shown::Nothing, |credential| credential.check(request, seed));
    if needs_credential && is_throttled && shown != Shown::Cookie && shown != Shown::Nothing {
        return Answer::Last(Status::TOO_MANY_REQUESTS.last_words(is_head));
    }
    if needs_credential && !matches!(shown, Shown::Good | Shown::Cookie) {
        let bytes = Response::text(Status::UNAUTHORIZED, "a credential is needed\n").bytes(is_head, false);
        return if shown == Shown::Wrong { Answer::Unauthorized(bytes) } else { Answer::Last(bytes) };
    }
    if upgrade::is_wanted(request) {
        return match upgrade::check(request, http, is_monitor) {
            Ok(upgrade) => {
                let deflate = upgrade.deflate.as_ref().map(|&(deflate, _)| deflate);
                Answer::Upgraded(switching(&upgrade), WebSocket { role: Role::Server, deflate, ping: http.ping })
            }
            Err(status) => Answer::Last(status.last_words(is_head)),
        };
    }
    let mut response = match request.path() {
        _ if request.method != "GET" && !is_head => Response::text(Status::METHOD_NOT_ALLOWED, "only GET and HEAD\n"),
        "/" if http.page => Response { body: page(http), ..Response::of("text/html; charset=utf-8") },
        "/drupe.js" if http.page => {
            Response { body: SCRIPT.to_string(), ..Response::of("text/javascript; charset=utf-8") }
        }
        "/drupe.css" => Response { body: STYLE.to_string(), ..Response::of("text/css; charset=utf-8") },
        "/drupe.svg" => Response { body: ICON.to_string(), ..Response::of("image/svg+xml") },
        "/healthz" => Response::text(Status::OK, "ok\n"),
        "/readyz" if drains => Response { retry_after, ..Response::text(Status::UNAVAILABLE, "draining\n") },
        "/readyz" => {
            let line = |tunnel: TunnelMetrics| format!("tunnel {}: {}\n", tunnel.name, tunnel.state_name());
            let lines: String = tunnels().into_iter().map(line).collect();
            Response::text(Status::OK, &format!("ready\n{lines}"))
        }
        "/metrics" if http.metrics != Access::Off => {
            Response { body: metrics(), ..Response::of("text/plain; version=0.0.4; charset=utf-8") }
        }
        MONITOR_PATH if is_monitor => {
            Response { body: MONITOR_PAGE.to_string(), ..Response::of("text/html; charset=utf-8") }
        }
        "/monitor.js" if http.monitor.is_some() => {
            Response { body: MONITOR_SCRIPT.to_string(), ..Response::of("text/javascript; charset=utf-8") }
        }
        "/monitor.css" if http.monitor.is_some() => {
            Response { body: MONITOR_STYLE.to_string(), ..Response::of("text/css; charset=utf-8") }
        }
        path if http.path.as_deref() == Some(path) => {
            return Answer::Last(Status::UPGRADE_REQUIRED.last_words(is_head));
        }
        _ => Response::text(Status::NOT_FOUND, "there is nothing here\n"),
    };
    if let (true, Some(credential)) = (is_monitor, &http.monitor) {
        let secure = if has_tls { "; Secure" } else { "" };
        let cookie = credential.cookie(seed);
        response.cookie =
            Some(format!("{COOKIE_NAME}={cookie}; Path={MONITOR_PATH}; HttpOnly; SameSite=Strict{secure}"));
    }
    let keeps_alive = request.keeps_alive();
    let bytes = response.bytes(is_head, keeps_alive);
    if keeps_alive { Answer::More(bytes) } else { Answer::Last(bytes) }
}

/// Whether a request is for one of these hosts; without any, for all.
fn is_known_host(request: &Request, hosts: &[String]) -> bool {
    let asked = request.fields.value("host").unwrap_or_default();
    let end_of_host = asked.rfind(']').map_or(0, |bracket| bracket + 1);
    let name = asked[end_of_host..].find(':').map_or(asked, |colon| &asked[..end_of_host + colon]);
    let fits = |host: &String| host.eq_ignore_ascii_case(asked) || host.eq_ignore_ascii_case(name);
    hosts.is_empty() || hosts.iter().any(fits)
}

/// The page, which is told where to connect to.
fn page(http: &Http) -> String {
    let mut path = String::new();
    for c in http.path.as_deref().unwrap_or("/").chars() {
        match c {
            '&' => path.push_str("&amp;"),
            '"' => path.push_str("&quot;"),
            '<' => path.push_str("&lt;"),
            c => path.push(c),
        }
    }
    PAGE.replace("%PATH%", &path)
}

fn switching(upgrade: &upgrade::Upgrade) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        upgrade.accept
    );
    if let Some(subprotocol) = &upgrade.subprotocol {
        let _ = write!(head, "Sec-WebSocket-Protocol: {subprotocol}\r\n");
    }
    if let Some((_, answer)) = &upgrade.deflate {
        let _ = write!(head, "Sec-WebSocket-Extensions: {answer}\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

struct Response {
    status: Status,
    content_type: &'static str,
    body: String,
    retry_after: Option<Duration>,
    cookie: Option<String>,
}

impl Response {
    const fn of(content_type: &'static str) -> Self {
        Self { status: Status::OK, content_type, body: String::new(), retry_after: None, cookie: None }
    }

    fn text(status: Status, words: &str) -> Self {
        Self { status, body: words.to_string(), ..Self::of("text/plain; charset=utf-8") }
    }

    fn bytes(&self, is_head: bool, keeps_alive: bool) -> Vec<u8> {
        let Status(code, phrase) = self.status;
        let mut head = format!(
            "HTTP/1.1 {code} {phrase}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-cache\r\n\
             Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n",
            self.content_type,
            self.body.len(),
        );
        if self.status == Status::METHOD_NOT_ALLOWED {
            head.push_str("Allow: GET, HEAD\r\n");
        }
        if self.status == Status::UNAUTHORIZED {
            head.push_str("WWW-Authenticate: Basic realm=\"drupe\", charset=\"UTF-8\"\r\n");
        }
        if let Some(after) = self.retry_after {
            let _ = write!(head, "Retry-After: {}\r\n", crate::seconds_up(after));
        }
        if let Some(cookie) = &self.cookie {
            let _ = write!(head, "Set-Cookie: {cookie}\r\n");
        }
        // Which version of WebSocket is spoken (RFC 6455 section 4.4).
        let asks_for_upgrade = self.status == Status::UPGRADE_REQUIRED;
        if asks_for_upgrade {
            head.push_str("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        }
        head.push_str(match (asks_for_upgrade, keeps_alive) {
            (true, _) => "Connection: Upgrade, close\r\n\r\n",
            (false, true) => "Connection: keep-alive\r\n\r\n",
            (false, false) => "Connection: close\r\n\r\n",
        });
        if !is_head {
            head.push_str(&self.body);
        }
        head.into_bytes()
    }
}
