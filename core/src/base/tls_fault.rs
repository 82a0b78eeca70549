use super::name_error::NameError;
use core::fmt;
use core::str::FromStr;

/// Why the TLS handshake of an outgoing connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// No trusted authority has issued the certificate of the server.
    CertificateUnknownIssuer,
    /// The certificate of the server has expired.
    CertificateExpired,
    /// The certificate of the server is not valid yet.
    CertificateNotYetValid,
    /// The certificate of the server is for other names.
    NameMismatch,
    /// The certificate of the server was revoked.
    CertificateRevoked,
    /// The certificate of the server is none of the pinned ones.
    CertificateNotPinned,
    /// The certificate of the server is malformed, or is not for servers.
    CertificateInvalid,
    /// The server requires a client certificate, or refuses the one that it got.
    ClientCertificateRefused,
    /// The server and the client have no TLS version, cipher or protocol (ALPN) in common.
    NothingInCommon,
    /// The server refused the handshake for another reason, with an alert.
    Refused,
    /// The server's bytes are not TLS.
    NotTls,
    /// The server sent more input before TLS than the application expected.
    EarlyInput,
}

impl TlsFault {
    const ALL: [Self; 12] = [
        Self::CertificateUnknownIssuer,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::NameMismatch,
        Self::CertificateRevoked,
        Self::CertificateNotPinned,
        Self::CertificateInvalid,
        Self::ClientCertificateRefused,
        Self::NothingInCommon,
        Self::Refused,
        Self::NotTls,
        Self::EarlyInput,
    ];

    /// Returns the name of the fault, such as `certificate_expired`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CertificateUnknownIssuer => "certificate_unknown_issuer",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::NameMismatch => "name_mismatch",
            Self::CertificateRevoked => "certificate_revoked",
            Self::CertificateNotPinned => "certificate_not_pinned",
            Self::CertificateInvalid => "certificate_invalid",
            Self::ClientCertificateRefused => "client_certificate_refused",
            Self::NothingInCommon => "nothing_in_common",
            Self::Refused => "tls_refused",
            Self::NotTls => "not_tls",
            Self::EarlyInput => "early_input",
        }
    }

    /// Returns what happened and what to do about it, for the operator of the client.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::CertificateUnknownIssuer => {
                "no trusted authority has issued the server's certificate; add the authority's certificate to the roots"
            }
            Self::CertificateExpired => "the server's certificate has expired; its operator must renew it",
            Self::CertificateNotYetValid => "the server's certificate is not valid yet; check the clocks",
            Self::NameMismatch => {
                "the server's certificate is for other names; check the address, or set the server name"
            }
            Self::CertificateRevoked => "the server's certificate was revoked; its operator must replace it",
            Self::CertificateNotPinned => {
                "the server's certificate matches no pinned fingerprint; check the pin and the server"
            }
            Self::CertificateInvalid => "the server's certificate is malformed or not for servers",
            Self::ClientCertificateRefused => {
                "the server requires a client certificate that its authorities have issued; set it, or check it"
            }
            Self::NothingInCommon => {
                "the server has no TLS version, cipher or protocol (ALPN) in common with this client"
            }
            Self::Refused => "the server refused the TLS handshake with an alert; its log says why",
            Self::NotTls => "the server does not speak TLS at this port; check the address and the port",
            Self::EarlyInput => {
                "the server sent unexpected input before TLS; an attacker on the network may have inserted it"
            }
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TlsFault {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let names = "certificate_unknown_issuer, certificate_expired, certificate_not_yet_valid, name_mismatch, \
            certificate_revoked, certificate_not_pinned, certificate_invalid, client_certificate_refused, \
            nothing_in_common, tls_refused, not_tls, early_input";
        Self::ALL.into_iter().find(|fault| fault.name() == text).ok_or(NameError(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_that_parses() {
        for fault in TlsFault::ALL {
            assert_eq!(fault.name().parse(), Ok(fault));
            let listed = "x".parse::<TlsFault>().expect_err("no fault").to_string();
            assert!(listed.contains(fault.name()), "{fault}");
        }
    }
}
