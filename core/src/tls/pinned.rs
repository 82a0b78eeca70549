//! Trust in certificates without authorities: those with known fingerprints, or any.

use alloc::sync::Arc;
use alloc::vec::Vec;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use sha2::{Digest, Sha256};

/// A verifier that trusts the certificates with some SHA-256 fingerprints, or every certificate.
///
/// The server must have the key of its certificate in any case.
#[derive(Debug)]
pub(super) struct Pinned {
    /// The trusted fingerprints. `None`: every certificate is trusted.
    fingerprints: Option<Vec<[u8; 32]>>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    pub(super) fn new(fingerprints: Option<Vec<[u8; 32]>>, provider: &Arc<CryptoProvider>) -> Self {
        Self { fingerprints, provider: Arc::clone(provider) }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_trusted = |trusted: &Vec<[u8; 32]>| trusted.contains(&Sha256::digest(end_entity).into());
        if self.fingerprints.as_ref().is_none_or(is_trusted) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
