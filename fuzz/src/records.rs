//! PROXY headers, TLS records and recorded traces.

use crate::cut::cut;
use crate::memory::peak_of;
use drupe_core::app::Echo;
use drupe_core::testing::TestHub;
use drupe_core::tls::Tls;
use drupe_core::wire::Proxies;
use drupe_core::{Config, ConnId, Listen, Machine, NoNote, Peer, Reason, trace};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

fn listening(change: impl FnOnce(&mut Listen)) -> TestHub<Echo> {
    let mut listen: Listen = "tcp://127.0.0.1:1".parse().expect("well formed");
    change(&mut listen);
    TestHub::with_config(Config::listening([listen]).seed(Some(7)), Echo)
}

fn connect(hub: &mut TestHub<Echo>) -> ConnId {
    let proxy = Peer::Address(([192, 0, 2, 1], 5).into());
    hub.try_connect(drupe_core::ListenerId::new(0), proxy).expect("accepted")
}

/// Sends any bytes from a trusted proxy, in any pieces.
///
/// # Panics
/// If the split changes the result, or too much memory is held.
pub fn proxy(data: &[u8]) {
    let [length, stream @ ..] = data else { return };
    let proxies = || Some(Proxies::trusting(["192.0.2.0/24".parse().expect("a network")]));
    let outcome = |lengths: &[usize]| {
        let mut hub = listening(|listen| listen.proxies = proxies());
        let conn = connect(&mut hub);
        for piece in cut(stream, lengths) {
            if hub.is_closed(conn) {
                break;
            }
            let peak = peak_of(|| hub.send(conn, &piece));
            assert!(peak < 1 << 20, "{peak} bytes for {}", piece.len());
        }
        let peer = (!hub.is_closed(conn)).then(|| hub.peer(conn));
        hub.advance(Duration::from_secs(60));
        let ends =
            [Reason::BadProxyHeader, Reason::MessageTimeout, Reason::InvalidUtf8].map(|reason| hub.ended(reason));
        (peer, hub.received(conn).to_vec(), ends)
    };
    let whole = outcome(&[usize::MAX]);
    assert_eq!(outcome(&[1]), whole);
    assert_eq!(outcome(&[usize::from(*length).max(1), 3]), whole);
}

/// Sends any bytes to a listener with TLS, with or without a valid `ClientHello` before them.
///
/// # Panics
/// If the server receives a message, or too much memory is held.
pub fn tls(data: &[u8]) {
    static TLS: LazyLock<Tls> = LazyLock::new(|| {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key.into())
            .expect("they belong together");
        Tls::new(Arc::new(config))
    });
    let [kind, stream @ ..] = data else { return };
    let mut hub = listening(|listen| listen.tls = Some(TLS.clone()));
    let conn = connect(&mut hub);
    if kind & 1 == 1 {
        hub.send(conn, &client_hello());
    }
    for piece in cut(stream, &[usize::from(kind >> 1).max(1), 400]) {
        let peak = peak_of(|| hub.send(conn, &piece));
        assert!(peak < 1 << 20, "{peak} bytes for {}", piece.len());
    }
    assert_eq!(hub.machine().metrics().messages_in, 0, "no handshake was completed");
    hub.advance(Duration::from_secs(60));
    hub.end(conn);
    hub.advance(Duration::from_secs(60));
    assert!(hub.is_closed(conn));
    assert_eq!(hub.machine().recount(), Ok(()));
}

fn client_hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("a vector takes all");
    hello
}

/// Parses any text as a recorded trace with reloads, writes the facts again, and replays them.
///
/// # Panics
/// If parsing the written facts returns other facts, or the machine panics.
pub fn traces(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(facts) = trace::parse_with::<NoNote>(text, reloads()) else { return };
    let written: String = facts.into_iter().map(|(at, input)| trace::line(at, &input)).collect();
    let again = trace::parse_with::<NoNote>(&written, reloads()).expect("a written trace can be parsed");
    let rewritten: String = again.into_iter().map(|(at, input)| trace::line(at, &input)).collect();
    assert_eq!(written, rewritten);
    let mut machine = Machine::new(serving("tcp://127.0.0.1:1"), Echo);
    // Facts in an order that no shell reports may make gauges wrong, but must not cause a panic.
    let _ = trace::replay_with(&written, &mut machine, reloads());
}

/// Configurations for the reloads of a trace, repeated in a cycle.
fn reloads() -> impl Iterator<Item = Config> {
    ["telnet://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:1"].into_iter().cycle().map(serving)
}

fn serving(address: &str) -> Config {
    let listen: Listen = address.parse().expect("well formed");
    Config::listening([listen]).seed(Some(7))
}
