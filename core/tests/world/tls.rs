//! TLS for listeners and peers, with two certificate authorities.

use crate::swarm::Swarm;
use drupe_core::Listen;
use drupe_core::sim::Client;
use drupe_core::tls::{CertificateFiles, ClientCertificates, TicketKeys, Tls, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SerialNumber};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;

/// Two certificate authorities, the server's files, and client configurations.
///
/// Keys and certificates have the same lengths in each run, so that a seed always gives the same
/// world.
pub(crate) struct Authorities {
    directory: PathBuf,
    server: CertificateFiles,
    /// A client without a certificate, and one with a certificate of each authority.
    clients: [Arc<ClientConfig>; 3],
}

/// The client configurations of one world. They hold the sessions that clients resume.
pub(crate) struct Wallet([Arc<ClientConfig>; 3]);

const NAMES: [&str; 2] = ["a", "b"];

impl Authorities {
    pub(crate) fn new() -> Self {
        let directory =
            std::env::temp_dir().join(format!("drupe-world-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let [first, second] = NAMES.map(|name| {
            let mut params = CertificateParams::new(Vec::<String>::new()).expect("good");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.serial_number = Some(SerialNumber::from(7));
            let authority = CertifiedIssuer::self_signed(params, key()).expect("signed");
            std::fs::write(directory.join(format!("{name}.pem")), authority.pem()).expect("written");
            authority
        });
        let (certificate, server_key) = signed(&first, &["localhost"], "server");
        let server = CertificateFiles::new(directory.join("server.pem"), directory.join("server.key"));
        std::fs::write(&server.certificate, certificate.pem()).expect("written");
        std::fs::write(&server.key, server_key.serialize_pem()).expect("written");
        let mut roots = RootCertStore::empty();
        roots.add(first.der().clone()).expect("good");
        let builder = || {
            let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
            builder.with_safe_default_protocol_versions().expect("known").with_root_certificates(roots.clone())
        };
        let with = |authority, name| {
            let (certificate, key) = signed(authority, &[], name);
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            Arc::new(builder().with_client_auth_cert(vec![CertificateDer::from(certificate)], key).expect("good"))
        };
        let clients = [Arc::new(builder().with_no_client_auth()), with(&first, "a user"), with(&second, "b user")];
        Self { directory, server, clients }
    }

    /// Adds TLS to a listener, with or without client certificates.
    ///
    /// The listener's `app` states which certificates it requires.
    pub(crate) fn listen(&self, swarm: &mut Swarm, listen: &mut Listen, tickets: &TicketKeys) {
        let authority = swarm.pick(&NAMES);
        let file = self.directory.join(format!("{authority}.pem"));
        let clients = match swarm.number(4) {
            0 | 1 => ClientCertificates::None,
            2 => ClientCertificates::Optional(file),
            _ => ClientCertificates::Required(file),
        };
        listen.app = match &clients {
            ClientCertificates::Optional(_) => format!("optional {authority}"),
            ClientCertificates::Required(_) => format!("required {authority}"),
            _ => String::new(),
        };
        let only_1_3 = swarm.chance(2);
        let files = TlsFiles::default().certificates(vec![self.server.clone()]).clients(clients).only_1_3(only_1_3);
        let mut tls: Tls = files.load(&Arc::new(ring::default_provider()), tickets).expect("good files");
        tls.handshake_timeout = swarm.span(&[5_000, 10_000]);
        listen.tls = Some(tls);
    }

    /// Adds TLS without client certificates to a listener.
    pub(crate) fn serve(&self, listen: &mut Listen, tickets: &TicketKeys) {
        let files = TlsFiles::default().certificates(vec![self.server.clone()]);
        listen.tls = Some(files.load(&Arc::new(ring::default_provider()), tickets).expect("good files"));
    }

    /// Creates client configurations that share no sessions with other worlds.
    pub(crate) fn wallet(&self) -> Wallet {
        Wallet(self.clients.each_ref().map(|config| {
            let mut config = ClientConfig::clone(config);
            config.resumption = Resumption::in_memory_sessions(32);
            Arc::new(config)
        }))
    }
}

impl Wallet {
    pub(crate) fn without_certificate(&self, client: Client) -> Client {
        client.over_tls(Arc::clone(&self.0[0]), ServerName::try_from("localhost").expect("a name"))
    }

    pub(crate) fn over_tls(&self, swarm: &mut Swarm, client: Client) -> Client {
        let config = &self.0[swarm.number(self.0.len())];
        client.over_tls(Arc::clone(config), ServerName::try_from("localhost").expect("a name"))
    }
}

impl Drop for Authorities {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key")
}

fn signed(
    authority: &CertifiedIssuer<'static, KeyPair>,
    names: &[&str],
    common: &str,
) -> (rcgen::Certificate, KeyPair) {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("good");
    params.distinguished_name.push(DnType::CommonName, common);
    params.serial_number = Some(SerialNumber::from(7));
    let key = key();
    (params.signed_by(&key, authority).expect("signed"), key)
}
