//! Verification of RS256 and ES256 signatures by an implementation outside of the core.
//!
//! The core has HMAC and Ed25519 itself: both are small and run without `std`. It has no RSA. The
//! crate `rsa` does not run in constant time (RUSTSEC-2023-0071), and crates of tokens, such as
//! `jsonwebtoken`, bring one implementation for all users, and parse headers a second time. A
//! server with TLS has RSA and P-256 already, in the cryptography provider of rustls.
//! [`RustlsSignatures`] uses it, so tokens need no other implementation, and a provider that is
//! certified stays the only one. Anything else implements [`SignatureVerifier`].
//!
//! SCRAM stays the project's own: its server side is an HMAC and a comparison in constant time, from
//! kept crates, and no kept crate has SCRAM without I/O and without the user's password in memory.

use core::fmt;

/// A verifier of RS256 and ES256 signatures (RFC 7518 sections 3.3 and 3.4).
///
/// It only verifies. With the feature `tls`, [`RustlsSignatures`] is one.
pub trait SignatureVerifier: fmt::Debug + Send + Sync {
    /// Returns whether an RS256 signature of `signed` is valid (RSASSA-PKCS1-v1_5 with SHA-256).
    ///
    /// `key` is an `RSAPublicKey` in DER (RFC 8017 appendix A.1.1), with 2048 to 8192 bits.
    fn rs256(&self, key: &[u8], signed: &[u8], signature: &[u8]) -> bool;

    /// Returns whether an ES256 signature of `signed` is valid (ECDSA with P-256 and SHA-256).
    ///
    /// `key` is an uncompressed point (SEC 1 section 2.3.3), which may not be on the curve.
    /// `signature` is the numbers r and s, 32 bytes each.
    fn es256(&self, key: &[u8; 65], signed: &[u8], signature: &[u8; 64]) -> bool;
}

#[cfg(feature = "tls")]
pub use with_rustls::RustlsSignatures;

#[cfg(feature = "tls")]
mod with_rustls {
    use super::SignatureVerifier;
    use crate::kit::auth::der;
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};

    /// A [`SignatureVerifier`] that uses a rustls cryptography provider, such as `ring`.
    #[derive(Clone, Copy, Debug)]
    pub struct RustlsSignatures {
        rs256: &'static dyn SignatureVerificationAlgorithm,
        es256: &'static dyn SignatureVerificationAlgorithm,
    }

    impl RustlsSignatures {
        /// Creates a verifier. Returns `None` if the provider does not support RS256 and ES256.
        #[must_use]
        pub fn new(provider: &CryptoProvider) -> Option<Self> {
            let find = |key: AlgorithmIdentifier, signature: AlgorithmIdentifier| {
                let all = provider.signature_verification_algorithms.all.iter();
                let mut fitting =
                    all.filter(|found| found.public_key_alg_id() == key && found.signature_alg_id() == signature);
                fitting.next().copied()
            };
            let rs256 = find(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA256)?;
            Some(Self { rs256, es256: find(alg_id::ECDSA_P256, alg_id::ECDSA_SHA256)? })
        }
    }

    impl SignatureVerifier for RustlsSignatures {
        fn rs256(&self, key: &[u8], signed: &[u8], signature: &[u8]) -> bool {
            self.rs256.verify_signature(key, signed, signature).is_ok()
        }

        fn es256(&self, key: &[u8; 65], signed: &[u8], signature: &[u8; 64]) -> bool {
            let (r, s) = signature.split_at(32);
            // rustls takes the form of X.509 (RFC 3279 section 2.2.3).
            let signature = der::sequence(&[&der::unsigned(r), &der::unsigned(s)]);
            self.es256.verify_signature(key, signed, &signature).is_ok()
        }
    }
}
