use super::name_error::NameError;
use core::fmt;
use core::str::FromStr;

/// Why a connection through an outgoing proxy failed.
///
/// Failures to reach the proxy itself are those of any connection, such as
/// [`Failure::Refused`](crate::Failure::Refused).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyFault {
    /// The proxy requires a user and a password, and none are set (HTTP 407; SOCKS5 method `FF`).
    AuthenticationRequired,
    /// The proxy refused the user or the password (HTTP 407, or 401; SOCKS5).
    CredentialsRefused,
    /// The proxy does not allow connections to this host and port (HTTP 403; SOCKS5 reply 2).
    Forbidden,
    /// The proxy could not reach the host (HTTP 502 to 504; SOCKS5 replies 3, 4 and 6).
    ///
    /// Some proxies also use it for a host name that they could not resolve.
    TargetUnreachable,
    /// The host refused the connection of the proxy (SOCKS5 reply 5).
    TargetRefused,
    /// The proxy rejected the request with another HTTP status.
    Rejected {
        /// The HTTP status code of the response, such as 400 (RFC 9110 section 15).
        status: u16,
    },
    /// The SOCKS5 proxy reported a general failure (reply 1), or one that RFC 1928 does not list.
    ///
    /// Many proxies use it for a host name that they could not resolve.
    General,
    /// The SOCKS5 proxy does not support connections, or this kind of address (replies 7 and 8).
    Unsupported,
    /// The answer does not follow the protocol of the configured proxy.
    NotProxy,
    /// The head of the proxy's HTTP response is longer than 8 KiB.
    TooLong,
    /// The proxy closed the connection before its answer was complete.
    Closed,
    /// The answer of the proxy was not complete in time.
    TimedOut,
    /// The dialled address cannot be sent to a proxy: it is not `HOST:PORT`.
    ///
    /// The host must be an IP address or a name of at most 255 printable ASCII characters.
    BadTarget,
}

impl ProxyFault {
    const NAMED: [Self; 12] = [
        Self::AuthenticationRequired,
        Self::CredentialsRefused,
        Self::Forbidden,
        Self::TargetUnreachable,
        Self::TargetRefused,
        Self::General,
        Self::Unsupported,
        Self::NotProxy,
        Self::TooLong,
        Self::Closed,
        Self::TimedOut,
        Self::BadTarget,
    ];

    /// Returns the name of the fault, such as `proxy_forbidden`.
    ///
    /// The name of [`Rejected`](Self::Rejected) is `proxy_rejected`; [`Display`](fmt::Display) adds the status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthenticationRequired => "proxy_authentication_required",
            Self::CredentialsRefused => "proxy_credentials_refused",
            Self::Forbidden => "proxy_forbidden",
            Self::TargetUnreachable => "proxy_target_unreachable",
            Self::TargetRefused => "proxy_target_refused",
            Self::Rejected { .. } => "proxy_rejected",
            Self::General => "proxy_general_failure",
            Self::Unsupported => "proxy_unsupported",
            Self::NotProxy => "not_a_proxy",
            Self::TooLong => "proxy_response_too_long",
            Self::Closed => "proxy_closed",
            Self::TimedOut => "proxy_timed_out",
            Self::BadTarget => "proxy_bad_target",
        }
    }

    /// Returns what happened and what to do about it, for the operator of the client.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::AuthenticationRequired => {
                "the proxy requires a user and a password; set them, as in http://USER:PASSWORD@HOST:PORT"
            }
            Self::CredentialsRefused => {
                "the proxy refused the user or the password; check them, and percent-encode special characters"
            }
            Self::Forbidden => "the proxy does not allow connections to this host and port; ask its operator",
            Self::TargetUnreachable => "the proxy can't reach the host; check the address, or ask the proxy's operator",
            Self::TargetRefused => "the host refused the proxy's connection; check the address and the port",
            Self::Rejected { .. } => "the proxy rejected the request with this HTTP status; its log says why",
            Self::General => "the proxy failed and gave no reason; check the address, and that its host name exists",
            Self::Unsupported => "the proxy does not support connections to this kind of address; try a host name",
            Self::NotProxy => {
                "the server at the proxy's address is not such a proxy; check the scheme (http or socks5) and the port"
            }
            Self::TooLong => "the head of the proxy's response is longer than 8 KiB; check the proxy's address",
            Self::Closed => "the proxy closed the connection without an answer; its log says why",
            Self::TimedOut => "the proxy did not answer in time; check its address, and whether it reaches the host",
            Self::BadTarget => "a proxy connects to HOST:PORT only; check the address, or connect without the proxy",
        }
    }

    /// Returns `true` if retrying is pointless without operator action.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        matches!(
            self,
            Self::AuthenticationRequired
                | Self::CredentialsRefused
                | Self::Forbidden
                | Self::Unsupported
                | Self::NotProxy
                | Self::BadTarget
        )
    }
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { status } => write!(f, "{}_{status}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

impl FromStr for ProxyFault {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let names = "proxy_authentication_required, proxy_credentials_refused, proxy_forbidden, \
            proxy_target_unreachable, proxy_target_refused, proxy_rejected_STATUS, proxy_general_failure, \
            proxy_unsupported, not_a_proxy, proxy_response_too_long, proxy_closed, proxy_timed_out, proxy_bad_target";
        if let Some(status) = text.strip_prefix("proxy_rejected_").and_then(|status| status.parse().ok()) {
            return Ok(Self::Rejected { status });
        }
        Self::NAMED.into_iter().find(|fault| fault.name() == text).ok_or(NameError(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_fault_has_a_name_of_its_own_that_parses() {
        let rejected = ProxyFault::Rejected { status: 418 };
        for fault in ProxyFault::NAMED.into_iter().chain([rejected]) {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            let listed = "x".parse::<ProxyFault>().expect_err("no fault").to_string();
            assert!(listed.contains(fault.name()), "{fault}");
        }
        assert_eq!(rejected.to_string(), "proxy_rejected_418");
    }
}
