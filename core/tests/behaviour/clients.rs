//! The clients of `TestHub`: WebSocket, telnet and HTTP.

use drupe_core::app::Echo;
use drupe_core::http::OpeningHandshake;
use drupe_core::limit::MessageSize;
use drupe_core::telnet::{ClientMode, TelnetClient};
use drupe_core::testing::{TestHub, TestRequest, WebSocketMessage};
use drupe_core::websocket::CloseCode;
use drupe_core::{Command, Config, Event, Failure, Handler, Hub, Listen, NoNote, Reason};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

fn hub(listen: &str) -> TestHub<Echo> {
    TestHub::with_config(config(listen), Echo)
}

fn config(listen: &str) -> Config {
    let listen: Listen = listen.parse().expect("well formed");
    let mut config = Config::listening([listen]).unlimited();
    config.peer.budget.message_max_bytes = MessageSize::MAX;
    config
}

/// The message of the panic of a test helper.
fn panic_of(helper: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(helper)).expect_err("it should panic");
    panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(ToString::to_string)).expect("text")
}

#[test]
fn websocket_client_sends_and_receives_messages_of_all_sizes() {
    for target in ["ws://127.0.0.1:0", "ws://127.0.0.1:0?deflate=no", "auto://127.0.0.1:0"] {
        let mut hub = hub(target);
        let (ann, bob) = (hub.open_websocket("/"), hub.open_websocket("/"));
        for length in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
            let text = "é".repeat(length);
            hub.websocket(ann).send_text(&text);
            assert_eq!(hub.websocket(ann).texts(), [&text], "{length}");
            hub.websocket(ann).send_binary(&vec![7; length]);
            assert_eq!(hub.websocket(ann).messages()[1], WebSocketMessage::Binary(vec![7; length]), "{length}");
            hub.clear();
        }
        assert_eq!(hub.websocket(bob).messages(), []);
    }
}

#[test]
fn websocket_client_sends_fragments_that_split_a_character() {
    let mut hub = hub("ws://127.0.0.1:0");
    let ann = hub.open_websocket("/");
    hub.websocket(ann).send_text_fragments(&[b"gr\xc3", b"", b"\xbcn"]);
    hub.websocket(ann).send_binary_fragments(&[b"\xff", b"\xfe"]);
    let expected = [WebSocketMessage::Text("grün".into()), WebSocketMessage::Binary(vec![0xff, 0xfe])];
    assert_eq!(hub.websocket(ann).messages(), expected);
    hub.websocket(ann).send_text_fragments(&[b"\xff"]);
    assert_eq!(hub.ended(Reason::InvalidUtf8), 1);
    assert_eq!(hub.websocket(ann).closed().map(|(code, _)| code), Some(Some(CloseCode::INVALID_PAYLOAD)));
}

#[test]
fn websocket_client_closes_in_both_directions() {
    let mut hub = hub("ws://127.0.0.1:0");
    let (ann, bob) = (hub.open_websocket("/"), hub.open_websocket("/"));
    hub.websocket(ann).ping();
    hub.websocket(ann).close(CloseCode::NORMAL, "bye");
    let client = hub.websocket(ann);
    let [pong, close] = client.messages() else { panic!("a pong and a close frame") };
    assert_eq!(pong, &WebSocketMessage::Pong);
    assert!(matches!(close, WebSocketMessage::Close { code: Some(CloseCode::NORMAL), .. }), "{close:?}");
    assert_eq!((hub.is_closed(ann), hub.is_closed(bob)), (true, false));
    hub.command(&Command::Kick { conn: bob });
    assert_eq!(hub.websocket(bob).closed(), Some((Some(CloseCode::POLICY_VIOLATION), "kicked")));
    assert!(hub.is_closed(bob));
}

#[test]
fn websocket_client_answers_pings_so_that_time_may_pass() {
    let mut hub = hub("ws://127.0.0.1:0?ping=10");
    let (ann, silent) = (hub.open_websocket("/"), hub.connect());
    hub.advance(Duration::from_secs(3_600));
    assert_eq!((hub.is_closed(ann), hub.is_closed(silent)), (false, true));
    assert_ne!(hub.machine().metrics().round_trip_us, Default::default(), "a pong arrived");
}

#[test]
fn refused_websocket_handshake_names_its_cause() {
    let mut hub = hub("ws://127.0.0.1:0/chat?origins=https://example.org&subprotocols=one,two");
    let conn = hub.connect();
    let handshake = OpeningHandshake::new("/chat").origin(Some("https://example.com".into()));
    assert_eq!(hub.begin_websocket(conn, handshake), Err(Failure::Rejected { status: 403 }));
    let why = panic_of(|| {
        hub.open_websocket("/other");
    });
    assert!(why.contains("/other") && why.contains("404"), "{why}");
    let conn = hub.connect();
    let handshake = OpeningHandshake::new("/chat").subprotocols(vec!["three".into(), "two".into()]);
    assert_eq!(hub.begin_websocket(conn, handshake), Ok(()));
    assert_eq!(hub.websocket(conn).subprotocol(), Some("two"));
    let line = hub.connect();
    let why = panic_of(|| hub.websocket(line).send_text("hello"));
    assert!(why.contains("open_websocket"), "{why}");
}

#[test]
fn masks_depend_on_the_seed_and_differ_between_connections() {
    let sent = |seed: u64| {
        let mut hub = TestHub::with_config(config("ws://127.0.0.1:0").seed(Some(seed)), Echo);
        let conns = [hub.open_websocket("/"), hub.open_websocket("/")];
        conns.map(|conn| hub.received(conn).windows(20).find(|bytes| bytes.starts_with(b"pt: ")).expect("it").to_vec())
    };
    assert_eq!(sent(1), sent(1));
    assert_ne!(sent(1), sent(2));
    let [ann, bob] = sent(1);
    assert_ne!(ann, bob);
}

#[test]
fn telnet_client_edits_on_the_server_in_character_mode() {
    let mut hub = hub("telnet://127.0.0.1:0?mode=character");
    let ann = hub.open_telnet();
    assert_eq!(hub.telnet(ann).mode(), ClientMode::Character);
    let terminal = hub.terminal(ann).expect("telnet");
    assert_eq!((terminal.columns, terminal.rows, &terminal.types[..]), (Some(80), Some(24), &["XTERM".to_owned()][..]));
    hub.telnet(ann).type_keys("hellp\u{7f}o\u{1b}[D\u{1b}[D\u{1b}[D\u{1b}[DX");
    assert_eq!(hub.telnet(ann).screen(), ["hXello"]);
    hub.telnet(ann).type_line("");
    assert_eq!(hub.telnet(ann).screen(), ["hXello", "hXello"]);
    hub.telnet(ann).resize(10, 5);
    assert_eq!(hub.terminal(ann).expect("telnet").columns, Some(10));
    hub.telnet(ann).type_keys("a line that is longer than ten columns");
    let screen = hub.telnet(ann).screen();
    assert!(screen.concat().ends_with("a line that is longer than ten columns"), "{screen:?}");
    assert_eq!(hub.telnet(ann).last_line(), " columns", "the server wraps the line");
}

#[test]
fn telnet_client_without_options_edits_and_shows_its_own_lines() {
    let mut hub = hub("telnet://127.0.0.1:0");
    let ann = hub.connect();
    hub.begin_telnet(ann, TelnetClient::default());
    hub.telnet(ann).type_keys("hellp\u{7f}");
    assert_eq!((hub.telnet(ann).screen(), hub.machine().metrics().messages_in), (vec!["hell".to_owned()], 0));
    hub.telnet(ann).type_line("o");
    assert_eq!(hub.telnet(ann).screen(), ["hello", "hello"]);
    let terminal = hub.terminal(ann).expect("telnet");
    assert_eq!((terminal.columns, terminal.types.len()), (None, 0));
    let why = panic_of(|| hub.telnet(ann).send_gmcp("Core.Hello", "{}"));
    assert!(why.contains("GMCP is off"), "{why}");
}

/// Asks for a password, and sends what each line is in the text of a control sequence.
struct Login;

impl Handler for Login {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => drop(hub.prompt_hidden(conn, "password: ")),
            Event::Message { conn, payload } => {
                let text = format!("\u{1b}[1mwelcome\u{1b}[m {}", payload.as_bytes().len());
                hub.send(conn, text.as_str());
            }
            _ => {}
        }
    }
}

#[test]
fn telnet_screen_hides_a_password_and_shows_text_without_its_colours() {
    let mut hub = TestHub::with_config(config("telnet://127.0.0.1:0"), Login);
    let ann = hub.open_telnet();
    assert_eq!((hub.telnet(ann).last_line().as_str(), hub.telnet(ann).mode()), ("password:", ClientMode::Hidden));
    hub.telnet(ann).type_line("secret");
    let screen = hub.telnet(ann).screen();
    assert!(screen.iter().all(|line| !line.contains("secret")), "{screen:?}");
    assert_eq!(hub.telnet(ann).last_line(), "welcome 6");
}

#[test]
fn http_client_returns_status_fields_and_body() {
    let mut hub = hub("ws://127.0.0.1:0");
    let health = hub.get("/healthz");
    assert_eq!((health.status, health.text().as_str(), health.field("content-length")), (200, "ok\n", Some("3")));
    assert_eq!(hub.get("/nothing").status, 404);
    let conn = hub.connect();
    for _ in 0..2 {
        assert_eq!(hub.request(conn, &TestRequest::new("GET", "/healthz")), health, "the connection is kept");
    }
    let head = hub.request(conn, &TestRequest::new("HEAD", "/healthz"));
    assert_eq!((head.status, head.body.len(), head.field("Content-Length")), (200, 0, Some("3")));
    let request = TestRequest::new("POST", "/healthz").field("Connection", "close").body("hello");
    assert_eq!(hub.request(conn, &request).status, 413, "the listener accepts no bodies");
    assert!(hub.is_closed(conn));
    let why = panic_of(|| drop(hub.request(conn, &TestRequest::new("GET", "/late"))));
    assert!(why.contains("GET /late got no complete response"), "{why}");
}
