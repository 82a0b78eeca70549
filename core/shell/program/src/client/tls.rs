//! TLS of the command `client`: its flags, and the settings that they make.

use clap::Args;
use clap::error::ErrorKind;
use drupe_core::tls::{self, CertificateFiles, ClientTlsFiles, Roots, TlsError};
use drupe_core::{Dial, Failure};
use drupe_shell::platform_roots;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use std::path::PathBuf;
use std::sync::Arc;

/// The flags of `drupe client` for addresses with TLS.
#[derive(Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArguments {
    /// Trust the certificate authorities in this PEM file, instead of those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Trust the certificate with this SHA-256 fingerprint in hexadecimal, whatever its issuer,
    /// names and dates; may be given several times
    #[arg(long, value_name = "SHA256", value_parser = fingerprint, conflicts_with = "ca")]
    pin: Vec<[u8; 32]>,
    /// Accept any certificate; an attacker on the way can then read and change everything
    #[arg(long, conflicts_with_all = ["ca", "pin", "server_name"])]
    insecure: bool,
    /// Name or IP address that the certificate must be for, instead of the address's host
    #[arg(long, value_name = "NAME", value_parser = server_name)]
    server_name: Option<String>,
    /// PEM file of the certificate to show to a server that requests one
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// PEM file of the private key of --client-cert
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl TlsArguments {
    /// Checks that the address has TLS if there are flags for it.
    pub(crate) fn check(&self, dial: &Dial) -> Result<(), clap::Error> {
        let Self { ca, pin, insecure, server_name, client_cert, client_key: _ } = self;
        let is_used = ca.is_some() || !pin.is_empty() || *insecure || server_name.is_some() || client_cert.is_some();
        if is_used && dial.tls.is_none() {
            let words = "flags for TLS need an address with TLS, such as wss://, tls:// or lengths://\n";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, words));
        }
        Ok(())
    }

    /// Returns `true` if the server's certificate is not verified.
    pub(crate) const fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// Loads the TLS settings of a dial, if its address has TLS.
    pub(crate) fn apply(&self, dial: &mut Dial) -> Result<(), TlsError> {
        dial.fill_tls(|| {
            let provider = Arc::new(ring::default_provider());
            let certificate = self.client_cert.as_ref().zip(self.client_key.as_ref());
            let certificate = certificate.map(|(certificate, key)| CertificateFiles::new(certificate, key));
            let tls = ClientTlsFiles::new(self.roots(&provider)?).certificate(certificate).load(&provider)?;
            Ok(tls.server_name(self.server_name.clone()))
        })
    }

    fn roots(&self, provider: &Arc<CryptoProvider>) -> Result<Roots, TlsError> {
        if self.insecure {
            return Ok(Roots::Unverified);
        }
        match &self.ca {
            Some(path) => Ok(Roots::File(path.clone())),
            None if self.pin.is_empty() => platform_roots(provider),
            None => Ok(Roots::Pinned(self.pin.clone())),
        }
    }
}

/// Returns the name of a failure, with its meaning or its remedy if there is one.
pub(crate) fn explain(failure: Failure) -> String {
    match failure {
        Failure::TlsHandshake(fault) => format!("{failure}: {}", fault.advice()),
        Failure::NotFound => format!("{failure}: the host or Unix socket does not exist, or no name server answers"),
        Failure::Denied => format!("{failure}: you need permission to write to the socket"),
        Failure::InvalidAddress => format!("{failure}: it is not HOST:PORT, or its path is too long or not a socket"),
        Failure::Proxy(fault) => format!("{failure}: {}", fault.advice()),
        _ => failure.to_string(),
    }
}

/// Parses a SHA-256 fingerprint.
fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let words = "a SHA-256 fingerprint has 64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` prints it";
    tls::fingerprint(text).ok_or_else(|| words.to_owned())
}

fn server_name(text: &str) -> Result<String, String> {
    match ServerName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("it is neither a host name nor an IP address".to_owned()),
    }
}
