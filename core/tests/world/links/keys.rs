//! Certificates for links, and TLS settings of both sides that share no sessions with other worlds.
//!
//! Keys and certificates have the same lengths in each run, so that a seed always gives the same
//! world.

use super::server::ServerKeys;
use drupe_core::tls::{ClientTls, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SerialNumber};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

pub(crate) struct Keys {
    servers: ServerKeys,
    clients: [Arc<ClientConfig>; 2],
}

impl Keys {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("good");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.serial_number = Some(SerialNumber::from(7));
        let authority = CertifiedIssuer::self_signed(params, key()).expect("signed");
        let server = |name: &str| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).expect("good");
            params.serial_number = Some(SerialNumber::from(7));
            let key = key();
            let certificate = CertificateDer::from(params.signed_by(&key, &authority).expect("signed"));
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let builder = ServerConfig::builder_with_provider(ring::default_provider().into());
            let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS).expect("known").with_no_client_auth();
            Arc::new(builder.with_single_cert(vec![certificate], key).expect("good"))
        };
        let servers = ServerKeys { right: server("localhost"), other: server("elsewhere") };
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("good");
        let client = |versions: &[&'static SupportedProtocolVersion]| {
            let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
            let builder = builder.with_protocol_versions(versions).expect("known");
            Arc::new(builder.with_root_certificates(roots.clone()).with_no_client_auth())
        };
        let clients = [client(&[&rustls::version::TLS13]), client(&[&rustls::version::TLS12])];
        Self { servers, clients }
    }

    /// Returns the keys of model servers.
    pub(crate) fn servers(&self) -> ServerKeys {
        let fresh = |config: &Arc<ServerConfig>| {
            let mut config = ServerConfig::clone(config);
            config.session_storage = ServerSessionMemoryCache::new(64);
            Arc::new(config)
        };
        ServerKeys { right: fresh(&self.servers.right), other: fresh(&self.servers.other) }
    }

    /// Returns the settings of listeners.
    pub(crate) fn tls(&self) -> Tls {
        Tls::new(self.servers().right)
    }

    /// Returns the settings of dials, with TLS 1.3 and with TLS 1.2.
    pub(crate) fn dials(&self) -> [ClientTls; 2] {
        [0, 1].map(|version| ClientTls::new(self.client(version)))
    }

    /// Returns the configuration of a peer, with TLS 1.3 or 1.2.
    pub(crate) fn client(&self, version: usize) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.clients[version]);
        config.resumption = Resumption::in_memory_sessions(32);
        Arc::new(config)
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key")
}
