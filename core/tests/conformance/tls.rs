//! TLS: bulk data in both directions, and a clean close.

use super::{Peer, lines, run, run_sharded};
use crate::shell::core::Reason;
use crate::shell::core::app::Relay;
use crate::shell::core::outbound::Marks;
use crate::shell::core::tls::{CertificateFiles, TicketKeys, Tls, TlsFiles};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// TLS with a self-signed certificate, and a client that trusts it.
pub(super) fn tls() -> (Tls, Arc<ClientConfig>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed");
    let directory = std::env::temp_dir().join(format!("drupe-conformance-{}-{:p}", std::process::id(), &raw const key));
    std::fs::create_dir_all(&directory).expect("a directory");
    let files = CertificateFiles::new(directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&files.certificate, certificate.pem()).expect("written");
    std::fs::write(&files.key, key.serialize_pem()).expect("written");
    let files = TlsFiles::default().certificates(vec![files]);
    let provider = Arc::new(ring::default_provider());
    let tls = files.load(&provider, &TicketKeys::new(ring::Ticketer::new)).expect("good files");
    std::fs::remove_dir_all(directory).expect("it is ours");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate)).expect("good");
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    (tls, Arc::new(client.with_root_certificates(roots).with_no_client_auth()))
}

fn over_tls(config: &Arc<ClientConfig>, peer: Peer) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).expect("good"), peer.0.into_inner())
}

#[test]
fn tls_carries_large_traffic_and_ends_with_close_notify() {
    let (tls, client) = tls();
    let mut config = lines();
    config.listeners[0].tls = Some(tls);
    // Marks so high that even a slow reader is not closed.
    config.outbound.marks = Marks::new(64 << 10, 256 << 10, 16 << 20).expect("in order");
    for sharded in [false, true] {
        let config = config.clone().unlimited();
        let server = if sharded { run_sharded(config, Relay::default) } else { run(config, Relay::default(), None) };
        let (one, two) = (over_tls(&client, server.connect()), over_tls(&client, server.connect()));
        let (mut one, mut two) = (one, BufReader::new(two));
        // Both peers send a line first, so both have joined before the bulk data.
        let mut line = String::new();
        two.get_mut().write_all(b"first\n").expect("the server reads");
        server.until(|metrics| metrics.messages_in == 1);
        one.write_all(b"here\n").expect("the server reads");
        two.read_line(&mut line).expect("the server answers");
        assert_eq!(line, "here\n");
        let text: Arc<str> = (0..20_000).map(|n| format!("{n} {}\n", "x".repeat(n % 200))).collect::<String>().into();
        let said = Arc::clone(&text);
        let speaker = std::thread::spawn(move || {
            one.write_all(said.as_bytes()).expect("the server reads");
            one
        });
        let mut heard = vec![0; text.len()];
        two.read_exact(&mut heard).expect("the server writes");
        assert!(heard == text.as_bytes(), "every byte, in order");
        let mut one = speaker.join().expect("no panic");
        server.remote.drain().expect("it runs");
        let mut rest = String::new();
        two.read_to_string(&mut rest).expect("it ends with close_notify");
        assert!(rest.ends_with("closing (shutdown): the server is shutting down\n"), "{rest}");
        drop(two);
        one.read_to_string(&mut rest).expect("it ends with close_notify");
        drop(one);
        let metrics = server.thread.join().expect("no panic");
        assert_eq!((metrics.tls_handshakes, metrics.ended.get(Reason::Shutdown)), (2, 2));
    }
}
