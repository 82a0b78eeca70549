//! An idle connection with TLS holds as much memory whichever side began it.

use crate::counting::Measure;
use drupe_core::app::Echo;
use drupe_core::tls::{CertificateFiles, ClientTls, TicketKeys, Tls, TlsFiles};
use drupe_core::{Config, ConnId, Dial, DialId, Event, Handler, Hub, Listen, ListenerId, Machine, NoNote, Peer, Time};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Dials so often at the start, and sends a line on each connection.
struct Dialler(u32, Dial);

impl Handler for Dialler {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => {
                for _ in 0..self.0 {
                    hub.dial(self.1.clone());
                }
            }
            Event::Opened { conn, .. } => drop(hub.send(conn, "hello")),
            _ => {}
        }
    }
}

/// A machine, and the bytes that it holds beyond those of its start.
struct Side<H: Handler> {
    machine: Machine<H>,
    held: isize,
}

impl<H: Handler> Side<H> {
    fn new(config: Config, handler: H) -> Self {
        let mut machine = Machine::new(config, handler);
        machine.started(Time::START);
        machine.turn_ended(Time::START);
        Self { machine, held: 0 }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Machine<H>) -> T) -> T {
        let measure = Measure::begin();
        let result = act(&mut self.machine);
        while self.machine.next_changed().is_some() {}
        self.machine.turn_ended(Time::START);
        self.held += measure.held();
        result
    }

    /// Passes received bytes to a connection, and puts its output into `out`, which has room for it.
    fn exchange(&mut self, conn: ConnId, received: &mut [u8], out: &mut Vec<u8>) {
        out.clear();
        self.act(|machine| {
            if !received.is_empty() {
                machine.received(Time::START, conn, received);
            }
            loop {
                while machine.next_changed().is_some() {}
                machine.turn_ended(Time::START);
                let Some(intent) = machine.intent(conn) else { return };
                let before = out.len();
                intent.transmit.slices().for_each(|slice| out.extend_from_slice(slice));
                let taken = out.len() - before;
                if taken == 0 {
                    return;
                }
                machine.wrote(Time::START, conn, taken);
            }
        });
    }
}

fn settings() -> (Tls, ClientTls) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed");
    let directory = std::env::temp_dir().join(format!("drupe-tls-memory-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let files = CertificateFiles::new(directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&files.certificate, certificate.pem()).expect("written");
    std::fs::write(&files.key, key.serialize_pem()).expect("written");
    let provider = Arc::new(ring::default_provider());
    let files = TlsFiles::default().certificates(vec![files]);
    let server = files.load(&provider, &TicketKeys::new(ring::Ticketer::new)).expect("good files");
    std::fs::remove_dir_all(directory).expect("it is ours");
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).expect("good");
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    // Each handshake is a full one, so each client holds the certificate of its server.
    config.resumption = Resumption::disabled();
    (server, ClientTls::new(Arc::new(config)))
}

/// Returns the bytes that this many idle connections hold: as outgoing, and as incoming ones.
fn idle(connections: u32, tls: Option<(Tls, ClientTls)>) -> (isize, isize) {
    let (server, client) = tls.unzip();
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("well formed");
    let mut server = Side::new(Config::listening([listen.tls(server)]).unlimited(), Echo);
    let dial = Dial::lines("localhost:1").tls(client);
    let mut client = Side::new(Config::default().unlimited(), Dialler(connections, dial));
    let (mut to_server, mut to_client) = (Vec::with_capacity(64 << 10), Vec::with_capacity(64 << 10));
    for number in 0..connections {
        let ours = client.act(|machine| machine.dialed(Time::START, DialId::new(number), Peer::Local));
        let ours = ours.expect("it is wanted");
        let theirs = server.act(|machine| machine.accepted(Time::START, ListenerId::new(0), Peer::Local));
        let theirs = theirs.expect("it is admitted");
        to_client.clear();
        loop {
            client.exchange(ours, &mut to_client, &mut to_server);
            if to_server.is_empty() {
                break;
            }
            server.exchange(theirs, &mut to_server, &mut to_client);
        }
    }
    assert_eq!(server.machine.metrics().messages_in, u64::from(connections));
    assert_eq!(client.machine.metrics().messages_in, u64::from(connections));
    (client.held, server.held)
}

#[test]
fn idle_outgoing_connection_with_tls_holds_as_much_as_an_incoming_one() {
    const STEP: u32 = 256;
    let tls = settings();
    let per_connection = |tls: Option<&(Tls, ClientTls)>| {
        let ((few_out, few_in), (many_out, many_in)) = (idle(STEP, tls.cloned()), idle(2 * STEP, tls.cloned()));
        let step = isize::try_from(STEP).expect("small");
        ((many_out - few_out) / step, (many_in - few_in) / step)
    };
    let (plain_out, plain_in) = per_connection(None);
    let (tls_out, tls_in) = per_connection(Some(&tls));
    let (of_client, of_server) = (tls_out - plain_out, tls_in - plain_in);
    let found = format!("with TLS {tls_out} and {tls_in} bytes, without {plain_out} and {plain_in}");
    assert!((1_000..=10_000).contains(&of_client), "outgoing and incoming: {found}");
    assert!(of_client <= of_server + 1_000, "outgoing and incoming: {found}");
}
