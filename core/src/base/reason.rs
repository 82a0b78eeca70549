use core::fmt;

/// The party that caused the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Blame {
    /// The peer ended the connection or broke a rule.
    Peer,
    /// The connection failed in the network.
    Network,
    /// The application closed the connection or failed, or the last HTTP request was answered.
    Application,
    /// The operator closed the connection, stopped the server, or set the rule that applied.
    Operator,
}

/// Defines `Reason` from one table of names, numbers, blames and sentences.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $blame:ident, $sentence:literal;)*) => {
        /// The reason for which a connection ended or was refused.
        ///
        /// Every connection ends with exactly one reason: the first that applied. Names and numbers
        /// are stable; logs, metrics and wires carry them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum Reason { $($(#[$doc])* $variant = $number,)* }

        impl Reason {
            /// All reasons, ordered by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the stable name for logs and metric labels, in lower case with underscores.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the party that caused the end of the connection.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $(Self::$variant => Blame::$blame,)* }
            }

            /// Returns a sentence that explains the reason to the user.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

reasons! {
    /// The peer closed the connection, ended its half of it, or logged out.
    PeerClosed = 100, "peer_closed", Peer, "the peer closed the connection";
    /// A message was longer than [`Budget::message_max_bytes`](crate::limit::Budget).
    MessageTooLarge = 101, "message_too_large", Peer, "the message is longer than this server accepts";
    /// The peer sent text that is not UTF-8 where the wire requires UTF-8.
    InvalidUtf8 = 102, "invalid_utf8", Peer, "the text is not valid UTF-8";
    /// The peer sent a malformed frame, such as a variable-length prefix of eleven bytes.
    MalformedFrame = 103, "malformed_frame", Peer, "the frame is malformed";
    /// A message or an HTTP request was not complete at its deadline.
    ///
    /// For messages, see [`Budget::message_deadline`](crate::limit::Budget).
    MessageTimeout = 104, "message_timeout", Peer, "a message was not completed in time";
    /// The peer completed no message, or began no HTTP request, within the time limit.
    ///
    /// For messages, see [`Config::idle`](crate::Config::idle).
    Idle = 105, "idle", Peer, "there was no input for too long";
    /// The peer sent no byte for [`Config::silence`](crate::Config::silence).
    Silent = 106, "silent", Peer, "nothing was received for too long";
    /// The peer sent too many messages, bytes or wrong credentials in too short a time.
    RateLimited = 107, "rate_limited", Peer, "too many messages or bytes in too short a time";
    /// The peer reads too slowly: its output exceeded the queue limit or the write deadline.
    SlowConsumer = 108, "slow_consumer", Peer, "the peer reads too slowly";
    /// The peer's address is in quarantine until the cool-down is over.
    Quarantined = 109, "quarantined", Peer, "this address is refused for a while";
    /// The peer speaks another protocol than the listener accepts or the dial expects.
    ///
    /// For example TLS, or an HTTP request where those are [refused](crate::Listen::refuses_http).
    WrongProtocol = 110, "wrong_protocol", Peer, "this port speaks another protocol";
    /// The peer sent a malformed or unacceptable request, over HTTP or to a service.
    BadRequest = 111, "bad_request", Peer, "the request is not accepted";
    /// Authentication is missing or failed.
    Unauthorized = 112, "unauthorized", Peer, "authentication failed";
    /// The peer did not authenticate in time.
    AuthenticationTimeout = 113, "authentication_timeout", Peer, "authentication timed out";
    /// The peer lacks permission for its request.
    Forbidden = 114, "forbidden", Peer, "this is not allowed";
    /// The peer's [authentication](crate::Identity) or the connection's lifetime has expired.
    SessionExpired = 115, "session_expired", Peer, "the session has expired";
    /// The TLS handshake failed, or TLS failed later (RFC 8446 section 6).
    TlsFailed = 116, "tls_failed", Peer, "TLS failed";
    /// The proxy's PROXY protocol header is missing or malformed.
    BadProxyHeader = 117, "bad_proxy_header", Peer, "missing or invalid PROXY header";
    /// Nothing exists at the requested HTTP path.
    NotFound = 118, "not_found", Peer, "there is nothing at this path";
    /// Pages of the request's origin may not connect; see [`Http::origins`](crate::http::Http).
    OriginRefused = 119, "origin_refused", Peer, "pages of this origin may not connect";
    /// The request's `Host` is not a name of this server; see [`Http::hosts`](crate::http::Http).
    HostRefused = 120, "host_refused", Peer, "this server is not known by that name";
    /// The SSH key exchange failed (RFC 4253 section 7), for example without a common algorithm.
    KeyExchangeFailed = 121, "key_exchange_failed", Peer, "the SSH key exchange failed";
    /// The peer broke the SSH protocol (RFC 4253 and 4254).
    SshProtocol = 122, "ssh_protocol", Peer, "the SSH protocol was broken";
    /// The peer logged in over SSH, but asked for something else than a session.
    NoSession = 123, "no_session", Peer, "only a session is offered here";
    /// The connection was reset.
    Reset = 200, "reset", Network, "the connection was reset";
    /// The network timed out, for example in TCP keep-alive.
    NetworkTimeout = 201, "network_timeout", Network, "the network timed out";
    /// The socket failed for a reason other than a reset or a timeout.
    NetworkError = 202, "network_error", Network, "the connection failed";
    /// The [tunnel](crate::tunnel) of the connection was lost.
    TunnelLost = 203, "tunnel_lost", Network, "the tunnel to the server was lost";
    /// The input ended within a message without the `close_notify` of TLS (RFC 8446 section 6.1).
    ///
    /// It may have been cut off in transit, so the incomplete message is discarded. On the raw wire,
    /// which has no message boundaries, every end without `close_notify` counts. Some clients always
    /// close like this; between two messages, that is [`PeerClosed`](Self::PeerClosed).
    Truncated = 204, "truncated", Network, "the connection ended without TLS close_notify";
    /// The application closed the connection.
    Application = 300, "application", Application, "the application closed the connection";
    /// The server answered the last HTTP request of the connection.
    Answered = 301, "answered", Application, "the request was answered";
    /// The handler or a task of the application panicked while it worked on this connection.
    HandlerPanicked = 302, "handler_panicked", Application, "the application failed";
    /// The same user opened another connection.
    Replaced = 303, "replaced", Application, "the same user connected elsewhere";
    /// The application's [codec](crate::wire::Codec) panicked or broke its own rules.
    CodecFailed = 304, "codec_failed", Application, "the protocol decoder failed";
    /// The application did not respond in time to an HTTP request.
    ///
    /// Such a request is refused, and its connection may stay open.
    ResponseTimeout = 305, "response_timeout", Application, "the application did not respond in time";
    /// An operator closed this connection.
    Kicked = 400, "kicked", Operator, "an operator closed the connection";
    /// The server is shutting down, or a reload removed the listener.
    Shutdown = 401, "shutdown", Operator, "the server is shutting down";
    /// The server is at its limit of connections.
    ServerFull = 402, "server_full", Operator, "the server is full";
    /// The listener is at its limit of connections.
    ListenerFull = 403, "listener_full", Operator, "this port is full";
    /// The peer's address is at its limit of connections.
    AddressFull = 404, "address_full", Operator, "this address has too many connections";
    /// The peer's address is not allowed; see [`Listen::allow`](crate::Listen) and `deny`.
    AddressRefused = 405, "address_refused", Operator, "this address is not allowed here";
    /// The peer's address opens connections too fast.
    ///
    /// See [`ConnectionLimits::arrivals_per_address`](crate::limit::ConnectionLimits).
    AddressTooFast = 406, "address_too_fast", Operator, "this address connects too often";
    /// Too many connections are unauthenticated, or the first shard did not answer in time.
    ///
    /// See [`EarlyDrop`](crate::limit::EarlyDrop).
    ServerBusy = 407, "server_busy", Operator, "the server is busy, try again";
}

impl Reason {
    /// Returns the reason's stable number.
    ///
    /// 1xx: caused by the peer, 2xx: the network, 3xx: the application, 4xx: the operator.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Returns the reason with this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.name() == name)
    }

    /// Returns the reason's index in [`Reason::ALL`].
    pub(crate) fn place(self) -> usize {
        Self::ALL.iter().position(|&other| other == self).unwrap_or(0)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn reason_names_and_numbers_are_unique_and_ordered() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(Reason::ALL.windows(2).all(|w| w[0].number() < w[1].number()));
    }

    #[test]
    fn reason_number_hundreds_give_the_blame() {
        for reason in Reason::ALL {
            let expected = match reason.number() / 100 {
                1 => Blame::Peer,
                2 => Blame::Network,
                3 => Blame::Application,
                _ => Blame::Operator,
            };
            assert_eq!(reason.blame(), expected, "{reason}");
        }
    }
}
