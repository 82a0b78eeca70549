use crate::base::Reason;

/// The status of a response: code and reason phrase (RFC 9110 section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u16, &'static str);

impl Status {
    pub(crate) const fn code(self) -> u16 {
        self.0
    }

    /// Returns the reason phrase.
    pub(crate) const fn phrase(self) -> &'static str {
        self.1
    }

    /// Creates the status of a code. The phrase is empty except for a few common codes.
    pub(crate) fn of(code: u16) -> Self {
        let known = [
            Self::OK,
            Self::NO_CONTENT,
            Self::BAD_REQUEST,
            Self::UNAUTHORIZED,
            Self::FORBIDDEN,
            Self::NOT_FOUND,
            Self::TOO_MANY_REQUESTS,
            Self::UNAVAILABLE,
        ];
        known.into_iter().find(|known| known.0 == code).unwrap_or(Self(code, ""))
    }

    /// Returns the status for a connection that is not admitted, for this reason.
    ///
    /// 403: the address may not connect. 429: the address has or opens too many connections.
    /// Otherwise 503: the server is full, busy or shuts down.
    pub(crate) const fn of_refusal(reason: Reason) -> Self {
        match reason {
            Reason::AddressRefused | Reason::Quarantined => Self::FORBIDDEN,
            Reason::AddressFull | Reason::AddressTooFast | Reason::RateLimited => Self::TOO_MANY_REQUESTS,
            _ => Self::UNAVAILABLE,
        }
    }

    pub(crate) const OK: Self = Self(200, "OK");
    pub(crate) const NO_CONTENT: Self = Self(204, "No Content");
    pub(crate) const MOVED_PERMANENTLY: Self = Self(301, "Moved Permanently");
    pub(crate) const NOT_MODIFIED: Self = Self(304, "Not Modified");
    pub(crate) const BAD_REQUEST: Self = Self(400, "Bad Request");
    pub(crate) const UNAUTHORIZED: Self = Self(401, "Unauthorized");
    pub(crate) const FORBIDDEN: Self = Self(403, "Forbidden");
    pub(crate) const NOT_FOUND: Self = Self(404, "Not Found");
    pub(crate) const METHOD_NOT_ALLOWED: Self = Self(405, "Method Not Allowed");
    pub(crate) const REQUEST_TIMEOUT: Self = Self(408, "Request Timeout");
    pub(crate) const CONTENT_TOO_LARGE: Self = Self(413, "Content Too Large");
    pub(crate) const EXPECTATION_FAILED: Self = Self(417, "Expectation Failed");
    pub(crate) const MISDIRECTED: Self = Self(421, "Misdirected Request");
    pub(crate) const TOO_MANY_REQUESTS: Self = Self(429, "Too Many Requests");
    pub(crate) const UPGRADE_REQUIRED: Self = Self(426, "Upgrade Required");
    pub(crate) const FIELDS_TOO_LARGE: Self = Self(431, "Request Header Fields Too Large");
    pub(crate) const NOT_IMPLEMENTED: Self = Self(501, "Not Implemented");
    pub(crate) const UNAVAILABLE: Self = Self(503, "Service Unavailable");
    pub(crate) const VERSION_NOT_SUPPORTED: Self = Self(505, "HTTP Version Not Supported");
}

/// The refusal of a request: its status, reason and explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: Status,
    pub(crate) reason: Reason,
    /// The explanation for the peer and the log.
    pub(crate) why: &'static str,
}

impl Refused {
    pub(crate) const fn new(status: Status, reason: Reason, why: &'static str) -> Self {
        Self { status, reason, why }
    }
}
