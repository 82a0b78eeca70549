//! What tests of TLS share: an authority, and certificates that it signed.

use drupe_core::tls::{CertificateFiles, Tickets, Tls, TlsError, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An authority, and a directory with what it signed.
pub(crate) struct World {
    authority: CertifiedIssuer<'static, KeyPair>,
    pub(crate) directory: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("drupe-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("good");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        std::fs::write(directory.join("ca.pem"), authority.pem()).expect("written");
        Self { authority, directory }
    }

    fn signed(&self, names: &[&str], common: &str) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("good");
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.authority).expect("signed"), key)
    }

    /// A certificate for these names and its key, written down.
    pub(crate) fn files(&self, names: &[&str]) -> CertificateFiles {
        let (certificate, key) = self.signed(names, "server");
        let stem = names.first().unwrap_or(&"none").replace('*', "wild");
        let files = CertificateFiles {
            certificate: self.directory.join(format!("{stem}.pem")),
            key: self.directory.join(format!("{stem}.key")),
        };
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        files
    }

    pub(crate) fn load(files: &TlsFiles) -> Result<Tls, TlsError> {
        files.load(&Arc::new(ring::default_provider()), &Tickets::new(ring::Ticketer::new().expect("random")))
    }

    /// What a listener needs to be these names.
    pub(crate) fn tls(&self, names: &[&str]) -> Tls {
        let files = TlsFiles { certificates: vec![self.files(names)], ..TlsFiles::default() };
        Self::load(&files).expect("good files")
    }

    /// What a client believes.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("good");
        roots
    }

    /// A client with a certificate of this name, if any, that offers these protocols.
    pub(crate) fn client(&self, identity: Option<&str>, protocols: &[&str]) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let builder =
            builder.with_safe_default_protocol_versions().expect("known").with_root_certificates(self.roots());
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (certificate, key) = self.signed(&[], name);
                let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
                builder.with_client_auth_cert(vec![CertificateDer::from(certificate)], key).expect("good")
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
