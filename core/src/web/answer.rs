use super::response::Response;
use crate::base::Reason;
use crate::config::{PageLogin, PageOptions};
use crate::metrics::{ClusterMetrics, TunnelMetrics};
use crate::wire::http::{
    Access, Authority, COOKIE_NAME, File, Files, Found, Guarded, Http, HttpResponse, MONITOR_PATH, Refused, Request,
    Scheme, Shown, Status, upgrade,
};
use crate::wire::websocket::{Role, WebSocket};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

/// The answer to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// Whether the connection closes after this answer.
    pub(crate) is_last: bool,
    pub(crate) outcome: Outcome,
}

/// The result of an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Served(Endpoint),
    Refused(Refused),
    /// The connection becomes a WebSocket of the monitor or the application.
    Upgraded {
        socket: WebSocket,
        is_monitor: bool,
    },
}

/// The kind of endpoint that served a request, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Health,
    Metrics,
    /// Pages, files, responses of the application, and requests for a missing credential.
    Page,
}

impl Refused {
    fn answer(self, request: &Request, is_last: bool) -> Answer {
        self.answer_with(&self.response(), request.is_head(), is_last)
    }

    /// Returns the answer to a request that the handler has not responded to.
    pub(crate) fn answer_for_handler(self, is_head: bool, keeps_alive: bool) -> Answer {
        self.answer_with(&self.response(), is_head, !keeps_alive)
    }

    fn response(self) -> Response<'static> {
        Response::text(self.status, &format!("{}\n", self.why))
    }

    fn answer_with(self, response: &Response<'_>, is_head: bool, is_last: bool) -> Answer {
        let bytes = response.bytes(is_head, !is_last);
        Answer { bytes, is_last, outcome: Outcome::Refused(self) }
    }
}

impl Answer {
    /// Returns the refusal with which the handler is asked, if nothing else serves the request.
    pub(crate) fn unserved(&self, request: &Request) -> Option<Refused> {
        let unserved = [Status::NOT_FOUND, Status::METHOD_NOT_ALLOWED];
        match self.outcome {
            Outcome::Refused(refused) if unserved.contains(&refused.status) && !request.asks_for_upgrade() => {
                Some(refused)
            }
            _ => None,
        }
    }
}

const PAGE: &str = include_str!("page/index.html");
/// The parts of the client page. They are one script, because each uses what others declare.
const SCRIPT: &str = concat!(
    include_str!("page/chat/lines.js"),
    include_str!("page/chat/unread.js"),
    include_str!("page/chat/chosen.js"),
    include_str!("page/chat/outage.js"),
    include_str!("page/chat/people.js"),
    include_str!("page/chat/chat.js"),
    include_str!("page/chat/connection.js"),
    include_str!("page/chat/input.js"),
);
const LOGIN_SCRIPT: &str = include_str!("page/login.js");
const SCRAM_SCRIPT: &str = include_str!("page/scram.js");
const MONITOR_PAGE: &str = include_str!("page/monitor.html");
const MONITOR_SCRIPT: &str = concat!(
    include_str!("page/monitor/text.js"),
    include_str!("page/monitor/dialog.js"),
    include_str!("page/monitor/lines.js"),
    include_str!("page/monitor/charts.js"),
    include_str!("page/monitor/history.js"),
    include_str!("page/monitor/tiles.js"),
    include_str!("page/monitor/hosts.js"),
    include_str!("page/monitor/tunnels.js"),
    include_str!("page/monitor/stats.js"),
    include_str!("page/monitor/table.js"),
    include_str!("page/monitor/watching.js"),
    include_str!("page/monitor/quarantine.js"),
    include_str!("page/monitor/recent.js"),
    include_str!("page/monitor/messages.js"),
    include_str!("page/monitor/connection.js"),
    include_str!("page/monitor/actions.js"),
);
const MONITOR_STYLE: &str = include_str!("page/monitor.css");
const METRICS_PATH: &str = "/metrics";
const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const ICON: &str = include_str!("page/drupe.svg");
const STYLE: &str = include_str!("page/drupe.css");

/// The configuration and state on which an answer depends, besides the request.
pub(crate) struct Site<'a, M, T> {
    pub(crate) http: &'a Http,
    pub(crate) pages: &'a PageOptions,
    /// How the client page logs its user in on this connection.
    pub(crate) login: PageLogin,
    /// Whether the server is shutting down.
    pub(crate) drains: bool,
    /// The time after which a client should retry while the server is shutting down.
    pub(crate) retry_after: Option<Duration>,
    /// The secret from which, with the credential, the monitor's cookie is derived.
    pub(crate) seed: u64,
    /// The scheme of the request, if known.
    pub(crate) scheme: Option<Scheme>,
    /// Whether the client has sent wrong credentials too often.
    pub(crate) is_throttled: bool,
    /// A function that returns the metrics as text, called only for `/metrics`.
    pub(crate) metrics: M,
    /// A function that returns what the health depends on, called only for `/readyz`.
    pub(crate) health: T,
}

/// What the health of the server depends on.
pub(crate) struct Health {
    pub(crate) tunnels: Vec<TunnelMetrics>,
    /// The link to the broker of shared rooms, if there is a cluster.
    pub(crate) cluster: Option<ClusterMetrics>,
}

/// Returns the answer to an HTTP request: a response or an upgrade.
pub(crate) fn answer<M, T>(request: &Request, site: Site<'_, M, T>) -> Answer
where
    M: FnOnce() -> String,
    T: FnOnce() -> Health,
{
    let guarded = site.http.guards(request.path());
    let is_monitor = guarded == Some(Guarded::Monitor);
    if let Err(refused) = may_ask(request, site.http, site.scheme) {
        return refused.answer(request, true);
    }
    if let Err(answer) = may_look(request, guarded, &site) {
        return answer;
    }
    if request.asks_for_upgrade() && request.has_body() {
        return BODY.answer(request, true);
    }
    if request.asks_for_upgrade() {
        return match upgrade::check(request, site.http, is_monitor, site.scheme) {
            Ok(upgrade) => {
                let deflate = upgrade.deflate.as_ref().map(|&(deflate, _)| deflate);
                let socket = WebSocket { role: Role::Server, deflate, ping: site.http.ping };
                let outcome = Outcome::Upgraded { socket, is_monitor };
                Answer { bytes: switching(&upgrade), is_last: false, outcome }
            }
            Err(refused) => refused.answer(request, true),
        };
    }
    // The next request would begin within a body that nobody reads (RFC 9112 section 9.6).
    let keeps_alive = request.keeps_alive() && !request.has_body();
    match serve(request, is_monitor, site) {
        Ok(_) if request.has_body() => BODY.answer(request, true),
        Ok((response, endpoint)) => Answer {
            bytes: response.bytes(request.is_head(), keeps_alive),
            is_last: !keeps_alive,
            outcome: Outcome::Served(endpoint),
        },
        // A client that must upgrade needs a new connection.
        Err(refused) => refused.answer(request, !keeps_alive || refused.status == Status::UPGRADE_REQUIRED),
    }
}

/// Checks that the host of a request is an accepted one, if accepted hosts are configured.
///
/// Health checks are exempt, because a load balancer may know only the address of the server.
fn may_ask(request: &Request, http: &Http, scheme: Option<Scheme>) -> Result<(), Refused> {
    let is_check = matches!(request.path(), "/healthz" | "/readyz") || request.method == "OPTIONS";
    if http.hosts.is_empty() || is_check && !request.asks_for_upgrade() {
        return Ok(());
    }
    let asked = request.host().and_then(|host| Authority::parse(host).ok());
    if asked.is_some_and(|asked| http.hosts.iter().any(|host| host.is_asked_by(&asked, scheme))) {
        return Ok(());
    }
    let why = "the name in Host is not a name of this server (websocket.hosts)";
    Err(Refused::new(Status::MISDIRECTED, Reason::HostRefused, why))
}

/// Checks the credentials for the requested endpoint.
fn may_look<M, T>(request: &Request, guarded: Option<Guarded>, site: &Site<'_, M, T>) -> Result<(), Answer> {
    let needed = match (guarded, &site.http.metrics) {
        (Some(Guarded::Monitor), _) => site.http.monitor.as_ref(),
        (Some(Guarded::Api), _) => site.http.api.as_ref(),
        (None, Access::Credential(credential)) if request.path() == METRICS_PATH => Some(credential),
        (None, _) => None,
    };
    let Some(credential) = needed else { return Ok(()) };
    let is_api = guarded == Some(Guarded::Api);
    if guarded == Some(Guarded::Monitor) && credential.is_in_cookie(request, site.seed) {
        return Ok(());
    }
    let shown = if is_api { credential.check_key(request) } else { credential.check(request) };
    if shown != Shown::Nothing && site.is_throttled {
        let refused = Refused::new(Status::TOO_MANY_REQUESTS, Reason::RateLimited, "too many wrong credentials");
        return Err(refused.answer(request, true));
    }
    let refused = Refused::new(Status::UNAUTHORIZED, Reason::Unauthorized, "a credential is required");
    // Browsers must not ask for the key of an API.
    let response = Response { title: &site.pages.title, is_stored: !is_api, ..refused.response() };
    let answer = refused.answer_with(&response, request.is_head(), true);
    match shown {
        Shown::Good => Ok(()),
        Shown::Wrong => Err(answer),
        // A browser sends no credentials before it asks its user.
        Shown::Nothing => Err(Answer { outcome: Outcome::Served(Endpoint::Page), ..answer }),
    }
}

/// Returns the answer with the application's response to a request that nothing else serves.
pub(crate) fn answer_of(is_head: bool, keeps_alive: bool, response: &HttpResponse, pages: &PageOptions) -> Answer {
    let status = Status::of(response.status);
    let body = Cow::Borrowed(response.body.as_slice());
    let title = &pages.title;
    // It may depend on who asks.
    let response = Response { status, body, title, is_stored: false, ..Response::of(&response.content_type) };
    Answer {
        bytes: response.bytes(is_head, keeps_alive),
        is_last: !keeps_alive,
        outcome: Outcome::Served(Endpoint::Page),
    }
}

/// Returns the response to a request without upgrade.
fn serve<'a, M, T>(
    request: &Request,
    is_monitor: bool,
    site: Site<'a, M, T>,
) -> Result<(Response<'a>, Endpoint), Refused>
where
    M: FnOnce() -> String,
    T: FnOnce() -> Health,
{
    let Site { http, pages, login, drains, retry_after, seed, scheme, metrics, health, .. } = site;
    let draining = || Response { retry_after, ..Response::text(Status::UNAVAILABLE, "draining\n") };
    let file =
        |content_type, body: &'static str| Response { body: body.as_bytes().into(), ..Response::of(content_type) };
    let written =
        |content_type, body: String| Response { body: body.into_bytes().into(), ..Response::of(content_type) };
    let response = match (request.method.as_str(), request.path()) {
        ("OPTIONS", _) | ("GET" | "HEAD", "/readyz") if drains => return Ok((draining(), Endpoint::Health)),
        ("OPTIONS", _) => {
            return Ok((Response { allows: true, ..Response::text(Status::OK, "ok\n") }, Endpoint::Health));
        }
        ("GET" | "HEAD", "/healthz") => return Ok((Response::text(Status::OK, "ok\n"), Endpoint::Health)),
        ("GET" | "HEAD", "/readyz") => {
            return Ok((readiness(&health()), Endpoint::Health));
        }
        ("GET" | "HEAD", METRICS_PATH) if http.metrics != Access::Off => {
            let response = written("text/plain; version=0.0.4; charset=utf-8", metrics());
            return Ok((response, Endpoint::Metrics));
        }
        ("GET" | "HEAD", path) if is_for_files(path, http, login) => match serve_file(request, http)? {
            Some(response) => response,
            None => return Err(NOTHING),
        },
        ("GET" | "HEAD", path) => match path {
            "/" if http.page => written(HTML, page(http, &pages.title, login)),
            "/drupe.js" if http.page => file(JAVASCRIPT, SCRIPT),
            "/login.js" if has_login(http, login) => file(JAVASCRIPT, LOGIN_SCRIPT),
            "/scram.js" if has_login(http, login) => file(JAVASCRIPT, SCRAM_SCRIPT),
            "/drupe.css" => file("text/css; charset=utf-8", STYLE),
            "/drupe.svg" => file("image/svg+xml", ICON),
            MONITOR_PATH if is_monitor => {
                let page = MONITOR_PAGE.replace("%TITLE%", &escaped(&pages.title));
                Response { cookie: monitor_cookie(http, seed, scheme), ..written(HTML, page) }
            }
            "/monitor.js" if http.monitor.is_some() => file(JAVASCRIPT, MONITOR_SCRIPT),
            "/monitor.css" if http.monitor.is_some() => file("text/css; charset=utf-8", MONITOR_STYLE),
            path if http.path.as_deref() == Some(path) => {
                let why = "this path is a WebSocket and needs an upgrade request";
                return Err(Refused::new(Status::UPGRADE_REQUIRED, Reason::BadRequest, why));
            }
            _ => return Err(NOTHING),
        },
        _ => return Err(Refused::new(Status::METHOD_NOT_ALLOWED, Reason::BadRequest, "use GET, HEAD or OPTIONS")),
    };
    Ok((response, Endpoint::Page))
}

/// Returns the response to `/readyz` of a server that does not drain.
fn readiness(health: &Health) -> Response<'static> {
    let is_ready = health.cluster.as_ref().is_none_or(|cluster| cluster.unready == 0);
    let cluster = health.cluster.iter().map(|cluster| {
        let state = if cluster.up > 0 { "up" } else { "down" };
        format!("cluster: {state}\n")
    });
    let tunnels = health.tunnels.iter().map(|tunnel| format!("tunnel {}: {}\n", tunnel.name, tunnel.state_name()));
    let lines: String = cluster.chain(tunnels).collect();
    let (status, word) = if is_ready { (Status::OK, "ready") } else { (Status::UNAVAILABLE, "not ready") };
    Response::text(status, &format!("{word}\n{lines}"))
}

/// The refusal of a body that the server itself would have to read, or that precedes an upgrade.
const BODY: Refused =
    Refused::new(Status::CONTENT_TOO_LARGE, Reason::BadRequest, "request bodies are not supported at this path");

/// The refusal of a request for a path that nothing serves.
const NOTHING: Refused = Refused::new(Status::NOT_FOUND, Reason::NotFound, "there is nothing at this path");

/// Returns `true` if a path is looked up in the files instead of the built-in pages.
///
/// The files go before the page, but not before the monitor and the WebSocket.
fn is_for_files(path: &str, http: &Http, login: PageLogin) -> bool {
    let is_monitor = http.monitor.is_some() && matches!(path, MONITOR_PATH | "/monitor.js" | "/monitor.css");
    let is_page = || match path {
        // The monitor's page needs them too.
        "/drupe.css" | "/drupe.svg" => http.page || http.monitor.is_some(),
        "/" | "/drupe.js" => http.page,
        "/login.js" | "/scram.js" => has_login(http, login),
        _ => false,
    };
    let is_found = |files: &Files| !matches!(files.find(path), Found::Nothing) || !is_page();
    !is_monitor && http.path.as_deref() != Some(path) && http.files.as_ref().is_some_and(is_found)
}

/// Returns `true` if the client page is served and logs its user in.
fn has_login(http: &Http, login: PageLogin) -> bool {
    http.page && login != PageLogin::None
}

/// Returns the response with a file, or the redirect to a folder. `None` if there is neither.
fn serve_file<'a>(request: &Request, http: &'a Http) -> Result<Option<Response<'a>>, Refused> {
    let Some(files) = &http.files else { return Ok(None) };
    let path = request.path();
    Ok(match files.find(path) {
        Found::Nothing => None,
        Found::Bad(why) => return Err(Refused::new(Status::BAD_REQUEST, Reason::BadRequest, why)),
        // The path is plain, so it begins with one slash and can't name another server.
        Found::Folder => Some(Response {
            location: Some(format!("{path}/")),
            ..Response::text(Status::MOVED_PERMANENTLY, "this is a folder\n")
        }),
        Found::File(file) => Some(response_of(file, &files.policy, request)),
    })
}

/// Returns the response with a file, or without it if the client has it (RFC 9110 section 13.2.2).
fn response_of<'a>(file: &'a File, policy: &'a str, request: &Request) -> Response<'a> {
    let mut known = request.fields("if-none-match");
    let whole = Response { tag: Some(&file.tag), policy, ..Response::of(file.content_type) };
    if known.any(|value| file.is_named_by(value)) {
        Response { status: Status::NOT_MODIFIED, ..whole }
    } else {
        Response { body: file.body.as_slice().into(), ..whole }
    }
}

/// Returns the cookie that lets the monitor's page open its WebSocket without the credential.
fn monitor_cookie(http: &Http, seed: u64, scheme: Option<Scheme>) -> Option<String> {
    let secure = if scheme == Some(Scheme::Https) { "; Secure" } else { "" };
    let cookie = http.monitor.as_ref()?.cookie(seed);
    Some(format!("{COOKIE_NAME}={cookie}; Path={MONITOR_PATH}; HttpOnly; SameSite=Strict{secure}"))
}

/// Returns the client page, with its title, its login and the path of the WebSocket filled in.
fn page(http: &Http, title: &str, login: PageLogin) -> String {
    // The path comes last, so that nothing in it is filled in.
    let page = PAGE.replace("%LOGIN%", login.name());
    let title = escaped(title);
    let parts: Vec<_> = page.split("%TITLE%").map(|part| part.replace("%PATH%", &escaped(path_of(http)))).collect();
    parts.join(&title)
}

/// Returns the path of the WebSocket that the client page opens.
fn path_of(http: &Http) -> &str {
    http.path.as_deref().unwrap_or("/")
}

/// Escapes text for HTML, inside and outside of attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '<' => escaped.push_str("&lt;"),
            c => escaped.push(c),
        }
    }
    escaped
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
