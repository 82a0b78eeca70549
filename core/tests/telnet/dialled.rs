//! Telnet that is dialled: a whole client in virtual time, alone and connected to our own server.

use super::Recorder;
use drupe_core::telnet::{Command, Delivery, Side, Signal, TelnetClient, option};
use drupe_core::testing::TestHub;
use drupe_core::wire::Wire;
use drupe_core::{Config, ConnId, Dial, Event, Handler, Hub, Listen, Origin, Peer};
use std::time::Duration;

/// Dials once, records its events, and runs the function in each note.
struct Caller {
    telnet: TelnetClient,
    conn: Option<ConnId>,
    told: Vec<String>,
    /// Whether the last note succeeded.
    succeeded: bool,
}

type Act = Box<dyn FnOnce(&mut Hub<'_, ()>, ConnId) -> bool>;

impl Handler for Caller {
    type Context = ();
    type Note = Act;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Act>) {
        match event {
            Event::Note(act) => self.succeeded = self.conn.is_some_and(|conn| act(hub, conn)),
            Event::Started => {
                let mut dial: Dial = "telnet://example.org:23".parse().expect("well formed");
                dial.protocol = Wire::TelnetClient(self.telnet).into();
                hub.dial(dial);
            }
            Event::Opened { conn, origin: Origin::Dial(_), .. } => self.conn = Some(conn),
            Event::Message { payload, .. } => {
                self.told.push(format!("message {:?}", payload.as_str().unwrap_or("not text")));
            }
            Event::Signal { signal: Signal::Option { .. }, .. } => {}
            Event::Signal { signal: Signal::Prompt(text), .. } => {
                self.told.push(format!("prompt {:?}", text.as_str().unwrap_or("not text")));
            }
            Event::Signal { signal, .. } => self.told.push(format!("{signal:?}")),
            Event::Closed { reason, .. } => self.told.push(format!("closed {reason}")),
            _ => {}
        }
    }
}

fn caller(telnet: TelnetClient) -> (TestHub<Caller>, ConnId) {
    let mut hub =
        TestHub::with_config(Config::default(), Caller { telnet, conn: None, told: Vec::new(), succeeded: false });
    let (dial, _) = hub.machine().dials().next().expect("it dials");
    let conn = hub.dialed(dial, Peer::Local).expect("it is wanted");
    assert_eq!(hub.handler().conn, Some(conn));
    (hub, conn)
}

fn told(hub: &mut TestHub<Caller>) -> Vec<String> {
    hub.with_handler(|caller| std::mem::take(&mut caller.told))
}

/// Lets the handler act. Returns what `act` does.
fn act(hub: &mut TestHub<Caller>, act: impl FnOnce(&mut Hub<'_, ()>, ConnId) -> bool + 'static) -> bool {
    hub.note(Box::new(act));
    hub.handler().succeeded
}

/// A client and our own server, on a connection without delay.
struct Pair {
    client: TestHub<Caller>,
    here: ConnId,
    server: TestHub<Recorder>,
    there: ConnId,
}

impl Pair {
    fn new(telnet: TelnetClient, options: &str) -> Self {
        let listen: Listen = format!("telnet://127.0.0.1:0{options}").parse().expect("well formed");
        let mut server = TestHub::with_config(Config::listening([listen]), Recorder::default());
        let ((client, here), there) = (caller(telnet), server.connect());
        let mut pair = Self { client, here, server, there };
        pair.settle();
        pair
    }

    /// Passes bytes between both ends until neither has more to send.
    fn settle(&mut self) {
        for _ in 0..100 {
            let to_server = self.client.received(self.here).to_vec();
            self.client.clear();
            self.server.send(self.there, &to_server);
            let to_client = self.server.received(self.there).to_vec();
            self.server.clear();
            self.client.send(self.here, &to_client);
            if to_server.is_empty() && to_client.is_empty() {
                return;
            }
        }
        panic!("the ends never stop sending");
    }

    fn act(&mut self, does: impl FnOnce(&mut Hub<'_, ()>, ConnId) -> bool + 'static) -> bool {
        let succeeded = act(&mut self.client, does);
        self.settle();
        succeeded
    }

    fn send(&mut self, line: &'static str) {
        assert!(self.act(move |hub, conn| hub.send(conn, line)));
    }

    fn write(&mut self, keys: &'static str) {
        assert!(self.act(move |hub, conn| hub.write(conn, keys)));
    }

    fn told(&mut self) -> Vec<String> {
        told(&mut self.client)
    }

    /// The events of the server's handler, except those about options and the terminal.
    fn told_there(&mut self) -> Vec<String> {
        let told = self.server.with_handler(|recorder| std::mem::take(&mut recorder.told));
        let is_told =
            |words: &String| words.starts_with("line") || words.starts_with("Key") || words.starts_with("Gmcp");
        told.into_iter().filter(is_told).collect()
    }
}

fn described() -> TelnetClient {
    TelnetClient::default().types("DRUPE,XTERM,MTTS 5".parse().expect("well formed")).size(Some((91, 33)))
}

#[test]
fn server_in_line_mode_receives_lines_and_hides_passwords() {
    let mut pair = Pair::new(described(), "");
    let terminal = pair.server.terminal(pair.there).expect("telnet").clone();
    assert_eq!(
        (&*terminal.types, terminal.columns, terminal.rows),
        (&["DRUPE".into(), "XTERM".into()][..], Some(91), Some(33))
    );
    assert!(terminal.mtts.is_some_and(|mtts| mtts.has(5)) && terminal.environment.is_empty());
    pair.send("grüße \u{ff}");
    assert_eq!(
        (pair.told_there(), pair.told()),
        (vec!["line grüße \u{ff}".into()], vec!["message \"grüße \u{ff}\"".into()])
    );
    pair.send(":password");
    assert_eq!(pair.told(), ["ClientMode(Hidden)", "prompt \"password: \""]);
    pair.send(":silent");
    // The client echoes again. The server ended the line, because the client did not show it.
    assert_eq!(pair.told(), ["ClientMode(Line)", "message \"\""]);
    pair.send(":prompt");
    assert_eq!(pair.told(), ["prompt \"name> \""]);
    assert!(pair.act(|hub, conn| hub.set_window_size(conn, 100, 40)));
    assert_eq!(pair.server.terminal(pair.there).and_then(|terminal| terminal.columns), Some(100));
    pair.send(":quit");
    assert!(pair.told().contains(&"message \"bye\"".to_owned()));
}

#[test]
fn server_in_character_mode_edits_and_echoes_each_key() {
    let mut pair = Pair::new(described().delivery(Delivery::Stream), "?mode=character");
    assert_eq!(pair.told().last().map(String::as_str), Some("ClientMode(Character)"));
    pair.write("helo\u{1b}[Dl");
    let heard = pair.told();
    assert!(heard.iter().any(|words| words.contains("hel")), "{heard:?}");
    assert_eq!(pair.told_there(), Vec::<String>::new());
    pair.write("\r");
    assert_eq!(pair.told_there(), ["line hello"]);
    assert!(pair.told().concat().contains("hello\\r\\n"));
    pair.write(":line\r");
    assert!(pair.told().contains(&"ClientMode(Line)".to_owned()));
    pair.send(":keys");
    assert!(pair.told().contains(&"ClientMode(Character)".to_owned()));
    pair.told_there();
    pair.write("x\u{1b}[Aü");
    assert_eq!(pair.told_there(), ["Key(Char('x'))", "Key(Up)", "Key(Char('ü'))"]);
}

#[test]
fn options_of_muds_pass_in_both_directions() {
    let mut pair = Pair::new(TelnetClient::default().gmcp(true).compress(true), "?gmcp=yes&compress=yes");
    assert!(pair.act(|hub, conn| hub.gmcp(conn, "Core.Hello", "{\"client\":\"drupe\"}")));
    assert_eq!(pair.told_there().len(), 1);
    pair.send(":gmcp");
    assert_eq!(pair.told(), ["Gmcp { package: \"Core.Ping\", data: \"\" }"]);
    // The server compresses from here on.
    let long = "x".repeat(5_000);
    let line = long.clone();
    assert!(act(&mut pair.client, move |hub, conn| hub.send(conn, line.as_str())));
    let sent = pair.client.received(pair.here).to_vec();
    pair.client.clear();
    pair.server.send(pair.there, &sent);
    assert!(pair.server.received(pair.there).len() < 500, "it is compressed");
    pair.settle();
    assert_eq!(pair.told(), [format!("message {long:?}")]);
    // The server ends the compressed stream meanwhile, and begins another one.
    pair.server.advance(Duration::from_secs(61));
    pair.settle();
    pair.send(":gmcp");
    assert_eq!(pair.told(), ["Gmcp { package: \"Core.Ping\", data: \"\" }"]);
    // By default, none of these options is on.
    let mut plain = Pair::new(TelnetClient::default(), "?gmcp=yes&compress=yes");
    assert!(!plain.act(|hub, conn| hub.gmcp(conn, "Core.Hello", "")));
    assert!(plain.act(|hub, conn| hub.enable_option(conn, Side::Him, option::MXP)));
    plain.send(":mxp");
    assert!(plain.act(|hub, conn| hub.subnegotiate(conn, option::MXP, b"x")));
}

#[test]
fn unmarked_prompt_is_reported_after_the_wait_and_never_times_out() {
    let (mut hub, conn) = caller(TelnetClient::default());
    hub.send(conn, b"Welcome\r\nlogin: ");
    assert_eq!(told(&mut hub), ["message \"Welcome\""]);
    hub.advance(Duration::from_millis(499));
    assert_eq!(told(&mut hub), Vec::<String>::new());
    hub.advance(Duration::from_millis(1));
    assert_eq!(told(&mut hub), ["prompt \"login: \""]);
    // The deadline of a message does not apply to a prompt that waits for an answer.
    hub.advance(Duration::from_secs(600));
    hub.send(conn, b"ok\r\n# ");
    assert_eq!(told(&mut hub), ["message \"ok\""]);
    // The rest at the end of the input is a message.
    hub.end(conn);
    assert_eq!(told(&mut hub)[0], "message \"# \"");
    // Each piece that arrives restarts the wait.
    let (mut hub, conn) = caller(TelnetClient::default().prompt_after(Some(Duration::from_secs(1))));
    for _ in 0..10 {
        hub.send(conn, b".");
        hub.advance(Duration::from_millis(900));
    }
    assert_eq!(told(&mut hub), Vec::<String>::new());
    let (mut hub, conn) = caller(TelnetClient::default().prompt_after(None));
    hub.send(conn, b"login: ");
    hub.advance(Duration::from_secs(5));
    assert_eq!(told(&mut hub), Vec::<String>::new());
    hub.send(conn, b"\xff\xf9");
    assert_eq!(told(&mut hub), ["prompt \"login: \""]);
    let (mut hub, conn) = caller(TelnetClient::default().prompt_after(Some(Duration::ZERO)));
    hub.send(conn, b"> ");
    hub.advance(Duration::ZERO);
    assert_eq!(told(&mut hub), ["prompt \"> \""]);
}

#[test]
fn client_keeps_alive_a_server_that_speaks_telnet() {
    let (mut hub, conn) = caller(TelnetClient::default().keep_alive(Some(Duration::from_secs(30))));
    hub.send(conn, b"hello\r\n");
    hub.advance(Duration::from_secs(100));
    assert_eq!(hub.received(conn), b"");
    hub.send(conn, b"\xff\xf1");
    hub.advance(Duration::from_secs(61));
    assert_eq!(hub.received(conn), b"\xff\xf1\xff\xf1");
    hub.clear();
    assert!(act(&mut hub, |hub, conn| hub.send_command(conn, Command::InterruptProcess)));
    assert_eq!(hub.received(conn), b"\xff\xf4");
}

#[test]
fn server_that_never_reads_cannot_make_the_client_store_more_answers_than_a_bound() {
    let (mut hub, conn) = caller(described());
    hub.set_writable(conn, 0);
    let request =
        b"\xff\xfd\x18".iter().chain(b"\xff\xfa\x18\x01\xff\xf0".repeat(50_000).iter()).copied().collect::<Vec<_>>();
    for piece in request.chunks(8_192) {
        hub.send(conn, piece);
    }
    let queued = hub.machine().metrics().queued_bytes_peak;
    // What was queued above the mark, and the answers to one piece of the input.
    assert!(queued < 300_000, "{queued} bytes of answers are stored");
}
