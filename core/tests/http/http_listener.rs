//! HTTP on a WebSocket listener: health checks, refusals, credentials, and forwarded addresses.

use crate::operating_world::{network, peer, upgrade};
use drupe_core::http::{Access, Authority, Credential, Forwarded, ForwardedField, Http, Origins};
use drupe_core::kit::layer::Within;
use drupe_core::kit::monitor::{LogTail, Monitor, MonitorLimits};
use drupe_core::limit::ConnectionLimits;
use drupe_core::telnet::Telnet;
use drupe_core::testing::TestHub;
use drupe_core::tls::{Secured, Tls};
use drupe_core::tunnel::{Ssh, Tunnel};
use drupe_core::wire::{Protocol, Proxies};
use drupe_core::work::steps_of;
use drupe_core::{Address, Command, Config, ConnId, Event, Handler, Hub, Listen, ListenerId, Reason};
use std::sync::Arc;
use std::time::Duration;

/// Remembers what it is told of those who do not open.
#[derive(Default)]
struct Told(Vec<String>);

impl Handler for Told {
    type Context = ();
    type Note = (ConnId, Option<String>);

    fn on(&mut self, _: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        match event {
            Event::Opened { peer, .. } => self.0.push(format!("{peer} opened")),
            Event::Refused { reason, .. } => self.0.push(format!("turned away: {reason}")),
            Event::RequestRefused { reason, status, request, .. } => {
                let host = request.and_then(|request| request.host()).unwrap_or("-");
                let origin = request.and_then(|request| request.field("origin")).unwrap_or("-");
                self.0.push(format!("{status} {reason}: host {host}, origin {origin}"));
            }
            _ => {}
        }
    }
}

fn web(http: Http) -> Listen {
    Listen::new(Address::Tcp(([127, 0, 0, 1], 80).into()), Protocol::Http(Arc::new(http)))
}

fn server(listen: Listen) -> TestHub<Told> {
    TestHub::with_config(Config::listening([listen]), Told::default())
}

/// What is answered to these bytes on a connection of its own.
fn ask<H: Handler>(hub: &mut TestHub<H>, from: &str, bytes: &[u8]) -> String {
    let conn = hub.try_connect(ListenerId::new(0), peer(from)).expect("let in");
    hub.send(conn, bytes);
    String::from_utf8_lossy(hub.received(conn)).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("nothing")
}

fn get(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").into_bytes()
}

const NAMED: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// As a configuration has it on a loopback address.
fn named() -> Http {
    Http::default().hosts(NAMED.map(|name| name.parse().expect("a name")).into())
}

#[test]
fn health_checks_are_served_for_any_host() {
    let listeners = [
        web(named()),
        web(named().telnet(Some(Telnet::default()))),
        web(named().path(Some("/chat".into())).page(false).metrics(Access::Off)),
        "auto://127.0.0.1:80".parse().expect("well formed"),
    ];
    for listen in listeners {
        for check in [
            "GET /healthz HTTP/1.0\r\n\r\n",
            "GET /readyz HTTP/1.0\r\n\r\n",
            // As haproxy asks without further words, and with those of its manual.
            "OPTIONS / HTTP/1.0\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: www\r\n\r\n",
            "HEAD /healthz HTTP/1.1\r\nHost: example.org\r\n\r\n",
            // As the kubelet asks a pod.
            "GET /readyz HTTP/1.1\r\nHost: 10.244.1.17:8025\r\nUser-Agent: kube-probe/1.31\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nHost: [fd00::17]:8025\r\n\r\n",
            "GET http://10.244.1.17/healthz HTTP/1.1\r\nHost: 10.244.1.17\r\n\r\n",
        ] {
            let mut hub = server(listen.clone());
            let answer = ask(&mut hub, "127.0.0.1:9", check.as_bytes());
            assert_eq!(status(&answer), "200", "{check}: {answer}");
            assert_eq!((hub.machine().metrics().requests_health, &hub.handler().0[..]), (1, &[][..]), "{check}");
        }
    }
    // Everything else must know it.
    for other in ["GET / HTTP/1.0\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: 10.244.1.17\r\n\r\n"] {
        let answer = ask(&mut server(web(named())), "127.0.0.1:9", other.as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 421 ")
                && answer.contains("the name in Host is not a name of this server (websocket.hosts)"),
            "{answer}"
        );
    }
    let rebound = upgrade("/healthz", "Origin: http://x\r\n");
    assert_eq!(status(&ask(&mut server(web(named())), "127.0.0.1:9", &rebound)), "421", "nor is it a way around");
}

#[test]
fn draining_server_fails_readiness_but_not_liveness() {
    let mut hub = server(web(named()));
    let mut config = hub.machine().config().clone();
    config.drain.grace = Duration::from_secs(5);
    hub.reconfigure(config);
    hub.command(&Command::Drain);
    for (check, expected) in [("GET /readyz", "503"), ("OPTIONS /", "503"), ("GET /healthz", "200")] {
        let answer = ask(&mut hub, "127.0.0.1:9", format!("{check} HTTP/1.0\r\n\r\n").as_bytes());
        assert_eq!(status(&answer), expected, "{check}");
    }
}

#[test]
fn refused_request_event_has_host_origin_and_reason() {
    let mut hub = server(web(named().path(Some("/chat".into()))));
    let known =
        |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").replace("Host: x", "Host: localhost").into_bytes();
    for (request, told) in [
        (upgrade("/chat", ""), "421 host_refused: host x, origin -"),
        (
            known(upgrade("/chat", "Origin: http://evil.example\r\n")),
            "403 origin_refused: host localhost, origin http://evil.example",
        ),
        (known(upgrade("/other", "")), "404 not_found: host localhost, origin -"),
        (known(upgrade("/chat", "Origin: null\r\nOrigin: null\r\n")), "400 bad_request: host localhost, origin -"),
        (
            b"POST /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n".to_vec(),
            "400 bad_request: host localhost, origin -",
        ),
        (
            known(get("/nothing", "Origin: http://localhost\r\n")),
            "404 not_found: host localhost, origin http://localhost",
        ),
        (known(get("/chat", "")), "426 bad_request: host localhost, origin -"),
        (b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "405 bad_request: host localhost, origin -"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "400 bad_request: host -, origin -"),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc".to_vec(),
            "413 bad_request: host localhost, origin -",
        ),
        (b"nonsense\r\n\r\n".to_vec(), "400 bad_request: host -, origin -"),
    ] {
        let before = hub.machine().metrics();
        let answer = ask(&mut hub, "127.0.0.1:9", &request);
        let seen: Vec<String> = hub.with_handler(|told| std::mem::take(&mut told.0));
        assert_eq!(seen, [told], "{}", request.escape_ascii());
        assert!(answer.split("\r\n\r\n").nth(1).is_some_and(|body| body.len() > 10), "it says why: {answer}");
        let (after, reason) =
            (hub.machine().metrics(), told.split([' ', ':']).nth(1).and_then(Reason::named).expect("one"));
        assert_eq!(after.requests_refused.get(reason), before.requests_refused.get(reason) + 1, "{told}");
        assert_eq!(after.ended.get(Reason::Answered) + after.http_ended.get(Reason::Answered), 0, "{told}");
        let text = after.exposition();
        assert!(text.contains(&format!("drupe_http_requests_refused_total{{reason=\"{reason}\"}} ")), "{text}");
    }
    let ended = hub.machine().metrics().ended;
    let counts = [Reason::HostRefused, Reason::OriginRefused, Reason::NotFound].map(|reason| ended.get(reason));
    assert_eq!(counts, [1, 1, 1], "a connection that ends by it ends by its reason");
}

#[test]
fn scrapes_and_health_checks_do_not_count_as_connections() {
    let mut hub = server(web(Http::default()));
    for path in ["/healthz", "/readyz", "/metrics", "/", "/metrics"] {
        ask(&mut hub, "127.0.0.1:9", format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
    }
    let kept = hub.connect();
    hub.send(kept, &get("/metrics", ""));
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.opened, metrics.open, metrics.ended.total(), metrics.durations_ms.count()), (0, 0, 0, 0));
    assert_eq!((metrics.undecided, metrics.http_connections, metrics.closing), (1, 1, 0));
    assert_eq!((metrics.requests_health, metrics.requests_metrics, metrics.requests_page), (2, 3, 1));
    assert_eq!(metrics.http_ended.get(Reason::Answered), 5);
    let text = String::from_utf8_lossy(hub.received(kept)).into_owned();
    assert!(text.contains("\ndrupe_http_requests_total{endpoint=\"health\"} 2\n"), "{text}");
    assert!(text.contains("\ndrupe_connections_opened_total 0\n"), "{text}");
    assert!(text.contains("\ndrupe_http_connections_total{reason=\"answered\"} 5\n"), "{text}");
    // Whoever goes on to speak WebSocket is one, and whoever never speaks as well.
    hub.send(kept, &upgrade("/", ""));
    let silent = hub.connect();
    hub.end(silent);
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.opened, metrics.open, metrics.http_connections, metrics.ended.total()), (2, 1, 0, 1));
    hub.end(kept);
    let metrics = hub.machine().metrics();
    assert_eq!((metrics.opened, metrics.open, metrics.ended.get(Reason::PeerClosed)), (2, 0, 2));
}

#[test]
fn scrape_cost_does_not_depend_on_connection_count() {
    let steps = |connections: usize| {
        let lines: Listen = "tcp://127.0.0.1:7000?tunnel=edge".parse().expect("well formed");
        let mut config = Config::listening([web(Http::default()), lines]).unlimited();
        config.tunnels = [Tunnel::new("edge", Ssh::new("edge.example", "drupe", "known_hosts"))].into();
        let mut hub = TestHub::with_config(config, Told::default());
        for n in 0..connections {
            let conn = hub
                .try_connect(ListenerId::new(u32::try_from(n % 2).expect("0 or 1")), peer("192.0.2.1:9"))
                .expect("let in");
            hub.send(conn, b"hello\n");
        }
        let scraper = hub.connect();
        let ((), steps) = steps_of(|| {
            hub.send(scraper, &get("/metrics", ""));
            hub.send(scraper, &get("/readyz", ""));
        });
        let text = String::from_utf8_lossy(hub.received(scraper)).into_owned();
        let bytes = format!("\ndrupe_tunnel_received_bytes_total{{tunnel=\"edge\"}} {}\n", 6 * (connections / 2));
        assert!(text.contains(&bytes), "{text}");
        steps
    };
    let (few, many) = (steps(10), steps(2_000));
    // A number has more digits.
    assert!(many < few + 1_000, "{few} steps with ten connections and {many} with 2,000");
}

const CREDENTIAL: &str = "0123456789abcdef";
const OTHER: &str = "fedcba9876543210";

fn credential(secret: &str) -> Credential {
    Credential::new(secret).expect("long enough")
}

fn bearer(secret: &str) -> String {
    format!("Authorization: Bearer {secret}\r\n")
}

#[test]
fn credential_grants_only_its_own_endpoint() {
    let of_metrics = || Access::Credential(credential(CREDENTIAL));
    let scraped = Http::default().metrics(of_metrics());
    let both = Http::default().metrics(of_metrics()).monitor(Some(credential(OTHER)));
    let watched = Http::default().metrics(Access::Open).monitor(Some(credential(OTHER)));
    for (http, path, shown, expected) in [
        (&scraped, "/metrics", CREDENTIAL, "200"),
        (&scraped, "/metrics", OTHER, "401"),
        (&scraped, "/monitor", CREDENTIAL, "404"),
        (&scraped, "/monitor.js", CREDENTIAL, "404"),
        (&both, "/metrics", CREDENTIAL, "200"),
        (&both, "/metrics", OTHER, "401"),
        (&both, "/monitor", CREDENTIAL, "401"),
        (&both, "/monitor", OTHER, "200"),
        (&watched, "/metrics", "", "200"),
        (&watched, "/monitor", "", "401"),
    ] {
        let mut hub = server(web(http.clone()));
        let answer = ask(&mut hub, "127.0.0.1:9", &get(path, &bearer(shown)));
        assert_eq!(status(&answer), expected, "{path} with {shown}");
    }
    for scheme in ["Digest", "Token", "bearerx"] {
        let fields = format!("Authorization: {scheme} {CREDENTIAL}\r\n");
        let answer = ask(&mut server(web(scraped.clone())), "127.0.0.1:9", &get("/metrics", &fields));
        assert_eq!(status(&answer), "401", "{scheme}");
    }
    // The cookie of the monitor does not open the metrics, whatever opens them.
    let same = watched.metrics(Access::Credential(credential(OTHER)));
    let mut hub = server(web(same));
    let page = ask(&mut hub, "127.0.0.1:9", &get("/monitor", &bearer(OTHER)));
    let cookie =
        page.split("Set-Cookie: ").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie").to_string();
    let with_cookie = |path| get(path, &format!("Cookie: {cookie}\r\n"));
    assert_eq!(status(&ask(&mut hub, "127.0.0.1:9", &with_cookie("/monitor"))), "200");
    assert_eq!(status(&ask(&mut hub, "127.0.0.1:9", &with_cookie("/metrics"))), "401");
}

#[test]
fn metrics_credential_does_not_open_the_monitor() {
    let http = Http::default().metrics(Access::Credential(credential(CREDENTIAL)));
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default());
    let mut hub = TestHub::with_config(Config::listening([web(http)]), Told::default().within(monitor));
    let answer = ask(&mut hub, "127.0.0.1:9", &upgrade("/monitor", &bearer(CREDENTIAL)));
    assert!(answer.starts_with("HTTP/1.1 101 ") && !answer.contains("may_act"), "it is the application's: {answer}");
}

#[test]
fn reload_that_adds_a_monitor_excludes_older_connections() {
    let monitor = Monitor::new(MonitorLimits::default(), LogTail::default());
    let mut hub = TestHub::with_config(Config::listening([web(Http::default())]), Told::default().within(monitor));
    let early = hub.connect();
    hub.send(early, &get("/healthz", ""));
    hub.reconfigure(Config::listening([web(Http::default().monitor(Some(credential(CREDENTIAL))))]));
    // Nothing was asked for when it came, and so nothing is shown.
    hub.send(early, &upgrade("/monitor", ""));
    let heard = String::from_utf8_lossy(hub.received(early)).into_owned();
    assert!(heard.contains("HTTP/1.1 101 ") && !heard.contains("may_act"), "{heard}");
}

#[test]
fn target_authority_overrides_host() {
    for (request, expected) in [
        ("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
        ("GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", "200"),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "421"),
        ("GET http://evil.example/ HTTP/1.0\r\n\r\n", "421"),
        ("GET HTTP://LOCALHOST?x HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
        ("GET http:///healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
        ("GET http://user@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
        ("GET http://localhost/ HTTP/1.1\r\n\r\n", "400"),
    ] {
        let answer = ask(&mut server(web(named())), "127.0.0.1:9", request.as_bytes());
        assert_eq!(status(&answer), expected, "{request}");
    }
    // A page is of the same origin as what it really asks.
    let asks = |target: &str, host: &str| {
        let request = String::from_utf8(upgrade(target, "Origin: http://localhost\r\n")).expect("text");
        ask(&mut server(web(Http::default())), "127.0.0.1:9", request.replace("Host: x", host).as_bytes())
    };
    assert_eq!(status(&asks("http://localhost/", "Host: evil.example")), "101");
    assert_eq!(status(&asks("http://evil.example/", "Host: localhost")), "403");
}

#[test]
fn host_matches_without_its_default_port() {
    for (name, host, expected) in [
        ("example.org:80", "example.org", "200"),
        ("example.org:80", "example.org:80", "200"),
        ("example.org:443", "example.org", "421"),
        ("example.org:8025", "example.org:8025", "200"),
        ("[::1]", "[0:0:0:0:0:0:0:1]:8025", "200"),
    ] {
        let http = Http::default().hosts([name.parse().expect("a name")].into());
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = ask(&mut server(web(http)), "127.0.0.1:9", request.as_bytes());
        assert_eq!(status(&answer), expected, "{host} at {name}");
    }
}

fn proxied(field: ForwardedField) -> Http {
    Http::default().forwarded(Some(Forwarded::new(field, [network("10.0.0.0/8")])))
}

#[test]
fn host_without_port_behind_a_proxy_matches_either_default() {
    for (name, fields, expected) in [
        ("example.org:80", "", "200"),
        ("example.org:443", "", "200"),
        ("example.org:8025", "", "421"),
        ("example.org:443", "X-Forwarded-Proto: https\r\n", "200"),
        ("example.org:443", "X-Forwarded-Proto: http\r\n", "421"),
    ] {
        let http = proxied(ForwardedField::XForwardedFor).hosts([name.parse().expect("a name")].into());
        let request = format!("GET / HTTP/1.1\r\nHost: example.org\r\n{fields}\r\n");
        let answer = ask(&mut server(web(http)), "10.0.0.1:9", request.as_bytes());
        assert_eq!(status(&answer), expected, "{name} {fields}");
    }
}

#[test]
fn overlong_host_is_refused() {
    let long = format!("{}localhost", "x.".repeat(200));
    let request = format!("GET / HTTP/1.1\r\nHost: {long}\r\n\r\n");
    assert_eq!(status(&ask(&mut server(web(named())), "127.0.0.1:9", request.as_bytes())), "421");
    let error = long.parse::<Authority>().expect_err("nor can it be configured");
    assert!(error.to_string().contains("the name is too long"), "{error}");
}

#[test]
fn page_of_another_scheme_has_another_origin() {
    let (x, rfc) = (ForwardedField::XForwardedFor, ForwardedField::Forwarded);
    let (plain, by_tls) = (web(Http::default()), web(Http::default()).tls(Some(Tls::external())));
    let by_header = web(Http::default()).proxies(Some(Proxies::trusting([network("10.0.0.0/8")])));
    for (listen, from, origin, fields, expected) in [
        (&plain, "127.0.0.1:9", "http://x", "", "101"),
        (&plain, "127.0.0.1:9", "https://x", "", "403"),
        (&plain, "127.0.0.1:9", "https://x:80", "", "403"),
        (&plain, "127.0.0.1:9", "https://x", "X-Forwarded-Proto: https\r\n", "403"),
        (&by_tls, "127.0.0.1:9", "https://x", "", "101"),
        (&by_tls, "127.0.0.1:9", "http://x", "", "403"),
        (&web(proxied(x)), "10.0.0.1:9", "https://x", "X-Forwarded-Proto: https\r\n", "101"),
        (&web(proxied(x)), "10.0.0.1:9", "http://x", "X-Forwarded-Proto: https\r\n", "403"),
        (&web(proxied(x)), "10.0.0.1:9", "https://x", "X-Forwarded-Proto: http\r\n", "403"),
        (&web(proxied(x)), "10.0.0.1:9", "https://x", "", "101"),
        (&web(proxied(x)), "10.0.0.1:9", "http://x", "", "101"),
        (&web(proxied(x)), "127.0.0.1:9", "https://x", "X-Forwarded-Proto: https\r\n", "403"),
        (&web(proxied(rfc)), "10.0.0.1:9", "https://x", "Forwarded: for=192.0.2.1;proto=https\r\n", "101"),
        (&web(proxied(rfc)), "10.0.0.1:9", "http://x", "Forwarded: for=192.0.2.1;proto=https\r\n", "403"),
        (&by_header, "10.0.0.1:9", "https://x", "", "101"),
        (&plain, "local", "https://x", "", "101"),
    ] {
        let mut hub = server(listen.clone());
        let conn = hub.try_connect(ListenerId::new(0), peer(from)).expect("let in");
        if listen.tls.is_some() {
            hub.secured(conn, &Secured::default());
        }
        if listen.proxies.is_some() {
            hub.send(conn, b"PROXY TCP4 192.0.2.1 10.0.0.1 5 6\r\n");
        }
        hub.send(conn, &upgrade("/", &format!("Origin: {origin}\r\n{fields}")));
        let answer = String::from_utf8_lossy(hub.received(conn)).into_owned();
        assert_eq!(status(&answer), expected, "{origin} from {from}, {fields}");
    }
    let listed = Http::default().origins(Origins::List(vec!["https://x".parse().expect("one")]));
    assert_eq!(status(&ask(&mut server(web(listed)), "127.0.0.1:9", &upgrade("/", "Origin: https://x\r\n"))), "101");
}

#[test]
fn proxy_without_client_address_uses_its_own_address() {
    let by_header = web(Http::default()).proxies(Some(Proxies::trusting([network("10.0.0.0/8")])));
    let (x, rfc) = (web(proxied(ForwardedField::XForwardedFor)), web(proxied(ForwardedField::Forwarded)));
    for (listen, header, fields) in [
        (&by_header, "PROXY UNKNOWN\r\n", ""),
        (&x, "", "X-Forwarded-For: 6.6.6.6, garbage\r\n"),
        (&x, "", "X-Forwarded-For: unknown\r\n"),
        (&x, "", "X-Forwarded-For: \r\n"),
        (&x, "", ""),
        (&x, "", "X-Forwarded-For: 10.0.0.1\r\n"),
        (&rfc, "", "Forwarded: for=unknown\r\n"),
        (&rfc, "", "Forwarded: for=\"_hidden\"\r\n"),
        (&rfc, "", "Forwarded: by=10.0.0.1\r\n"),
    ] {
        let connections = ConnectionLimits::default().per_address(2);
        let config = Config::listening([listen.clone()]).connections(connections);
        let mut hub = TestHub::with_config(config, Told::default());
        let mut come = |port: u16, fields: &str| {
            let from = format!("10.0.0.1:{port}");
            let conn = hub.try_connect(ListenerId::new(0), peer(&from)).expect("a proxy");
            hub.send(conn, header.as_bytes());
            hub.send(conn, &upgrade("/", fields));
            let is_in = String::from_utf8_lossy(hub.received(conn)).starts_with("HTTP/1.1 101 ");
            (conn, is_in)
        };
        let first: Vec<_> = (1..=4).map(|port| come(port, fields)).collect();
        let are_in: Vec<bool> = first.iter().map(|(_, is_in)| *is_in).collect();
        assert_eq!(are_in, [true, true, false, false], "{header}{fields}");
        if header.is_empty() && listen == &x {
            assert!(come(5, "X-Forwarded-For: 192.0.2.1\r\n").1, "who is named has an address of its own");
        }
        assert_eq!(hub.ended(Reason::AddressFull), 2, "{header}{fields}");
        // Who goes makes room.
        hub.end(first[0].0);
        let conn = hub.try_connect(ListenerId::new(0), peer("10.0.0.1:6")).expect("a proxy");
        hub.send(conn, header.as_bytes());
        hub.send(conn, &upgrade("/", fields));
        assert!(hub.received(conn).starts_with(b"HTTP/1.1 101 "), "{header}{fields}");
        let is_told = header.is_empty() && listen == &x;
        if !fields.contains("10.0.0.1") {
            assert_eq!(hub.machine().metrics().forwarded, u64::from(is_told), "{header}{fields}");
        }
    }
}
