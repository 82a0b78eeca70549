//! Who gets in, and who is told what, in virtual time.

#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

use drupe_core::app::Echo;
use drupe_core::kit::auth::scram::{Client, Credentials};
use drupe_core::kit::auth::{
    Accounts, Authentication, AuthenticationLimits, Claims, DuplicateLogin, Provider, TokenKey, Tokens, Verdict,
};
use drupe_core::kit::layer::{Layered, Logging, Recording, Within};
use drupe_core::testing::TestHub;
use drupe_core::tls::{Secured, Tls};
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::{
    Address, Config, ConnId, Event, Handler, Hub, Identity, Listen, ListenerId, Machine, Peer, Reason, Time, UnixTime,
};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const NOW: u64 = 1_800_000_000;

/// Says what it hears, and keeps what happened.
#[derive(Default)]
struct Inside {
    log: Vec<String>,
}

impl Handler for Inside {
    type Context = ();
    type Note = (ConnId, Option<String>);

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        let user = event.conn().and_then(|conn| hub.identity(conn)).map_or("nobody".into(), ToString::to_string);
        match event {
            Event::Opened { request, .. } => {
                self.log.push(format!("{user} opened {}", request.map_or("-", |request| request.path())));
            }
            Event::Authenticated { .. } => self.log.push(format!("{user} authenticated")),
            Event::Message { conn, payload } => {
                let text = payload.as_str().expect("text");
                hub.send(conn, &format!("{user}: {text}"));
            }
            Event::Closed { reason, .. } => self.log.push(format!("{user} closed {reason}")),
            Event::Note((_, text)) => self.log.push(format!("note {text:?}")),
            _ => {}
        }
    }
}

type Guarded<P> = TestHub<Layered<Authentication<P>, Inside>>;

fn credentials(password: &str) -> Credentials {
    Credentials::new(password, password.as_bytes(), 4_096).expect("a password")
}

fn key() -> TokenKey {
    TokenKey::hs256(&[7; 32]).expect("long enough")
}

fn accounts() -> Accounts {
    let accounts = Accounts::new().tokens(Tokens::new(key())).shared_password(credentials("mellon"));
    accounts.user("root", credentials("t0psecret"), ["*"]).expect("a name")
}

fn layer() -> Authentication<Accounts> {
    Authentication::new(accounts(), [3; 32])
}

fn guarded(address: &str, layer: Authentication<Accounts>) -> Guarded<Accounts> {
    TestHub::with_config(
        Config::listening([address.parse::<Listen>().expect(address)]),
        Inside::default().within(layer),
    )
}

fn lines(layer: Authentication<Accounts>) -> Guarded<Accounts> {
    guarded("tcp://127.0.0.1:1", layer)
}

fn token(user: &str, expires: u64) -> String {
    let claims = Claims { sub: user.into(), exp: Some(expires), scope: "join:*".into(), ..Claims::default() };
    key().sign(&claims).expect("it signs")
}

fn log<P: Provider<(ConnId, Option<String>)>>(hub: &Guarded<P>) -> Vec<&str> {
    hub.handler().inner().log.iter().map(String::as_str).collect()
}

/// Sends a line and says what came back.
fn told<P: Provider<(ConnId, Option<String>)>>(hub: &mut Guarded<P>, conn: ConnId, line: &str) -> Vec<String> {
    hub.clear();
    hub.line(conn, line);
    hub.lines(conn)
}

/// The exchange as a program speaks it; the last answer.
fn scram(hub: &mut Guarded<Accounts>, conn: ConnId, user: &str, password: &str) -> String {
    let client = Client::new(user, password, "0123456789abcdef").expect("printable");
    let json = |message: &str| format!(r#"{{"type":"auth","scram":"{message}"}}"#);
    let first = told(hub, conn, &json(&client.first())).concat();
    let Some(first) = first.strip_prefix(r#"{"type":"auth","scram":""#).and_then(|rest| rest.strip_suffix(r#""}"#))
    else {
        return first;
    };
    let (last, expected) = client.answer(first).expect("good");
    let answer = told(hub, conn, &json(&last)).concat();
    if answer.contains("auth_ok") {
        assert!(answer.contains(&expected), "the server proved itself: {answer}");
    }
    answer
}

#[test]
fn scram_lets_in_who_knows_and_sends_nothing_of_use() {
    let (mut hub, sent) = recorded(layer());
    for (user, password, gets_in) in
        [("root", "t0psecret", true), ("ann", "mellon", true), ("root", "mellon", false), ("ann", "melon", false)]
    {
        let conn = hub.connect();
        let answer = scram_outside(&mut hub, conn, user, password);
        assert_eq!(answer.contains("auth_ok"), gets_in, "{user}: {answer}");
    }
    let sent: String = sent.try_iter().collect();
    assert!(!sent.contains("t0psecret") && !sent.contains("mellon"));
    assert!(sent.contains("scram"));
}

type Recorded = TestHub<
    Layered<Recording<Box<dyn FnMut(drupe_core::kit::layer::Entry<'_>)>>, Layered<Authentication<Accounts>, Inside>>,
>;

/// With everything that peers say recorded.
fn recorded(layer: Authentication<Accounts>) -> (Recorded, Receiver<String>) {
    let (send, entries) = channel();
    let keep: Box<dyn FnMut(drupe_core::kit::layer::Entry<'_>)> =
        Box::new(move |entry| send.send(entry.to_string()).expect("the test listens"));
    (TestHub::new(Inside::default().within(layer).within(Recording::new(keep))), entries)
}

fn scram_outside(hub: &mut Recorded, conn: ConnId, user: &str, password: &str) -> String {
    let client = Client::new(user, password, "0123456789abcdef").expect("printable");
    hub.line(conn, &format!("/auth scram {}", client.first()));
    let first = hub.lines(conn).concat();
    let (last, _) = client.answer(first.strip_prefix("scram ").expect("an answer")).expect("good");
    hub.line(conn, &format!(r#"{{"type":"auth","scram":"{last}"}}"#));
    hub.lines(conn).concat()
}

#[test]
fn the_handler_within_hears_of_nobody_who_has_not_proven_who_they_are() {
    let mut hub = lines(layer());
    let (good, bad, silent) = (hub.connect(), hub.connect(), hub.connect());
    assert_eq!(scram(&mut hub, good, "ann", "mellon").matches("\"user\":\"ann\"").count(), 1);
    assert_eq!(told(&mut hub, good, "hello"), ["ann: hello"]);
    let refused = r#"{"type":"error","of":"auth","code":"unauthorized","reason":"the proof is wrong"}"#;
    assert_eq!(scram(&mut hub, bad, "ann", "wrong"), refused);
    assert_eq!(told(&mut hub, bad, "hello"), ["error: auth: prove who you are first"]);
    assert_eq!(
        told(&mut hub, bad, r#"{"type":"hello"}"#),
        [
            r#"{"type":"error","of":"auth","code":"unauthorized","reason":"prove who you are first"}"#,
            r#"{"type":"closing","code":"unauthorized","reason":"authentication failed"}"#
        ]
    );
    hub.advance(Duration::from_secs(30));
    assert_eq!(hub.lines(silent), ["closing (authentication_timeout): authentication timed out"]);
    hub.end(good);
    assert_eq!(log(&hub), ["ann opened -", "ann authenticated", "ann closed peer_closed"]);
    assert_eq!((hub.ended(Reason::Unauthorized), hub.ended(Reason::AuthenticationTimeout)), (1, 1));
    assert_eq!((hub.machine().metrics().authenticated, hub.machine().metrics().authentication_failures), (1, 3));
}

#[test]
fn a_token_gets_in_is_renewed_by_its_owner_only_and_expires() {
    let mut hub = lines(layer());
    let conn = hub.connect();
    assert_eq!(told(&mut hub, conn, &format!("/auth {}", token("ann", NOW + 10))), ["notice: you are ann"]);
    hub.advance(Duration::from_secs(5));
    for (token, answer) in [
        (token("bob", NOW + 60), "error: auth: this is somebody else's"),
        (token("ann", NOW + 5), "error: auth: the token has expired"),
        (token("ann", NOW + 4), "error: auth: the token has expired"),
        (token("ann", NOW + 20), "notice: you are ann"),
    ] {
        assert_eq!(told(&mut hub, conn, &format!("/auth {token}")), [answer]);
    }
    hub.advance(Duration::from_millis(14_999));
    assert!(!hub.is_closed(conn));
    hub.advance(Duration::from_millis(1));
    assert!(hub.is_closed(conn));
    assert_eq!(log(&hub), ["ann opened -", "ann authenticated", "ann closed session_expired"]);
    let late = hub.connect();
    hub.line(late, &format!("/auth {}", token("ann", NOW + 20)));
    assert_eq!(hub.lines(late), ["error: auth: the token has expired"]);
}

#[test]
fn a_jump_of_the_clock_on_the_wall_ends_what_has_expired_and_nothing_else() {
    let mut hub = lines(layer());
    let (soon, later) = (hub.connect(), hub.connect());
    hub.line(soon, &format!("/auth {}", token("ann", NOW + 3_600)));
    hub.line(later, &format!("/auth {}", token("bob", NOW + 200_000)));
    hub.set_clock(UnixTime::from_secs(NOW - 86_400));
    hub.advance(Duration::from_secs(1));
    assert!(!hub.is_closed(soon));
    hub.set_clock(UnixTime::from_secs(NOW + 86_400));
    hub.advance(Duration::from_nanos(1));
    assert_eq!((hub.is_closed(soon), hub.is_closed(later)), (true, false));
}

const UPGRADE: &str = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// What a WebSocket with this target and these fields gets behind the head of the response.
fn upgraded(hub: &mut Guarded<Accounts>, target: &str, fields: &str) -> (ConnId, String) {
    let conn = hub.connect();
    hub.send(conn, format!("GET {target} HTTP/1.1\r\n{UPGRADE}{fields}\r\n").as_bytes());
    let received = String::from_utf8_lossy(hub.received(conn)).into_owned();
    let (_, frames) = received.split_once("\r\n\r\n").expect("a response");
    (conn, frames.to_owned())
}

#[test]
fn a_websocket_brings_its_token_in_a_field_or_if_allowed_in_the_query() {
    let good = token("ann", NOW + 60);
    let bad = token("ann", NOW - 1);
    let bearer = |token: &str| format!("Authorization: bearer {token}\r\n");
    let mut hub = guarded("ws://127.0.0.1:1", layer());
    let (conn, frames) = upgraded(&mut hub, "/chat?x=1", &bearer(&good));
    assert!(frames.contains(r#"{"type":"auth_ok","user":"ann"}"#) && !hub.is_closed(conn), "{frames}");
    let (conn, frames) = upgraded(&mut hub, "/", &bearer(&bad));
    assert!(frames.contains("the token has expired") && frames.contains("unauthorized"), "{frames}");
    assert!(hub.received(conn).windows(2).any(|pair| pair == 4401_u16.to_be_bytes()), "closed with 4401");
    let (conn, frames) = upgraded(&mut hub, &format!("/?token={good}"), "");
    assert!(frames.is_empty() && !hub.is_closed(conn), "not by query: it waits for a first message");
    let mut hub = guarded("ws://127.0.0.1:1", layer().token_in_query());
    let (_, frames) = upgraded(&mut hub, &format!("/?token={good}"), "");
    assert!(frames.contains("auth_ok"));
    let (_, frames) = upgraded(&mut hub, &format!("/?token={good}&token={good}"), "");
    assert!(frames.is_empty());
    assert_eq!(log(&hub), ["ann opened /", "ann authenticated"]);
}

#[test]
fn people_are_asked_and_programs_are_not_kept_from_speaking_json() {
    let mut hub = lines(layer().dialogue());
    let person = hub.connect();
    assert_eq!(hub.received(person), b"user: ");
    assert_eq!(told(&mut hub, person, "root"), ["password: "]);
    assert_eq!(told(&mut hub, person, "wrong"), ["error: auth: that is not right", "user: "]);
    assert_eq!(told(&mut hub, person, "  "), ["user: "]);
    hub.line(person, "root");
    assert_eq!(told(&mut hub, person, "t0psecret"), ["notice: you are root"]);
    let program = hub.connect();
    assert!(scram(&mut hub, program, "bob", "mellon").contains("auth_ok"));
    assert_eq!(log(&hub), ["root opened -", "root authenticated", "bob opened -", "bob authenticated"]);
}

#[test]
fn nobody_is_asked_on_a_websocket_or_in_frames() {
    let text = |words: &str| {
        let mut bytes = Vec::new();
        frame(Opcode::Text, words.as_bytes(), Some([1, 2, 3, 4]), &mut bytes);
        bytes
    };
    let mut hub = guarded("ws://127.0.0.1:1", layer().dialogue());
    let (conn, _) = upgraded(&mut hub, "/", "");
    hub.clear();
    for words in ["hello", "root", "t0psecret"] {
        hub.send(conn, &text(words));
    }
    let heard = String::from_utf8_lossy(hub.received(conn)).into_owned();
    assert_eq!(heard.matches("prove who you are first").count(), 3, "{heard}");
    assert!(hub.is_closed(conn) && log(&hub).is_empty(), "no password is taken there: {:?}", log(&hub));
    let mut hub = guarded("length://127.0.0.1:1?prefix=u8", layer().dialogue());
    let conn = hub.connect();
    assert_eq!(hub.received(conn), b"", "no prompt");
    for words in ["root", "t0psecret"] {
        hub.send(conn, &[&[u8::try_from(words.len()).expect("short")], words.as_bytes()].concat());
    }
    assert!(log(&hub).is_empty(), "{:?}", log(&hub));
}

#[test]
fn a_password_is_asked_for_only_where_it_crosses_no_network_in_the_clear() {
    let far = Peer::Address(([192, 0, 2, 1], 9).into());
    let near = Peer::Address(([127, 0, 0, 1], 9).into());
    let asked = |listen: Listen, peer: Peer, layer: Authentication<Accounts>| {
        let config = Config::listening([listen]);
        let mut hub: Guarded<Accounts> = TestHub::with_config(config, Inside::default().within(layer.dialogue()));
        let conn = hub.try_connect(ListenerId(0), peer).expect("let in");
        hub.received(conn).windows(6).any(|bytes| bytes == b"user: ")
    };
    let listen = |address: &str| address.parse::<Listen>().expect(address);
    for (address, peer, is_asked) in [
        ("tcp://127.0.0.1:1", far, true),
        ("tcp://[::1]:1", far, true),
        ("unix:///run/x", Peer::Local, true),
        ("tcp://0.0.0.0:1", far, false),
        ("tcp://0.0.0.0:1", near, true),
        ("telnet://192.0.2.9:23", far, false),
    ] {
        assert_eq!(asked(listen(address), peer, layer()), is_asked, "{peer} at {address}");
        assert!(asked(listen(address), peer, layer().allow_plaintext()), "{peer} at {address}, where that is allowed");
    }
    let inherited = Listen { address: Address::Inherited("x".into()), ..listen("tcp://127.0.0.1:1") };
    assert_eq!([far, near].map(|peer| asked(inherited.clone(), peer, layer())), [false, true]);
    // Behind TLS it may be typed from anywhere.
    let enciphered = Listen { tls: Some(Tls::elsewhere()), ..listen("tcp://0.0.0.0:1") };
    let mut hub: Guarded<Accounts> =
        TestHub::with_config(Config::listening([enciphered]), Inside::default().within(layer().dialogue()));
    let conn = hub.try_connect(ListenerId(0), far).expect("let in");
    hub.secured(conn, &Secured::default());
    assert_eq!(hub.received(conn), b"user: ");
}

#[test]
fn a_telnet_client_hides_the_password_it_is_asked_for() {
    let mut hub = guarded("telnet://127.0.0.1:1", layer().dialogue());
    let conn = hub.connect();
    // The client shows that it speaks telnet, and agrees to be echoed by the server.
    hub.send(conn, b"\xff\xfb\x18");
    hub.clear();
    hub.send(conn, b"root\r\n");
    let asked = hub.received(conn);
    assert!(asked.windows(3).any(|bytes| bytes == b"\xff\xfb\x01"), "WILL ECHO: {asked:?}");
    hub.send(conn, b"\xff\xfd\x01t0psecret\r\n");
    let came = String::from_utf8_lossy(hub.received(conn)).into_owned();
    assert!(came.contains("you are root") && !came.contains("t0psecret"), "{came}");
}

#[test]
fn guesses_are_slowed_by_address_and_by_user_and_others_are_not() {
    let mut hub = lines(layer());
    let connect = |hub: &mut Guarded<Accounts>, ip: [u8; 4]| {
        hub.try_connect(ListenerId(0), Peer::Address((ip, 9).into())).expect("let in")
    };
    for _ in 0..5 {
        let conn = connect(&mut hub, [192, 0, 2, 1]);
        assert!(told(&mut hub, conn, "/auth x").concat().contains("not well formed"));
    }
    // Not even the right proof is listened to.
    let conn = connect(&mut hub, [192, 0, 2, 1]);
    let good = token("ann", NOW + 3_600);
    assert_eq!(told(&mut hub, conn, &format!("/auth {good}"))[0], "error: auth: too many failures; try again in 60 s");
    assert!(hub.is_closed(conn));
    let other = connect(&mut hub, [192, 0, 2, 2]);
    assert_eq!(told(&mut hub, other, &format!("/auth {good}")), ["notice: you are ann"]);
    hub.advance(Duration::from_secs(61));
    let conn = connect(&mut hub, [192, 0, 2, 1]);
    assert_eq!(told(&mut hub, conn, &format!("/auth {good}")), ["notice: you are ann"]);
    // What is no proof costs a try, and not the address.
    for _ in 0..9 {
        let conn = connect(&mut hub, [192, 0, 2, 3]);
        assert_eq!(told(&mut hub, conn, "hello"), ["error: auth: prove who you are first"]);
    }
    let conn = connect(&mut hub, [192, 0, 2, 3]);
    assert_eq!(told(&mut hub, conn, &format!("/auth {good}")), ["notice: you are ann"]);
    // One user, from many addresses.
    let mut refused = 0;
    for address in 0..60 {
        let conn = connect(&mut hub, [198, 51, 100, address]);
        let answer = scram(&mut hub, conn, "root", "guess");
        refused += u32::from(answer.contains("too many failures"));
    }
    assert_eq!(refused, 10);
}

#[test]
fn strangers_who_guess_do_not_lock_a_user_out() {
    let mut hub = lines(layer());
    let at = |hub: &mut Guarded<Accounts>, address: [u8; 4]| {
        hub.try_connect(ListenerId(0), Peer::Address((address, 9).into())).expect("let in")
    };
    let owner = at(&mut hub, [192, 0, 2, 1]);
    assert!(scram(&mut hub, owner, "root", "t0psecret").contains("auth_ok"));
    for stranger in 0..60 {
        let conn = at(&mut hub, [198, 51, 100, stranger]);
        scram(&mut hub, conn, "root", "guess");
    }
    let stranger = at(&mut hub, [203, 0, 113, 1]);
    assert!(scram(&mut hub, stranger, "root", "guess").contains("too many failures"));
    let again = at(&mut hub, [192, 0, 2, 1]);
    assert!(scram(&mut hub, again, "root", "t0psecret").contains("auth_ok"), "the owner is where they were before");
}

#[test]
fn who_does_not_exist_looks_like_who_does() {
    let only_root =
        Accounts::new().user("root", Credentials::new("t0psecret", b"0123456789abcdef", 10_000).expect("good"), []);
    let mut hub = lines(Authentication::new(only_root.expect("a name"), [3; 32]));
    let mut shapes = Vec::new();
    for user in ["root", "nobody", "nobody"] {
        let conn = hub.connect();
        let first = told(&mut hub, conn, &format!("/auth scram n,,n={user},r=0123456789abcdef")).concat();
        let salt = first.split(",s=").nth(1).expect("a salt").split(',').next().expect("a salt").to_owned();
        shapes.push((first.len(), first.split(",i=").nth(1).map(ToOwned::to_owned), salt));
    }
    assert_eq!((shapes[0].0, &shapes[0].1), (shapes[1].0, &shapes[1].1));
    assert_eq!(shapes[1].2, shapes[2].2, "the same salt each time");
}

#[test]
fn a_user_connects_once_or_twice_as_the_policy_says() {
    for (policy, first_closed, second_closed, reason) in [
        (DuplicateLogin::KeepBoth, false, false, Reason::Application),
        (DuplicateLogin::RefuseNew, false, true, Reason::Forbidden),
        (DuplicateLogin::ReplaceOld, true, false, Reason::Replaced),
    ] {
        let mut hub = lines(layer().duplicates(policy));
        let (first, second, other) = (hub.connect(), hub.connect(), hub.connect());
        for (conn, user) in [(first, "ann"), (other, "bob"), (second, "ann")] {
            hub.line(conn, &format!("/auth {}", token(user, NOW + 60)));
        }
        let closed = [first, second, other].map(|conn| hub.is_closed(conn));
        assert_eq!(closed, [first_closed, second_closed, false], "{policy:?}");
        assert_eq!(hub.ended(reason), u64::from(first_closed || second_closed));
        // Whoever is in can be talked to, and the place is free again after them.
        hub.end(first);
        hub.end(second);
        let third = hub.connect();
        assert_eq!(told(&mut hub, third, &format!("/auth {}", token("ann", NOW + 60))), ["notice: you are ann"]);
    }
}

#[test]
fn whom_tls_knows_by_a_certificate_proves_nothing_more() {
    for (policy, second_closed) in [(DuplicateLogin::KeepBoth, false), (DuplicateLogin::RefuseNew, true)] {
        let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
        let config = Config::listening([Listen { tls: Some(Tls::elsewhere()), ..listen }]);
        let mut hub: Guarded<Accounts> =
            TestHub::with_config(config, Inside::default().within(layer().duplicates(policy)));
        let [first, second, unknown] = [hub.connect(), hub.connect(), hub.connect()];
        let known = Secured { user: Some("ann".into()), ..Secured::default() };
        hub.secured(first, &known);
        hub.secured(unknown, &Secured::default());
        assert_eq!(told(&mut hub, first, "hello"), ["ann: hello"]);
        assert_ne!(told(&mut hub, unknown, "hello"), ["nobody: hello"]);
        assert_eq!(log(&hub), ["ann opened -", "ann authenticated"]);
        hub.secured(second, &known);
        assert_eq!((hub.is_closed(first), hub.is_closed(second)), (false, second_closed));
    }
}

/// Asks somebody else, who takes their time.
struct Slow;

impl Provider<(ConnId, Option<String>)> for Slow {
    fn token(&mut self, _: ConnId, _: &str, _: Option<UnixTime>) -> Verdict {
        Verdict::Pending
    }

    fn note(&mut self, (conn, user): (ConnId, Option<String>)) -> Result<(ConnId, Verdict), (ConnId, Option<String>)> {
        match user.as_deref() {
            Some("for the application") => Err((conn, user)),
            Some(user) => Ok((conn, Verdict::Accepted(Identity::user(user)))),
            None => Ok((conn, Verdict::Refused("unknown to the directory".into()))),
        }
    }
}

#[test]
fn a_slow_provider_is_waited_for_until_the_deadline() {
    let limits = AuthenticationLimits { deadline: Duration::from_secs(10), ..AuthenticationLimits::default() };
    let mut hub = TestHub::new(Inside::default().within(Authentication::new(Slow, [3; 32]).limits(limits)));
    let [good, bad, never] = [hub.connect(), hub.connect(), hub.connect()];
    for conn in [good, bad, never] {
        hub.line(conn, "/auth x");
    }
    // What is said meanwhile is served when it is known who says it.
    assert_eq!(told(&mut hub, good, "hello?"), Vec::<String>::new());
    hub.clear();
    hub.note((good, Some("ann".into())));
    hub.note((bad, None));
    hub.note((bad, Some("for the application".into())));
    hub.advance(Duration::from_nanos(1));
    assert_eq!(hub.lines(good), ["notice: you are ann", "ann: hello?"]);
    assert_eq!(hub.lines(bad), ["error: auth: unknown to the directory"]);
    assert_eq!(told(&mut hub, good, "hello"), ["ann: hello"]);
    hub.advance(Duration::from_secs(10));
    assert!(hub.is_closed(never) && hub.is_closed(bad) && !hub.is_closed(good));
    hub.note((never, Some("eve".into())));
    // Who is known is looked up again one at a time, and not for ever.
    for _ in 0..3 {
        hub.line(good, "/auth guess");
        assert_eq!(told(&mut hub, good, "/auth guess"), ["error: auth: you are being looked up"]);
        assert_eq!(told(&mut hub, good, "hello"), ["ann: hello"]);
        hub.note((good, None));
    }
    assert!(hub.is_closed(good));
    assert_eq!(
        log(&hub),
        ["ann opened -", "ann authenticated", "note Some(\"for the application\")", "ann closed unauthorized"]
    );
}

#[test]
fn a_token_that_is_good_once_is_so_also_when_the_keys_are_loaded_anew() {
    let once = || Accounts::new().tokens(Tokens::new(key()).single_use(9));
    let mut hub = lines(Authentication::new(once(), [3; 32]));
    let claims = Claims { sub: "ann".into(), exp: Some(NOW + 60), jti: Some("1".into()), ..Claims::default() };
    let token = key().sign(&claims).expect("it signs");
    let (first, second, third) = (hub.connect(), hub.connect(), hub.connect());
    assert_eq!(told(&mut hub, first, &format!("/auth {token}")), ["notice: you are ann"]);
    assert_eq!(told(&mut hub, second, &format!("/auth {token}")), ["error: auth: the token was used before"]);
    hub.with_handler(|handler| *handler.layer_mut().provider_mut() = once());
    assert_eq!(told(&mut hub, third, &format!("/auth {token}")), ["error: auth: the token was used before"]);
    // Nor does it renew anything a second time.
    assert_eq!(told(&mut hub, first, &format!("/auth {token}")), ["error: auth: the token was used before"]);
    let unnamed = key().sign(&Claims { jti: None, ..claims }).expect("it signs");
    assert_eq!(told(&mut hub, third, &format!("/auth {unnamed}")), ["error: auth: the token was used before"]);
}

#[test]
fn a_password_that_changes_during_an_exchange_is_no_longer_good() {
    let mut hub = lines(layer().dialogue());
    let conn = hub.connect();
    let client = Client::new("root", "t0psecret", "0123456789abcdef").expect("printable");
    let first = told(&mut hub, conn, &format!("/auth scram {}", client.first())).concat();
    let (last, _) = client.answer(first.strip_prefix("scram ").expect("an answer")).expect("good");
    hub.with_handler(|handler| *handler.layer_mut().provider_mut() = Accounts::new());
    let answer = told(&mut hub, conn, &format!("/auth scram {last}")).concat();
    assert!(answer.contains("the password has changed") && log(&hub).is_empty(), "{answer}");
}

#[test]
fn a_password_is_hashed_where_nobody_waits_for_it() {
    let config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]);
    let mut machine = Machine::new(config, Echo.within(layer().dialogue()));
    machine.takes_jobs(Time::START);
    machine.started(Time::START);
    let mut connect = |last: u8| {
        machine.accepted(Time::START, ListenerId(0), Peer::Address(([192, 0, 2, last], 9).into())).expect("let in")
    };
    let [first, same_address, other] = [connect(1), connect(1), connect(2)];
    let heard = |machine: &mut Machine<_>, conn: ConnId| {
        let bytes = machine.intent(conn).map(|intent| intent.transmit.slices().collect::<Vec<_>>().concat());
        let bytes = bytes.unwrap_or_default();
        machine.wrote(Time::START, conn, bytes.len());
        String::from_utf8(bytes).expect("text")
    };
    for conn in [first, same_address, other] {
        machine.received(
            Time::START,
            conn,
            &mut b"root
t0psecret
hello
"
            .to_vec(),
        );
        assert_eq!(heard(&mut machine, conn), "user: password: ", "nothing was hashed yet");
        assert!(!machine.intent(conn).expect("open").read, "what it says comes after");
    }
    // Of each address one password at a time.
    let work: Vec<_> = std::iter::from_fn(|| machine.take_job()).collect();
    assert_eq!(work.iter().map(drupe_core::Job::conn).collect::<Vec<_>>(), [first, other]);
    for (work, nanos) in work.into_iter().zip(1..) {
        let (conn, outcome) = (work.conn(), work.run());
        machine.job_done(Time::START, conn, outcome);
        machine.elapsed(Time::from_nanos(nanos));
        assert_eq!(
            heard(&mut machine, conn),
            "notice: you are root
hello
"
        );
    }
    let work = machine.take_job().expect("it is its turn");
    assert_eq!(work.conn(), same_address);
    // It does not wait for it, and then nobody is told of it.
    machine.failed(Time::START, same_address, drupe_core::Failure::Reset);
    machine.job_done(Time::START, same_address, work.run());
    assert!(machine.take_job().is_none());
    assert_eq!(machine.metrics().authenticated, 2);
}

#[test]
fn an_address_that_guesses_on_many_connections_has_few_of_them_hashed() {
    let config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]).unlimited();
    let mut machine = Machine::new(config, Echo.within(layer().dialogue()));
    machine.takes_jobs(Time::START);
    machine.started(Time::START);
    let peer = Peer::Address(([192, 0, 2, 1], 9).into());
    for _ in 0..500 {
        let conn = machine.accepted(Time::START, ListenerId(0), peer).expect("let in");
        machine.received(
            Time::START,
            conn,
            &mut b"root
guess
"
            .to_vec(),
        );
    }
    let mut hashed = 0;
    while let Some(work) = machine.take_job() {
        assert!(machine.take_job().is_none(), "one at a time");
        hashed += 1;
        machine.job_done(Time::START, work.conn(), false);
    }
    assert_eq!(hashed, 5, "as many as it may be wrong");
    assert_eq!(machine.metrics().ended.get(Reason::Unauthorized), 495, "the others are refused");
}

#[test]
fn no_secret_is_shown_by_debug_logs_or_metrics() {
    let (send, logged) = channel::<String>();
    let inside = Inside::default().within(layer().dialogue());
    let mut hub =
        TestHub::new(inside.within(Logging::new(move |line: &str| drop(send.send(line.into()))).with_messages()));
    let (one, two) = (hub.connect(), hub.connect());
    let token = token("ann", NOW + 60);
    hub.line(one, &format!("/auth {token}"));
    hub.line(two, "root");
    hub.line(two, "t0psecret");
    hub.end(two);
    let logged: String = logged.try_iter().collect();
    assert!(logged.contains("authenticated: root") && logged.contains("authenticated: ann"));
    let shown = format!("{:?} {:?}", layer(), accounts());
    let metrics = hub.machine().metrics().exposition();
    for text in [logged, shown, metrics, format!("{:?}", hub.machine())] {
        for secret in [&token, "t0psecret", "mellon", "3, 3, 3", "7, 7, 7"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn who_is_known_and_wrong_too_often_is_so_no_longer() {
    let mut hub = lines(layer());
    let conn = hub.connect();
    hub.line(conn, &format!("/auth {}", token("ann", NOW + 60)));
    for _ in 0..3 {
        hub.line(conn, "/auth nonsense");
    }
    assert!(hub.is_closed(conn));
    assert_eq!((hub.ended(Reason::Unauthorized), hub.machine().metrics().authentication_failures), (1, 3));
}

#[test]
fn what_a_person_types_as_a_password_is_one_whatever_it_looks_like() {
    for password in ["{secret", "/auth me", "/auth scram x", " spaces "] {
        let accounts = Accounts::new().user("ann", credentials(password), []).expect("a name");
        let mut hub = lines(Authentication::new(accounts, [3; 32]).dialogue());
        let conn = hub.connect();
        hub.line(conn, "ann");
        assert_eq!(told(&mut hub, conn, password), ["notice: you are ann"], "{password}");
    }
    // After a command that was wrong, a person is asked again.
    let mut hub = lines(layer().dialogue());
    let conn = hub.connect();
    assert_eq!(told(&mut hub, conn, "/auth x"), ["error: auth: the token is not well formed", "user: "]);
}

#[test]
fn a_program_that_answers_a_prompt_in_json_has_lines_of_its_own() {
    let mut hub = lines(layer().dialogue());
    let conn = hub.connect();
    hub.line(conn, &format!(r#"{{"type":"auth","token":"{}"}}"#, token("ann", NOW + 60)));
    assert_eq!(hub.lines(conn), ["user: ", r#"{"type":"auth_ok","user":"ann"}"#]);
}

/// Keeps the names of all that it is told.
#[derive(Default)]
struct Names(Vec<&'static str>);

impl Handler for Names {
    type Context = ();
    type Note = (ConnId, Option<String>);

    fn on(&mut self, _: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        self.0.push(match event {
            Event::Opened { .. } => "opened",
            Event::InputEnded { .. } => "input ended",
            Event::Stalled { .. } => "stalled",
            Event::Drained { .. } => "drained",
            Event::Closed { .. } => "closed",
            _ => return,
        });
    }
}

#[test]
fn what_happened_before_somebody_was_known_is_told_after() {
    let config = Config::listening(["tcp://127.0.0.1:1?half_open=yes".parse::<Listen>().expect("good")]);
    let mut hub = TestHub::with_config(config, Names::default().within(Authentication::new(Slow, [3; 32])));
    let (good, bad, silent) = (hub.connect(), hub.connect(), hub.connect());
    for conn in [good, bad] {
        hub.line(conn, "/auth x");
        hub.end(conn);
    }
    hub.end(silent);
    assert!(hub.is_closed(silent), "nothing more can come");
    hub.note((good, Some("ann".into())));
    hub.note((bad, None));
    hub.advance(Duration::from_nanos(1));
    assert!(hub.is_closed(bad));
    assert_eq!(hub.handler().inner().0, ["opened", "input ended"]);
}

#[test]
fn a_trace_has_no_secret_unless_it_is_verbatim_and_then_it_replays() {
    let config = || Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]);
    let machine = || {
        let mut machine = Machine::new(config(), Echo.within(layer().dialogue()));
        machine.clock_set(Time::START, UnixTime::from_secs(NOW));
        machine
    };
    for verbatim in [false, true] {
        let trace = SharedTrace::new();
        let mut recorded = machine();
        let recorder = trace.recorder();
        recorded.record(if verbatim { recorder.verbatim() } else { recorder });
        recorded.started(Time::START);
        let conn = recorded.accepted(Time::START, ListenerId(0), Peer::Local).expect("let in");
        recorded.received(Time::START, conn, &mut b"root\nt0psecret\nhello\n".to_vec());
        let answer: Vec<u8> = recorded.intent(conn).expect("open").transmit.slices().flatten().copied().collect();
        recorded.wrote(Time::START, conn, answer.len());
        assert!(answer.ends_with(b"you are root\nhello\n"));
        let text = trace.text();
        assert_eq!(text.contains("t0psecret"), verbatim, "{text}");
        let replayed = replay(&text, &mut machine()).expect("what is written is read");
        assert_eq!(replayed.written.get(&conn) == Some(&answer), verbatim);
        assert_eq!(text.contains(&format!("received {conn} concealed 21\n")), !verbatim);
    }
}
