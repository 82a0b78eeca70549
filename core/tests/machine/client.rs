//! The reconnecting client in virtual time, and two machines that are connected to each other.

use drupe_core::kit::auth::scram::Credentials;
use drupe_core::kit::auth::{Accounts, Authentication, Claims, TokenKey, Tokens};
use drupe_core::kit::client::{Client, ClientCommand, ClientEvent, ClientOptions, Login};
use drupe_core::kit::layer::{Heartbeat, Within};
use drupe_core::kit::rpc::Rpc;
use drupe_core::kit::{App, Service};
use drupe_core::testing::TestHub;
use drupe_core::{Backoff, Config, ConnId, Dial, DialId, End, Failure, Handler, Listen, Peer};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

type Told = Box<dyn FnMut(ClientEvent<'_>) -> bool>;

const DIAL: DialId = DialId::new(0);

fn dial() -> Dial {
    let backoff = Backoff::default().jitter_percent(0);
    Dial::lines("example:1").backoff(Some(backoff))
}

fn peer() -> Peer {
    Peer::Address(([192, 0, 2, 1], 1).into())
}

/// A client, and what it is told, as words.
fn client(options: ClientOptions) -> (TestHub<Client<Told>>, Receiver<String>) {
    let (send, told) = channel();
    let tell: Told = Box::new(move |event| {
        let words = match event {
            ClientEvent::Message(payload) => format!("message {}", payload.as_str().expect("text")),
            ClientEvent::Answered { number, result } => format!("answer {number}: {result:?}"),
            other => format!("{other:?}"),
        };
        let goes_on = !words.contains("stop");
        send.send(words).expect("the test listens");
        goes_on
    });
    let config = options.config.clone();
    (TestHub::with_config(config, Client::new(options, [5; 32], tell)), told)
}

fn heard(told: &Receiver<String>) -> Vec<String> {
    told.try_iter().collect()
}

#[test]
fn client_reconnects_and_renews_its_subscriptions() {
    let (mut hub, told) = client(ClientOptions::new(dial()));
    let subscribe = |key: &str, message: &str| ClientCommand::Subscribe(key.into(), message.into());
    hub.note(ClientCommand::Send("too early".into()));
    hub.note(subscribe("news", "/join news"));
    let conn = hub.dialed(DIAL, peer()).expect("wanted");
    hub.note(subscribe("sport", "/join sport"));
    hub.note(subscribe("news", "/join weather"));
    hub.note(ClientCommand::Send("hello".into()));
    assert_eq!(hub.lines(conn), ["/join news", "/join sport", "/join weather", "hello"]);
    hub.line(conn, "welcome");
    hub.fail(conn, Failure::Reset);
    assert_eq!(heard(&told), ["Unsent", "Connected(Address(192.0.2.1:1))", "message welcome", "Disconnected(Reset)"]);
    hub.advance(Duration::from_secs(1));
    hub.dial_failed(DIAL, Failure::Refused);
    assert_eq!(heard(&told), ["DialFailed(Refused, Some(2s))"]);
    hub.advance(Duration::from_secs(2));
    hub.note(ClientCommand::Unsubscribe("sport".into()));
    let again = hub.dialed(DIAL, peer()).expect("wanted");
    assert_eq!(hub.lines(again), ["/join weather"]);
    hub.note(ClientCommand::Close);
    assert!(hub.is_closed(again) && hub.machine().is_drained());
    assert_eq!(heard(&told), ["Connected(Address(192.0.2.1:1))", "Disconnected(Application)", "Ended"]);
}

#[test]
fn client_once_dials_once_and_reports_its_end_once() {
    let (mut hub, told) = client(ClientOptions::once(dial()));
    hub.dial_failed(DIAL, Failure::Refused);
    assert_eq!(heard(&told), ["DialFailed(Refused, None)", "Ended"]);
    let (mut hub, told) = client(ClientOptions::once(dial()));
    let conn = hub.dialed(DIAL, peer()).expect("wanted");
    hub.end(conn);
    assert_eq!(heard(&told)[1..], ["Disconnected(PeerClosed)", "Ended"]);
    assert!(hub.machine().is_drained());
    let (mut hub, told) = client(ClientOptions::new(dial()));
    hub.note(ClientCommand::Close);
    hub.note(ClientCommand::Close);
    assert_eq!(heard(&told), ["Ended"]);
    assert!(hub.machine().is_drained());
}

#[test]
fn client_calls_return_a_response_or_an_error() {
    let (mut hub, receiver) = client(ClientOptions::new(dial()));
    let call = |number| ClientCommand::Call {
        number,
        method: "add".into(),
        params: "[1,2]".into(),
        deadline: Duration::from_secs(5),
    };
    hub.note(call(1));
    let conn = hub.dialed(DIAL, peer()).expect("wanted");
    (2..6).for_each(|number| hub.note(call(number)));
    assert_eq!(hub.lines(conn)[0], r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#);
    hub.line(conn, r#"{"jsonrpc":"2.0","id":2,"result":[3]}"#);
    hub.line(conn, r#"{"jsonrpc":"2.0","id":1,"error":{"code":7,"message":"no"}}"#);
    hub.line(conn, r#"{"jsonrpc":"2.0","id":2,"result":4}"#);
    hub.line(conn, r#"{"jsonrpc":"2.0","method":"tell","params":{}}"#);
    hub.advance(Duration::from_secs(4));
    hub.note(call(6));
    hub.advance(Duration::from_secs(1));
    hub.end(conn);
    let told = heard(&receiver);
    assert_eq!(told[1], "answer 2: Ok(\"[3]\")");
    assert!(told[2].starts_with("answer 1: Err(Remote("), "{}", told[2]);
    assert_eq!(
        told[3..],
        [
            r#"message {"jsonrpc":"2.0","id":2,"result":4}"#,
            r#"message {"jsonrpc":"2.0","method":"tell","params":{}}"#,
            "answer 3: Err(TimedOut)",
            "answer 4: Err(TimedOut)",
            "answer 5: Err(TimedOut)",
            "answer 6: Err(Closed)",
            "Disconnected(PeerClosed)",
        ]
    );
    // Without a connection a call waits for one, until its deadline.
    hub.note(call(7));
    hub.advance(Duration::from_secs(5));
    hub.note(call(8));
    let again = hub.dialed(DIAL, peer()).expect("wanted");
    assert_eq!(hub.lines(again).len(), 1);
    hub.note(ClientCommand::Close);
    hub.note(call(9));
    assert_eq!(
        heard(&receiver),
        [
            "answer 7: Err(TimedOut)",
            "Connected(Address(192.0.2.1:1))",
            "answer 8: Err(Closed)",
            "Disconnected(Application)",
            "Ended",
            "answer 9: Err(Closed)",
        ]
    );
}

#[test]
fn client_finish_receives_the_rest_without_reconnecting() {
    let (mut hub, told) = client(ClientOptions::new(dial()));
    let conn = hub.dialed(DIAL, peer()).expect("wanted");
    hub.set_writable(conn, 3);
    hub.note(ClientCommand::Send("hello".into()));
    hub.note(ClientCommand::Finish);
    hub.note(ClientCommand::Send("too late".into()));
    assert_eq!(
        (hub.received(conn), hub.machine().intent(conn).map(|intent| intent.end)),
        (&b"hel"[..], Some(End::Open))
    );
    hub.line(conn, "the rest");
    hub.set_writable(conn, 10);
    assert_eq!(hub.lines(conn), ["hello"]);
    hub.advance(Duration::from_secs(100));
    assert_eq!(
        heard(&told),
        ["Connected(Address(192.0.2.1:1))", "message the rest", "Disconnected(PeerClosed)", "Ended"]
    );
    assert!(hub.machine().is_drained());
}

#[test]
fn client_pauses_reading_until_resumed() {
    let (mut hub, told) = client(ClientOptions::new(dial()));
    let conn = hub.dialed(DIAL, peer()).expect("wanted");
    hub.line(conn, "stop");
    assert!(!hub.machine().intent(conn).expect("open").read);
    hub.note(ClientCommand::Resume);
    assert!(hub.machine().intent(conn).expect("open").read);
    assert_eq!(heard(&told)[1..], ["message stop"]);
}

/// A server and a client, and the wire between them.
struct Pair<H: Handler> {
    server: TestHub<H>,
    client: TestHub<Client<Told>>,
    ends: Option<(ConnId, ConnId)>,
    carried: (usize, usize),
}

impl<H: Handler> Pair<H> {
    fn connect(server: H, address: &str, options: ClientOptions) -> (Self, Receiver<String>) {
        let config = Config::listening([address.parse::<Listen>().expect(address)]);
        let mut server = TestHub::with_config(config, server);
        let (mut client, told) = client(options);
        let ends = (server.connect(), client.dialed(DIAL, peer()).expect("wanted"));
        let mut pair = Self { server, client, ends: Some(ends), carried: (0, 0) };
        pair.carry();
        (pair, told)
    }

    /// Carries bytes until there are none.
    fn carry(&mut self) {
        let Some((here, there)) = self.ends else { return };
        loop {
            let down = self.server.received(here)[self.carried.0..].to_vec();
            let up = self.client.received(there)[self.carried.1..].to_vec();
            self.carried = (self.carried.0 + down.len(), self.carried.1 + up.len());
            if down.is_empty() && up.is_empty() {
                break;
            }
            self.client.send(there, &down);
            self.server.send(here, &up);
        }
        if self.server.is_closed(here) {
            self.client.end(there);
        }
    }
}

struct Calculator;

impl App for Calculator {
    type Context = ();
    type Note = drupe_core::NoNote;
}

fn calculator() -> impl Handler {
    let rpc = Rpc::new("calculator", "1").method("add", |_, cx, [a, b]: [i64; 2]| {
        let who = cx.user().unwrap_or("nobody").to_owned();
        Ok(format!("{who}: {}", a + b))
    });
    let key = TokenKey::hs256(&[7; 32]).expect("long enough");
    let credentials = Credentials::new("mellon", b"0123456789abcdef", 4_096).expect("a password");
    let accounts = Accounts::new().tokens(Tokens::new(key)).user("ann", credentials, []).expect("a name");
    Service::new(Calculator).rpc(rpc).within(Authentication::new(accounts, [9; 32]))
}

#[test]
fn client_logs_in_and_calls_over_every_wire() {
    let token = TokenKey::hs256(&[7; 32]).expect("long enough").sign(&Claims::of("bob").exp(Some(1_800_000_060)));
    let token = Login::Token(token.expect("it signs"));
    let password = Login::Password { user: "ann".into(), password: "mellon".into() };
    for (address, to) in [
        ("tcp://127.0.0.1:1", "tcp://example:1"),
        ("length://127.0.0.1:1?prefix=varint", "length://example:1?prefix=varint"),
        ("ws://127.0.0.1:1", "ws://example:1/"),
        ("auto://127.0.0.1:1", "ws://example:1/"),
        ("auto://127.0.0.1:1", "tcp://example:1"),
    ] {
        for (login, user) in [(&token, "bob"), (&password, "ann")] {
            let options = ClientOptions::new(to.parse().expect(to)).login(login.clone());
            let (mut pair, told) = Pair::connect(calculator(), address, options);
            pair.client.note(ClientCommand::Call {
                number: 1,
                method: "add".into(),
                params: "[2,3]".into(),
                deadline: Duration::from_secs(5),
            });
            pair.carry();
            let expected = ["Connected(Address(192.0.2.1:1))".into(), format!("answer 1: Ok(\"\\\"{user}: 5\\\"\")")];
            assert_eq!(heard(&told), expected, "{address}");
        }
    }
}

#[test]
fn client_reports_a_refused_login_without_retrying() {
    for login in [
        Login::Token("nonsense".into()),
        Login::Password { user: "ann".into(), password: "wrong".into() },
        Login::Password { user: "eve".into(), password: "mellon".into() },
        Login::Password { user: "ann".into(), password: "be\u{7}ll".into() },
        Login::Password { user: "a\u{7}".into(), password: "mellon".into() },
    ] {
        let options = ClientOptions::new(dial()).login(login);
        let (mut pair, told) = Pair::connect(calculator(), "tcp://127.0.0.1:1", options);
        pair.client.advance(Duration::from_secs(100));
        let told = heard(&told);
        assert!(told[0].starts_with("LoginFailed("), "{told:?}");
        assert_eq!(told[1..], ["Disconnected(Unauthorized)", "Ended"]);
        assert!(pair.client.machine().is_drained());
    }
}

#[test]
fn client_rejects_a_server_without_password_proof() {
    let login = Login::Password { user: "ann".into(), password: "mellon".into() };
    let (mut hub, told) = client(ClientOptions::new(dial()).login(login));
    let conn = hub.dialed(DIAL, peer()).expect("wanted");
    assert!(hub.lines(conn)[0].starts_with(r#"{"type":"auth","scram":"n,,n=ann,r="#));
    hub.line(conn, "* welcome");
    hub.line(conn, r#"{"type":"auth_ok","user":"ann"}"#);
    let told = heard(&told);
    assert_eq!(told[0], "LoginFailed(\"the server did not prove that it knows the password\")");
    // A server that never answers is given up, and dialled again.
    let login = Login::Token("x".into());
    let (mut hub, silent) = client(ClientOptions::new(dial()).login(login));
    hub.dialed(DIAL, peer()).expect("wanted");
    hub.advance(Duration::from_secs(30));
    assert_eq!(heard(&silent), ["Disconnected(AuthenticationTimeout)"]);
    hub.advance(Duration::from_secs(1));
    assert!(hub.dialed(DIAL, peer()).is_some());
}

#[test]
fn debug_of_client_login_hides_secrets() {
    let options = ClientOptions::new(dial()).login(Login::Password { user: "ann".into(), password: "mellon".into() });
    let shown = format!("{options:?} {:?}", Login::Token("abcdef".into()));
    assert!(!shown.contains("mellon") && !shown.contains("abcdef") && shown.contains("ann"), "{shown}");
}

#[test]
fn client_call_is_sent_after_a_long_message() {
    let (mut hub, told) = client(ClientOptions::new(dial()));
    let conn = hub.dialed(DIAL, peer()).expect("wanted");
    hub.note(ClientCommand::Send("x".repeat(300_000).into()));
    let deadline = Duration::from_secs(5);
    hub.note(ClientCommand::Call { number: 1, method: "add".into(), params: "[]".into(), deadline });
    assert_eq!(hub.lines(conn)[1], r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[]}"#);
    assert_eq!(heard(&told).len(), 1);
}

#[test]
fn finished_connection_cannot_join_a_room() {
    use drupe_core::{Event, Hub, JoinError, NoNote};

    struct Finishing;

    impl Handler for Finishing {
        type Context = ();
        type Note = NoNote;

        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
            if let Event::Message { conn, .. } = event {
                hub.join(conn, "before").expect("open");
                hub.finish(conn);
                assert_eq!(hub.join(conn, "after"), Err(JoinError::NotOpen));
                assert_eq!((hub.publish("before", "x"), hub.send(conn, "x"), hub.rooms().count()), (0, false, 0));
            }
        }
    }

    let mut hub = TestHub::new(Finishing);
    let conn = hub.connect();
    hub.line(conn, "go");
    assert_eq!((hub.received(conn), hub.machine().metrics().handler_panics), (&b""[..], 0));
    assert!(hub.is_closed(conn));
}

#[test]
fn client_logs_in_at_a_dialogue_prompt() {
    let credentials = Credentials::new("mellon", b"0123456789abcdef", 4_096).expect("a password");
    let accounts = Accounts::new().user("ann", credentials, []).expect("a name");
    let server = Service::new(Calculator).within(Authentication::new(accounts, [9; 32]).dialogue());
    let login = Login::Password { user: "ann".into(), password: "mellon".into() };
    let (_, told) = Pair::connect(server, "tcp://127.0.0.1:1", ClientOptions::new(dial()).login(login));
    assert_eq!(heard(&told), ["Connected(Address(192.0.2.1:1))"]);
}

/// A server with a heartbeat, and a client; what either sends is carried to the other for `seconds`.
fn heartbeat(beat: Heartbeat, options: ClientOptions, seconds: u64) -> (bool, Vec<String>, Vec<String>) {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let messages = std::sync::Arc::clone(&seen);
    let listen = drupe_core::kit::on_lines(move |_: &mut drupe_core::Hub<'_, ()>, _, line: &str| {
        messages.lock().expect("whole").push(line.to_owned());
    });
    let mut server = TestHub::new(listen.within(beat));
    let (mut client, told) = client(options);
    let there = client.dialed(DIAL, peer()).expect("wanted");
    let here = server.connect();
    for _ in 0..seconds {
        server.advance(Duration::from_secs(1));
        client.advance(Duration::from_secs(1));
        let to_client = server.received(here).to_vec();
        server.clear();
        if !to_client.is_empty() {
            client.send(there, &to_client);
        }
        let to_server = client.received(there).to_vec();
        client.clear();
        if !to_server.is_empty() {
            server.send(here, &to_server);
        }
    }
    let seen = std::mem::take(&mut *seen.lock().expect("whole"));
    (!server.is_closed(here), seen, heard(&told))
}

#[test]
fn client_answers_the_heartbeat() {
    let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(25));
    let (is_open, seen, told) = heartbeat(Heartbeat::ping(interval, timeout), ClientOptions::new(dial()), 100);
    assert!(is_open && seen.is_empty(), "the handler sees no answers: {seen:?}");
    assert_eq!(told, ["Connected(Address(192.0.2.1:1))"], "and the client's user no questions");

    let custom = || Heartbeat::new("alive?", interval, timeout);
    let answering = ClientOptions::new(dial()).answering("alive?", "yes");
    let (is_open, seen, _) = heartbeat(custom(), answering, 100);
    assert!(is_open && seen.iter().all(|line| line == "yes") && seen.len() >= 9, "{seen:?}");

    let (is_open, _, told) = heartbeat(custom(), ClientOptions::new(dial()), 100);
    assert!(!is_open && told.contains(&"message alive?".to_owned()), "nobody answers what nobody knows");
}
