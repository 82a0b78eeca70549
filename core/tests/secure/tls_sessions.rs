//! Resumption of TLS sessions, in virtual time, with the client of rustls, in TLS 1.2 and 1.3.
//!
//! A session is resumed only where a full handshake would admit the same peer.

use crate::tls_world::{Client, WhoAmI, World};
use drupe_core::testing::TestHub;
use drupe_core::tls::{ClientCertificates, TicketKeys, Tls, TlsFiles};
use drupe_core::{Config, Listen, Reason};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ProducesTickets, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use std::time::Duration;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn listening(tls: Tls) -> Config {
    Config::listening([Listen::lines(([127, 0, 0, 1], 0).into()).tls(Some(tls))])
}

/// Connects, asks who one is, and gives the answer and how the handshake went.
fn visit(hub: &mut TestHub<WhoAmI>, config: &Arc<ClientConfig>) -> (String, Option<HandshakeKind>) {
    let conn = hub.connect();
    let mut client = Client::new(config, "localhost", conn);
    client.say(hub, "who am i?\n");
    (client.heard().to_owned(), client.tls.handshake_kind())
}

const RESUMED: Option<HandshakeKind> = Some(HandshakeKind::Resumed);

#[test]
fn ticket_of_open_listener_cannot_skip_client_certificate() {
    let world = World::new();
    for version in VERSIONS {
        let tickets = TicketKeys::new(ring::Ticketer::new);
        let mut open = TestHub::with_config(listening(world.asking(ClientCertificates::None, &tickets)), WhoAmI);
        let client = world.client_of(None, &[], &[version]);
        assert_eq!(visit(&mut open, &client).0, "nobody\n");
        assert_eq!(visit(&mut open, &client), ("nobody\n".into(), RESUMED), "the ticket is good where it is from");
        let clients = ClientCertificates::Required(world.authority());
        let mut closed = TestHub::with_config(listening(world.asking(clients, &tickets)), WhoAmI);
        let (answer, kind) = visit(&mut closed, &client);
        assert_eq!((answer.as_str(), closed.ended(Reason::TlsFailed)), ("", 1), "{version:?}");
        assert_ne!(kind, RESUMED, "{version:?}");
    }
}

#[test]
fn ticket_of_one_authority_is_refused_under_another() {
    let (ours, theirs) = (World::new(), World::new());
    for version in VERSIONS {
        for demand in [ClientCertificates::Optional, ClientCertificates::Required] {
            let tickets = TicketKeys::new(ring::Ticketer::new);
            let tls = ours.asking(demand(ours.authority()), &tickets);
            let mut here = TestHub::with_config(listening(tls), WhoAmI);
            let client = ours.client_of(Some("ann"), &[], &[version]);
            assert_eq!(visit(&mut here, &client).0, "ann\n");
            assert_eq!(visit(&mut here, &client), ("ann\n".into(), RESUMED), "a resumed session keeps its user");
            let tls = ours.asking(demand(theirs.authority()), &tickets);
            let mut there = TestHub::with_config(listening(tls), WhoAmI);
            let (answer, kind) = visit(&mut there, &client);
            assert_ne!(answer, "ann\n", "{version:?}");
            assert_ne!(kind, RESUMED, "{version:?}");
        }
    }
}

#[test]
fn reload_that_removes_an_authority_voids_its_tickets() {
    let (good, bad) = (World::new(), World::new());
    let both = good.directory.join("both.pem");
    let pem = |world: &World| std::fs::read_to_string(world.authority()).expect("there");
    std::fs::write(&both, pem(&good) + &pem(&bad)).expect("written");
    for version in VERSIONS {
        for demand in [ClientCertificates::Optional, ClientCertificates::Required] {
            let tickets = TicketKeys::new(ring::Ticketer::new);
            let mut hub = TestHub::with_config(listening(good.asking(demand(both.clone()), &tickets)), WhoAmI);
            let mallory = good.client_of_other(&bad, "mallory", version);
            assert_eq!(visit(&mut hub, &mallory).0, "mallory\n");
            hub.reconfigure(listening(good.asking(demand(both.clone()), &tickets)));
            assert_eq!(visit(&mut hub, &mallory), ("mallory\n".into(), RESUMED), "nothing has changed");
            hub.reconfigure(listening(good.asking(demand(good.authority()), &tickets)));
            let (answer, kind) = visit(&mut hub, &mallory);
            assert_ne!(answer, "mallory\n", "{version:?}");
            assert_ne!(kind, RESUMED, "{version:?}");
        }
    }
}

#[test]
fn tls_tickets_are_not_shared_between_server_names() {
    let world = World::new();
    let tickets = TicketKeys::new(ring::Ticketer::new);
    let load = |names: &[&str]| {
        let files = TlsFiles::default().certificates(vec![world.files(names)]);
        files.load(&Arc::new(ring::default_provider()), &tickets).expect("good")
    };
    let mut one = TestHub::with_config(listening(load(&["localhost"])), WhoAmI);
    let mut other = TestHub::with_config(listening(load(&["other", "localhost"])), WhoAmI);
    let client = world.client(None, &[]);
    visit(&mut one, &client);
    assert_eq!(visit(&mut one, &client).1, RESUMED);
    assert_eq!(visit(&mut other, &client).1, Some(HandshakeKind::Full));
}

/// A configuration of rustls that somebody made by hand, with keys that are shared as they should not be.
fn by_hand(
    world: &World,
    verifier: Option<&Arc<dyn ClientCertVerifier>>,
    keys: &Arc<dyn ProducesTickets>,
) -> ServerConfig {
    let files = world.files(&["localhost"]);
    let chain = vec![CertificateDer::from_pem_file(files.certificate).expect("good")];
    let key = PrivateKeyDer::from_pem_file(files.key).expect("good");
    let builder = ServerConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().expect("known");
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let mut config = builder.with_single_cert(chain, key).expect("good");
    config.ticketer = Arc::clone(keys);
    config
}

#[test]
fn resumed_tls_session_cannot_skip_client_certificate() {
    let world = World::new();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(world.roots()), Arc::new(ring::default_provider()));
    let verifier = verifier.build().expect("good");
    for version in VERSIONS {
        let keys = ring::Ticketer::new().expect("random");
        let open = Tls::new(Arc::new(by_hand(&world, None, &keys)));
        let mut open = TestHub::with_config(listening(open), WhoAmI);
        let closed = by_hand(&world, Some(&verifier), &keys);
        let closed = Tls::verified(Arc::new(closed), Some(Arc::clone(&verifier)));
        let mut closed = TestHub::with_config(listening(closed), WhoAmI);
        let client = world.client_of(None, &[], &[version]);
        assert_eq!(visit(&mut open, &client).0, "nobody\n");
        let (answer, kind) = visit(&mut closed, &client);
        assert_eq!((answer.as_str(), kind), ("", RESUMED), "rustls itself lets it in");
        assert_eq!((closed.ended(Reason::TlsFailed), closed.machine().metrics().tls_handshakes), (1, 0));
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct Stopped(UnixTime);

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

#[test]
fn expired_client_certificate_cannot_resume_its_session() {
    let world = World::new();
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(world.roots()), Arc::new(ring::default_provider()));
    let verifier = builder.build().expect("good");
    for version in VERSIONS {
        let keys = ring::Ticketer::new().expect("random");
        // What rcgen signs is good until the year 4096.
        let at = |years: u64| Stopped(UnixTime::since_unix_epoch(Duration::from_secs(years * 365 * 24 * 3600)));
        let hub = |years: u64| {
            let mut config = by_hand(&world, Some(&verifier), &keys);
            config.time_provider = Arc::new(at(years));
            let tls = Tls::verified(Arc::new(config), Some(Arc::clone(&verifier)));
            TestHub::with_config(listening(tls), WhoAmI)
        };
        let client = world.client_of(Some("ann"), &[], &[version]);
        let mut now = hub(60);
        assert_eq!(visit(&mut now, &client).0, "ann\n");
        assert_eq!(visit(&mut now, &client), ("ann\n".into(), RESUMED));
        let mut later = hub(4_000);
        assert_eq!(visit(&mut later, &client).0, "", "{version:?}");
        assert_eq!(later.ended(Reason::TlsFailed), 1);
    }
}
