//! The faults of TLS handshakes, as rustls reports them.

use crate::base::{Failure, TlsFault};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// Returns the failure of a client's TLS session. `has_begun`: after the server's hello.
pub(super) fn failure_of(error: &Error, has_begun: bool) -> Failure {
    let fault = match error {
        // After a server's hello, only the message with its certificates can be that long.
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) if has_begun => TlsFault::CertificateInvalid,
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => return of_alert(*alert),
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => TlsFault::NothingInCommon,
        Error::NoCertificatesPresented
        | Error::UnsupportedNameType
        | Error::InvalidMessage(InvalidMessage::CertificatePayloadTooLarge) => TlsFault::CertificateInvalid,
        Error::InvalidMessage(_) => TlsFault::NotTls,
        _ => return Failure::Tls,
    };
    Failure::TlsHandshake(fault)
}

fn of_certificate(error: &CertificateError) -> TlsFault {
    match error {
        // A trusted authority of the same name has not signed it.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::CertificateUnknownIssuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::CertificateNotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::NameMismatch,
        CertificateError::Revoked => TlsFault::CertificateRevoked,
        // That of our own verifier of pinned certificates.
        CertificateError::ApplicationVerificationFailure => TlsFault::CertificateNotPinned,
        _ => TlsFault::CertificateInvalid,
    }
}

/// Returns the failure for an alert of the server (RFC 8446 section 6.2).
fn of_alert(alert: AlertDescription) -> Failure {
    Failure::TlsHandshake(match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::NoCertificate
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => TlsFault::ClientCertificateRefused,
        AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity
        | AlertDescription::NoApplicationProtocol => TlsFault::NothingInCommon,
        _ => TlsFault::Refused,
    })
}
