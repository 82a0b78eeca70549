//! Interactive logins: prompts for name and password on lines and telnet.

use super::{Guarded, Inside, NOW, credentials, guarded, layer, lines, log, scram, token, told};
use drupe_core::kit::auth::{Accounts, Authentication};
use drupe_core::kit::layer::Within;
use drupe_core::testing::TestHub;
use drupe_core::tls::{Secured, Tls};
use drupe_core::tunnel::{Forward, RemoteBind};
use drupe_core::{Address, Config, Listen, ListenerId, Peer};

#[test]
fn dialogue_prompts_people_and_still_accepts_json() {
    let mut hub = lines(layer().dialogue());
    let person = hub.connect();
    assert_eq!(hub.received(person), b"user: ");
    assert_eq!(told(&mut hub, person, "root"), ["password: "]);
    assert_eq!(told(&mut hub, person, "wrong"), ["error: auth: wrong user name or password", "user: "]);
    assert_eq!(told(&mut hub, person, "  "), ["user: "]);
    hub.line(person, "root");
    assert_eq!(told(&mut hub, person, "t0psecret"), ["notice: you are root"]);
    let program = hub.connect();
    assert!(scram(&mut hub, program, "bob", "mellon").contains("auth_ok"));
    assert_eq!(log(&hub), ["root opened -", "root authenticated", "bob opened -", "bob authenticated"]);
}

#[test]
fn dialogue_does_not_prompt_on_websocket_or_framed_wires() {
    let mut hub = guarded("ws://127.0.0.1:1", layer().dialogue());
    let conn = hub.open_websocket("/");
    for words in ["hello", "root", "t0psecret"] {
        hub.websocket(conn).send_text(words);
    }
    let texts = hub.websocket(conn).texts().concat();
    assert_eq!(texts.matches("authentication required").count(), 3, "{texts}");
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
fn dialogue_asks_no_password_over_a_cleartext_network() {
    let far = Peer::Address(([192, 0, 2, 1], 9).into());
    let near = Peer::Address(([127, 0, 0, 1], 9).into());
    let asked = |listen: Listen, peer: Peer, layer: Authentication<Accounts>| {
        let config = Config::listening([listen]);
        let mut hub: Guarded<Accounts> = TestHub::with_config(config, Inside::default().within(layer.dialogue()));
        let conn = hub.try_connect(ListenerId::new(0), peer).expect("let in");
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
    let inherited = listen("tcp://127.0.0.1:1").address(Address::Inherited("x".into()));
    assert_eq!([far, near].map(|peer| asked(inherited.clone(), peer, layer())), [false, true]);
    // A tunnel brings it from where its SSH server listens.
    for (host, is_asked) in [("localhost", true), ("127.0.0.1", true), ("", false), ("192.0.2.9", false)] {
        let forward = Forward::new("edge", RemoteBind::Tcp { host: host.into(), port: 23 });
        let tunnelled = listen("tcp://127.0.0.1:1").address(Address::Forwarded(forward));
        assert_eq!(asked(tunnelled, far, layer()), is_asked, "by {host:?}");
    }
    // Behind TLS it may be typed from anywhere.
    let enciphered = listen("tcp://0.0.0.0:1").tls(Some(Tls::external()));
    let mut hub: Guarded<Accounts> =
        TestHub::with_config(Config::listening([enciphered]), Inside::default().within(layer().dialogue()));
    let conn = hub.try_connect(ListenerId::new(0), far).expect("let in");
    hub.secured(conn, &Secured::default());
    assert_eq!(hub.received(conn), b"user: ");
}

#[test]
fn telnet_client_hides_the_typed_password() {
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
fn dialogue_takes_any_typed_line_as_the_password() {
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
fn json_login_at_a_prompt_gets_its_reply_on_its_own_line() {
    let mut hub = lines(layer().dialogue());
    let conn = hub.connect();
    hub.line(conn, &format!(r#"{{"type":"auth","token":"{}"}}"#, token("ann", NOW + 60)));
    assert_eq!(hub.lines(conn), ["user: ", r#"{"type":"auth_ok","user":"ann"}"#]);
}
