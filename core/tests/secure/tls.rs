//! TLS beneath the wires, in virtual time, with the client of rustls.

use crate::tls_world::{Client, WhoAmI, World};
use drupe_core::app::{Echo, Relay};
use drupe_core::limit::Network;
use drupe_core::testing::TestHub;
use drupe_core::tls::{CertificateFiles, ClientCertificates, Secured, TicketKeys, Tls, TlsFiles};
use drupe_core::trace::{SharedTrace, replay};
use drupe_core::wire::Proxies;
use drupe_core::{Config, End, Event, Handler, Hub, Listen, ListenerId, Machine, NoNote, Peer, Reason, Time};
use rcgen::SanType;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

fn listening(tls: Tls) -> Config {
    Config::listening([Listen::lines(([127, 0, 0, 1], 0).into()).tls(Some(tls))])
}

#[test]
fn tls_serves_lines_for_any_chunking() {
    let world = World::new();
    for piece in [1, 7, 1000, usize::MAX] {
        let mut hub = TestHub::with_config(listening(world.tls(&["localhost"])), Echo);
        let conn = hub.connect();
        let mut client = Client::new(&world.client(None, &[]), "localhost", conn);
        client.piece = piece;
        client.say(&mut hub, "hello\n");
        assert_eq!((client.heard(), &client.error), ("hello\n", &None));
        let long = "x".repeat(60_000);
        client.say(&mut hub, &format!("{long}\nbye\n"));
        assert_eq!(client.heard(), format!("hello\n{long}\nbye\n"));
        let metrics = hub.machine().metrics();
        assert_eq!((metrics.tls_handshakes, metrics.bytes_in), (1, 60_000 + 11), "what is counted is plain");
        client.tls.send_close_notify();
        client.turn(&mut hub);
        assert!(client.has_closed && hub.is_closed(conn) && hub.ended(Reason::PeerClosed) == 1);
    }
}

#[test]
fn handler_sees_no_connection_before_the_tls_handshake() {
    struct Log(Vec<String>);
    impl Handler for Log {
        type Context = ();
        type Note = NoNote;
        fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
            if let Some(conn) = event.conn() {
                let tls = hub.secured(conn).map(|tls| (tls.version.clone(), tls.server_name.clone()));
                self.0.push(format!("{event:?} {tls:?}"));
            }
        }
    }
    let world = World::new();
    let mut hub = TestHub::with_config(listening(world.tls(&["localhost"])), Log(Vec::new()));
    let conn = hub.connect();
    hub.advance(Duration::from_secs(9));
    assert!(hub.handler().0.is_empty() && !hub.is_closed(conn));
    hub.advance(Duration::from_secs(2));
    assert!(hub.is_closed(conn) && hub.ended(Reason::TlsFailed) == 1 && hub.handler().0.is_empty());
    let conn = hub.connect();
    let mut client = Client::new(&world.client(None, &[]), "localhost", conn);
    client.turn(&mut hub);
    let log = &hub.handler().0;
    assert!(log.len() == 1 && log[0].contains("Opened") && log[0].contains("TLSv1.3"), "{log:?}");
    assert!(log[0].contains("localhost"), "{log:?}");
}

#[test]
fn non_tls_input_gets_only_an_alert() {
    let world = World::new();
    let mut hub = TestHub::with_config(listening(world.tls(&["localhost"])), Echo);
    for words in [&b"hello\n"[..], b"GET / HTTP/1.1\r\n\r\n", &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0], &[0xff; 40]] {
        let conn = hub.connect();
        hub.send(conn, words);
        let answer = hub.received(conn).to_vec();
        assert!(answer.is_empty() || answer[0] == 21, "an alert or nothing, not {answer:?}");
        assert!(hub.is_closed(conn), "{words:?}");
    }
    assert_eq!(hub.ended(Reason::TlsFailed), 4);
}

#[test]
fn server_name_selects_the_certificate() {
    let world = World::new();
    let certificates = vec![world.files(&["first.example"]), world.files(&["*.second.example", "third.example"])];
    let files = TlsFiles::default().certificates(certificates).protocols(vec!["http/1.1".into(), "irc".into()]);
    let mut hub = TestHub::with_config(listening(World::load(&files).expect("good")), Echo);
    for (name, is_good) in [
        ("first.example", true),
        ("a.second.example", true),
        ("THIRD.example", true),
        ("a.b.second.example", false),
        ("other.example", false),
    ] {
        let conn = hub.connect();
        let mut client = Client::new(&world.client(None, &["irc"]), name, conn);
        client.say(&mut hub, "hello\n");
        assert_eq!(client.error.is_none(), is_good, "{name}: {:?}", client.error);
        if is_good {
            assert_eq!((client.heard(), client.tls.alpn_protocol()), ("hello\n", Some(&b"irc"[..])), "{name}");
        }
    }
    let conn = hub.connect();
    let mut client = Client::new(&world.client(None, &["h2"]), "first.example", conn);
    client.turn(&mut hub);
    assert!(format!("{:?}", client.error).contains("NoApplicationProtocol"), "{:?}", client.error);
}

#[test]
fn client_certificate_identifies_the_user() {
    let world = World::new();
    let files = |clients| TlsFiles::default().certificates(vec![world.files(&["localhost"])]).clients(clients);
    let authorities = world.directory.join("ca.pem");
    for (clients, identity, outcome) in [
        (ClientCertificates::Optional(authorities.clone()), Some("ann"), Some("ann\n")),
        (ClientCertificates::Optional(authorities.clone()), None, Some("nobody\n")),
        (ClientCertificates::Required(authorities.clone()), Some("ann"), Some("ann\n")),
        (ClientCertificates::Required(authorities), None, None),
        (ClientCertificates::None, Some("ann"), Some("nobody\n")),
    ] {
        let mut hub = TestHub::with_config(listening(World::load(&files(clients.clone())).expect("good")), WhoAmI);
        let conn = hub.connect();
        let mut client = Client::new(&world.client(identity, &[]), "localhost", conn);
        client.say(&mut hub, "who am i?\n");
        match outcome {
            Some(answer) => assert_eq!(client.heard(), answer, "{clients:?} {identity:?} {:?}", client.error),
            None => assert!(hub.is_closed(conn) && hub.ended(Reason::TlsFailed) == 1),
        }
    }
    // Of an authority that nobody knows.
    let stranger = World::new();
    let clients = ClientCertificates::Required(world.directory.join("ca.pem"));
    let mut hub = TestHub::with_config(listening(World::load(&files(clients)).expect("good")), WhoAmI);
    let conn = hub.connect();
    let config = stranger.client(Some("mallory"), &[]);
    let mut client = Client::new(&config, "localhost", conn);
    client.turn(&mut hub);
    assert!(hub.machine().metrics().messages_in == 0);
}

#[test]
fn certificate_user_is_the_first_usable_alternative_name() {
    let world = World::new();
    let email = || SanType::Rfc822Name("ann@example.org".try_into().expect("ASCII"));
    let dns = || SanType::DnsName("ann.example.org".try_into().expect("ASCII"));
    let uri = || SanType::URI("spiffe://example.org/ann".try_into().expect("ASCII"));
    let address = || SanType::IpAddress([192, 0, 2, 1].into());
    for (names, common, user) in [
        (vec![email()], "other", "ann@example.org"),
        (vec![dns(), email()], "other", "ann.example.org"),
        (vec![uri()], "other", "spiffe://example.org/ann"),
        (vec![address(), uri()], "other", "spiffe://example.org/ann"),
        // An address is no user.
        (vec![address()], "ann", "ann"),
        (vec![], "ann", "ann"),
        // Nor is what could look like another name.
        (vec![], "ann\u{202e}", "nobody"),
        (vec![], "ann\0.example.org", "nobody"),
        (vec![], "", "nobody"),
    ] {
        let tls = world.asking(ClientCertificates::Required(world.authority()), &TicketKeys::new(ring::Ticketer::new));
        let mut hub = TestHub::with_config(listening(tls), WhoAmI);
        let conn = hub.connect();
        let mut client = Client::new(&world.client_named(names.clone(), common), "localhost", conn);
        client.say(&mut hub, "who am i?\n");
        assert_eq!(client.heard(), format!("{user}\n"), "{names:?} {common:?} {:?}", client.error);
    }
}

#[test]
fn tls_sessions_resume_after_a_certificate_reload() {
    let world = World::new();
    let tickets = TicketKeys::new(ring::Ticketer::new);
    let load = || {
        let files = TlsFiles::default().certificates(vec![world.files(&["localhost"])]);
        files.load(&Arc::new(ring::default_provider()), &tickets).expect("good")
    };
    let mut hub = TestHub::with_config(listening(load()), Echo);
    let config = world.client(None, &[]);
    let mut kinds = Vec::new();
    let stays = hub.connect();
    let mut old = Client::new(&config, "localhost", stays);
    old.say(&mut hub, "first\n");
    for _ in 0..2 {
        hub.reconfigure(listening(load()));
        let conn = hub.connect();
        let mut client = Client::new(&config, "localhost", conn);
        client.say(&mut hub, "hello\n");
        assert_eq!(client.heard(), "hello\n");
        kinds.push(client.tls.handshake_kind());
    }
    assert_eq!(kinds, [Some(HandshakeKind::Resumed); 2]);
    assert_eq!((hub.machine().metrics().tls_resumed, hub.machine().metrics().reloads), (2, 2));
    old.say(&mut hub, "second\n");
    assert_eq!(old.heard(), "first\nsecond\n", "who was there stays");
}

#[test]
fn slow_tls_reader_receives_all_lines_then_close_notify() {
    let world = World::new();
    let mut hub = TestHub::with_config(listening(world.tls(&["localhost"])), Relay::default());
    let (one, two) = (hub.connect(), hub.connect());
    let config = world.client(None, &[]);
    let (mut speaker, mut slow) = (Client::new(&config, "localhost", one), Client::new(&config, "localhost", two));
    speaker.turn(&mut hub);
    slow.turn(&mut hub);
    hub.set_writable(two, 0);
    let lines: Vec<_> = (0..400).map(|n| format!("{n} {}", "y".repeat(300))).collect();
    for line in &lines {
        speaker.say(&mut hub, &format!("{line}\n"));
    }
    for room in [1, 100, 5_000, 40_000, 40_000, 1_000_000] {
        hub.set_writable(two, room);
        slow.turn(&mut hub);
    }
    assert_eq!(slow.heard().lines().collect::<Vec<_>>(), lines);
    hub.command(&drupe_core::Command::Drain);
    hub.advance(Duration::from_secs(6));
    slow.turn(&mut hub);
    assert!(slow.heard().ends_with("closing (shutdown): the server is shutting down\n"), "{:?}", slow.error);
    assert!(slow.has_closed, "a last word beneath the last line");
}

#[test]
fn tls_trace_is_plaintext_and_replays_without_keys() {
    let world = World::new();
    let trace = SharedTrace::new();
    let mut machine = Machine::new(listening(world.tls(&["localhost"])).seed(Some(7)), Echo);
    machine.record(trace.recorder());
    machine.started(Time::START);
    let peer = Peer::Address(([127, 0, 0, 1], 5).into());
    let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
    let mut client =
        ClientConnection::new(world.client(None, &[]), ServerName::try_from("localhost").unwrap()).unwrap();
    client.writer().write_all(b"hello\nworld\n").expect("room");
    let mut heard = Vec::new();
    for step in 1..20 {
        let now = Time::from_millis(step);
        let mut out = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut out).expect("a vector");
        }
        if !out.is_empty() {
            machine.received(now, conn, &mut out);
        }
        while machine.next_changed().is_some() {}
        while let Some(bytes) = machine.intent(conn).map(|intent| intent.transmit.first().to_vec()) {
            if bytes.is_empty() {
                break;
            }
            client.read_tls(&mut &bytes[..]).expect("a slice");
            client.process_new_packets().expect("good");
            machine.wrote(now, conn, bytes.len());
        }
        let mut buffer = [0; 100];
        while let Ok(bytes @ 1..) = client.reader().read(&mut buffer) {
            heard.extend_from_slice(&buffer[..bytes]);
        }
        machine.turn_ended(now);
    }
    assert_eq!(heard, b"hello\nworld\n");
    let text = trace.text();
    assert!(text.contains("received 0.1 \"hello\\nworld\\n\"") && text.contains("secured 0.1 \"TLSv1.3\""), "{text}");
    let mut again = Machine::new(listening(Tls::external()).seed(Some(7)), Echo);
    let transcript = replay(&text, &mut again).expect("a good trace");
    assert_eq!(transcript.written.get(&conn).map(Vec::as_slice), Some(&b"hello\nworld\n"[..]));
}

#[test]
fn end_without_close_notify_does_not_complete_a_line() {
    let world = World::new();
    for (said, is_said, reason, told) in [
        ("pay 1\npay 100", true, Reason::PeerClosed, "pay 1\npay 100\n"),
        ("pay 1\npay 100", false, Reason::Truncated, "pay 1\nclosing (truncated)"),
        ("pay 1\npay 100\n", false, Reason::PeerClosed, "pay 1\npay 100\n"),
    ] {
        let mut hub = TestHub::with_config(listening(world.tls(&["localhost"])), Echo);
        let mut client = Client::new(&world.client(None, &[]), "localhost", hub.connect());
        client.turn(&mut hub);
        // Somebody on the way cuts what follows.
        client.say(&mut hub, said);
        if is_said {
            client.tls.send_close_notify();
            client.turn(&mut hub);
        }
        hub.end(client.conn);
        client.turn(&mut hub);
        assert_eq!(hub.ended(reason), 1);
        assert!(client.heard().starts_with(told), "{}", client.heard());
        assert!(client.has_closed, "our own end is said");
        hub.advance(Duration::from_secs(3));
        assert_eq!(hub.machine().metrics().closing, 0);
    }
}

#[test]
fn external_tls_connection_opens_on_secured() {
    let mut machine = Machine::new(listening(Tls::external()), Echo);
    let peer = Peer::Address(([127, 0, 0, 1], 5).into());
    let conn = machine.accepted(Time::START, ListenerId::new(0), peer).expect("let in");
    assert_eq!(machine.metrics().undecided, 1);
    machine.secured(Time::START, conn, &Secured::default());
    assert_eq!(machine.metrics().open, 1);
    machine.received(Time::START, conn, &mut b"hi\n".to_vec());
    assert_eq!(machine.intent(conn).expect("open").transmit.first(), b"hi\n");
}

/// Says where somebody is.
struct Address;

impl Handler for Address {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Message { conn, .. } = event {
            let peer = hub.peer(conn).expect("open").to_string();
            hub.send(conn, &peer);
        }
    }
}

#[test]
fn proxy_header_precedes_the_tls_handshake() {
    let world = World::new();
    let proxies = Proxies::trusting(["127.0.0.0/8".parse::<Network>().expect("good")]);
    let mut config = listening(world.tls(&["localhost"]));
    config.listeners[0].proxies = Some(proxies);
    for piece in [1, usize::MAX] {
        let mut hub = TestHub::with_config(config.clone(), Address);
        let conn = hub.connect();
        let mut client = Client::new(&world.client(None, &[]), "localhost", conn);
        client.piece = piece;
        let mut hello = b"PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\r\n".to_vec();
        client.tls.write_tls(&mut hello).expect("a vector");
        for part in hello.chunks(piece) {
            hub.send(conn, part);
        }
        client.say(&mut hub, "hello\n");
        assert_eq!(client.heard(), "192.0.2.1:40000\n");
    }
}

#[test]
fn tls_file_errors_name_the_file() {
    let world = World::new();
    let good = world.files(&["localhost"]);
    let other = world.files(&["other"]);
    let junk = world.directory.join("junk.pem");
    std::fs::write(&junk, "no certificate").expect("written");
    let missing = world.directory.join("missing.pem");
    let error = |certificates: Vec<CertificateFiles>| {
        let files = TlsFiles::default().certificates(certificates);
        World::load(&files).expect_err("no good").to_string()
    };
    assert_eq!(error(Vec::new()), "TLS needs at least one certificate");
    let text = error(vec![good.clone().certificate(missing)]);
    assert!(text.contains("missing.pem") && text.contains("No such file"), "{text}");
    let text = error(vec![good.clone().certificate(junk.clone())]);
    assert!(text.contains("a certificate in") && text.contains("junk.pem: there is none"), "{text}");
    let text = error(vec![good.clone().key(junk)]);
    assert!(text.contains("a private key in") && text.contains("junk.pem"), "{text}");
    let text = error(vec![good.key(other.key)]);
    assert!(text.contains("other.key does not match the certificate in"), "{text}");
}

/// A shell may look at an intent before `next_changed` names its connection, for instance when the socket becomes writable.
#[test]
fn write_half_stays_open_until_close_notify_is_written() {
    let world = World::new();
    let mut machine = Machine::new(listening(world.tls(&["localhost"])), Echo);
    machine.started(Time::START);
    let conn = machine.accepted(Time::START, ListenerId::new(0), Peer::Local).expect("room");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(world.client(None, &[]), name).expect("good");
    let mut exchange = |machine: &mut Machine<Echo>| {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).expect("a vector");
        }
        machine.received(Time::START, conn, &mut sent);
        let mut heard = Vec::new();
        while let Some(named) = machine.next_changed() {
            let bytes = machine.intent(named).map_or_else(Vec::new, |intent| intent.transmit.first().to_vec());
            if !bytes.is_empty() {
                machine.wrote(Time::START, named, bytes.len());
            }
            heard.extend(bytes);
        }
        let mut rest = &heard[..];
        let mut closed = false;
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("a slice");
            closed |= client.process_new_packets().expect("TLS").peer_has_closed();
        }
        closed
    };
    (0..3).for_each(|_| assert!(!exchange(&mut machine)));
    // The client ends its half without a word.
    machine.ended(Time::START, conn);
    let intent = machine.intent(conn).expect("it lingers");
    assert_eq!((intent.transmit.len(), intent.end), (0, End::Open));
    assert!(exchange(&mut machine), "close_notify is sealed once the connection is named");
    assert!(machine.intent(conn).is_none_or(|intent| intent.end == End::Shutdown));
}
