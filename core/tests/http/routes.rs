//! Static files, responses of the handler, and metrics of the application.

use crate::operating_world::peer;
use drupe_core::app::Echo;
use drupe_core::http::{Files, Http, HttpResponse, RespondError};
use drupe_core::testing::TestHub;
use drupe_core::tls::{Secured, Tls};
use drupe_core::wire::Protocol;
use drupe_core::{
    Address, Config, Event, Handler, Hub, Listen, ListenerId, NoNote, PageLogin, PageOptions, Series, SeriesId,
};
use std::sync::Arc;

fn config(http: Http) -> Config {
    Config::listening([Listen::new(Address::Tcp(([127, 0, 0, 1], 80).into()), Protocol::Http(Arc::new(http)))])
}

fn files() -> Files {
    [("/index.html", "<html>"), ("/app.js", "app()"), ("/docs/index.html", "docs")]
        .into_iter()
        .try_fold(Files::new(), |files, (path, body)| files.file(path, body))
        .expect("good")
}

/// Returns what is answered on a connection of its own.
fn ask<H: Handler>(hub: &mut TestHub<H>, method: &str, path: &str, fields: &str) -> String {
    let conn = hub.try_connect(ListenerId::new(0), peer("192.0.2.1:1")).expect("let in");
    hub.send(conn, format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
    String::from_utf8_lossy(hub.received(conn)).into_owned()
}

fn code(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("nothing")
}

#[test]
fn files_are_served_with_type_policy_and_entity_tag() {
    let mut hub = TestHub::with_config(config(Http::default().files(Some(files()))), Echo);
    let page = ask(&mut hub, "GET", "/", "");
    assert!(page.contains("\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n"), "{page}");
    assert!(
        page.contains("\r\nContent-Security-Policy: default-src 'self'") && page.ends_with("\r\n\r\n<html>"),
        "{page}"
    );
    let tag = page.split("\r\nETag: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a tag").to_owned();
    let head = ask(&mut hub, "HEAD", "/app.js", "");
    assert!(head.contains("\r\nContent-Length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for (fields, expected) in [
        (format!("If-None-Match: {tag}\r\n"), "304"),
        (format!("If-None-Match: \"x\"\r\nIf-None-Match: W/{tag}\r\n"), "304"),
        ("If-None-Match: *\r\n".into(), "304"),
        ("If-None-Match: \"x\"\r\n".into(), "200"),
    ] {
        let answer = ask(&mut hub, "GET", "/", &fields);
        assert_eq!(code(&answer), expected, "{fields}");
        assert_eq!(answer.contains("<html>") || answer.contains("Content-Length"), expected == "200", "{answer}");
        assert!(answer.contains(&format!("ETag: {tag}\r\n")), "{answer}");
    }
    let moved = ask(&mut hub, "GET", "/docs", "");
    assert!(code(&moved) == "301" && moved.contains("\r\nLocation: /docs/\r\n"), "{moved}");
    for (method, path, expected) in [
        ("GET", "/docs/", "200"),
        ("GET", "/none", "404"),
        ("GET", "/../app.js", "400"),
        ("GET", "/%2e%2e/app.js", "400"),
        ("GET", "/docs%2findex.html", "400"),
        ("GET", "/app.js%00", "400"),
        ("POST", "/app.js", "405"),
        // The server's own endpoints go first, and its page is found where no file is.
        ("GET", "/healthz", "200"),
        ("GET", "/metrics", "200"),
        ("GET", "/drupe.js", "200"),
    ] {
        assert_eq!(code(&ask(&mut hub, method, path, "")), expected, "{method} {path}");
    }
}

#[test]
fn page_names_its_login_and_has_scripts_for_it() {
    let login = |login| PageOptions::default().login(login);
    for (login, name) in [
        (login(PageLogin::None), "none"),
        (login(PageLogin::Password), "password"),
        (login(PageLogin::PasswordOrNewUser), "register"),
        (login(PageLogin::Token), "token"),
    ] {
        let is_on = login.login != PageLogin::None;
        let mut hub = TestHub::with_config(config(Http::default()).pages(login.clone()), Site::default());
        let page = ask(&mut hub, "GET", "/", "");
        assert!(page.contains(&format!("<html lang=\"en\" data-path=\"/\" data-login=\"{name}\">")), "{page}");
        // No script is part of the page, so the policy needs no exception.
        assert!(page.contains("; script-src 'self';") && !page.contains("<script>"), "{page}");
        for (path, words) in [("/login.js", "from \"./scram.js\""), ("/scram.js", "PBKDF2")] {
            let script = ask(&mut hub, "GET", path, "");
            assert_eq!(code(&script), if is_on { "200" } else { "404" }, "{name} {path}");
            assert_eq!(script.contains("\r\nContent-Type: text/javascript; charset=utf-8\r\n"), is_on, "{script}");
            assert_eq!(script.contains(words), is_on, "{script}");
        }
        // Without a login, these paths are the application's.
        assert_eq!(hub.handler().seen.len(), if is_on { 0 } else { 2 });
        // Files of the operator go before the page, and without the page there are no scripts of it.
        let own = Files::new().file("/login.js", "own()").expect("good");
        let mut hub = TestHub::with_config(config(Http::default().files(Some(own))).pages(login.clone()), Echo);
        assert!(ask(&mut hub, "GET", "/login.js", "").ends_with("\r\n\r\nown()"));
        assert_eq!(code(&ask(&mut hub, "GET", "/scram.js", "")), if is_on { "200" } else { "404" });
        let mut hub = TestHub::with_config(config(Http::default().page(false)).pages(login), Echo);
        assert_eq!(code(&ask(&mut hub, "GET", "/login.js", "")), "404");
    }
}

#[test]
fn page_needs_no_login_with_a_client_certificate() {
    let mut config = config(Http::default()).pages(PageOptions::default().login(PageLogin::Password));
    config.listeners = config.listeners.into_iter().map(|listen| listen.tls(Some(Tls::external()))).collect();
    let mut hub = TestHub::with_config(config, Echo);
    for (secured, name) in [
        (Secured::default(), "data-login=\"password\""),
        (Secured::default().user(Some("ann".into())), "data-login=\"none\""),
    ] {
        let conn = hub.try_connect(ListenerId::new(0), peer("192.0.2.1:1")).expect("let in");
        hub.secured(conn, &secured);
        hub.send(conn, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let page = String::from_utf8_lossy(hub.received(conn)).into_owned();
        assert!(page.contains(name), "{page}");
    }
}

#[test]
fn websocket_path_goes_before_a_file() {
    let http = Http::default().path(Some("/app.js".into())).files(Some(files()));
    let mut hub = TestHub::with_config(config(http), Echo);
    assert_eq!(code(&ask(&mut hub, "GET", "/app.js", "")), "426");
}

/// Responds to some paths, and counts what it is asked.
#[derive(Default)]
struct Site {
    asked: Option<SeriesId>,
    seen: Vec<String>,
    errors: Vec<RespondError>,
}

impl Handler for Site {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => {
                let series = Series::counter("site_requests_total", "Requests.").label("kind", "any");
                self.asked = Some(hub.register(series).expect("a name"));
            }
            Event::Request { request, .. } => {
                self.seen.push(format!("{} {}", request.method(), request.path()));
                if let Some(asked) = self.asked {
                    hub.increase(asked, 1);
                }
                let responses = match request.path() {
                    "/score" => {
                        vec![HttpResponse::new("application/json", "{\"score\":7}"), HttpResponse::text("late")]
                    }
                    "/teapot" => vec![HttpResponse::text("short and stout").status(418)],
                    "/split" => vec![
                        HttpResponse::new("text/plain\r\nX: y", "x"),
                        HttpResponse::text("x").status(304),
                        HttpResponse::text("x".repeat(HttpResponse::BODY_MAX_BYTES + 1)),
                    ],
                    _ => vec![],
                };
                self.errors.extend(responses.into_iter().filter_map(|response| hub.respond(response).err()));
            }
            Event::Message { .. } => self.errors.extend(hub.respond(HttpResponse::text("x")).err()),
            _ => {}
        }
    }
}

#[test]
fn handler_responds_to_requests_that_nothing_else_serves() {
    let mut hub = TestHub::with_config(config(Http::default().files(Some(files()))), Site::default());
    let score = ask(&mut hub, "GET", "/score?of=ann", "");
    assert!(code(&score) == "200" && score.ends_with("\r\n\r\n{\"score\":7}"), "{score}");
    assert!(score.contains("\r\nContent-Type: application/json\r\nContent-Length: 11\r\n"), "{score}");
    assert!(score.contains("\r\nX-Content-Type-Options: nosniff\r\n"), "{score}");
    assert!(ask(&mut hub, "HEAD", "/score", "").ends_with("\r\n\r\n"));
    assert_eq!(code(&ask(&mut hub, "GET", "/teapot", "")), "418");
    assert_eq!(code(&ask(&mut hub, "GET", "/split", "")), "404");
    assert_eq!(code(&ask(&mut hub, "GET", "/none", "")), "404");
    assert_eq!(code(&ask(&mut hub, "POST", "/score", "")), "200");
    assert_eq!(code(&ask(&mut hub, "POST", "/none", "")), "405");
    for (method, path) in
        [("POST", "/app.js?x"), ("OPTIONS", "/score"), ("GET", "/app.js"), ("GET", "/healthz"), ("GET", "/../score")]
    {
        ask(&mut hub, method, path, "");
    }
    let site = hub.handler();
    assert_eq!(
        site.seen,
        [
            "GET /score",
            "HEAD /score",
            "GET /teapot",
            "GET /split",
            "GET /none",
            "POST /score",
            "POST /none",
            "POST /app.js"
        ]
    );
    let (none, split) =
        (RespondError::NoRequest, [RespondError::ContentType, RespondError::Status(304), RespondError::Body]);
    assert_eq!(site.errors, [none, none, split[0], split[1], split[2], none]);
    let text = ask(&mut hub, "GET", "/metrics", "");
    assert!(text.contains("\ndrupe_http_requests_refused_total{reason=\"not_found\"} 2\n"), "{text}");
    assert!(text.ends_with("\nsite_requests_total{kind=\"any\"} 8\n"), "{text}");
}
