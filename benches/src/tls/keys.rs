//! A certificate of one run, and the settings of rustls with it.

use crate::directory::Directory;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate for `localhost` with an ECDSA key on P-256, in a directory.
#[derive(Debug)]
pub struct Keys {
    directory: PathBuf,
    /// The same directory, in the process that made it.
    _owned: Option<Directory>,
}

impl Keys {
    /// Makes a certificate.
    ///
    /// # Errors
    /// If it cannot be written to the directory for temporary files.
    ///
    /// # Panics
    /// If the system has no random bytes.
    pub fn create() -> io::Result<Self> {
        let directory = Directory::create("tls")?;
        let keys = Self { directory: directory.path().into(), _owned: Some(directory) };
        let key = KeyPair::generate().expect("random bytes");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        std::fs::write(keys.certificate(), params.self_signed(&key).expect("a good key").pem())?;
        std::fs::write(keys.key(), key.serialize_pem())?;
        Ok(keys)
    }

    /// Uses the certificate that another process has made.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        directory.read_dir()?;
        Ok(Self { directory: directory.into(), _owned: None })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_file(self.key()).expect("a key");
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13]).expect("known").with_no_client_auth();
        let mut config = builder.with_single_cert(vec![self.der()], key).expect("they belong together");
        config.ticketer = ring::Ticketer::new().expect("random bytes");
        Arc::new(config)
    }

    /// Returns the settings of clients, which resume sessions if they may.
    pub(crate) fn client(&self, resumes: bool) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("good");
        // All servers use the same cipher.
        let cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
        let provider = CryptoProvider { cipher_suites, ..ring::default_provider() };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_protocol_versions(&[&TLS13]).expect("known").with_root_certificates(roots);
        let mut config = builder.with_no_client_auth();
        if !resumes {
            config.resumption = Resumption::disabled();
        }
        Arc::new(config)
    }

    /// Writes a configuration of nginx. Returns its path.
    pub(super) fn nginx_configuration(&self, module: &str, at: SocketAddr, backend: SocketAddr) -> io::Result<PathBuf> {
        let path = self.directory.join(format!("nginx-{}.conf", at.port()));
        let (certificate, key) = (self.certificate(), self.key());
        let (pid, certificate, key) = (path.with_extension("pid"), certificate.display(), key.display());
        let text = format!(
            "load_module {module};\ndaemon off;\nmaster_process off;\npid {};\nerror_log /dev/null;\n\
             events {{ worker_connections 4096; }}\n\
             stream {{ server {{\n  listen {at} ssl backlog=4096;\n  ssl_certificate {certificate};\n  \
             ssl_certificate_key {key};\n  ssl_protocols TLSv1.3;\n  proxy_pass {backend};\n  tcp_nodelay on;\n}} }}\n",
            pid.display()
        );
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.certificate()).expect("a certificate")
    }

    fn certificate(&self) -> PathBuf {
        self.directory.join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.join("key.pem")
    }
}
