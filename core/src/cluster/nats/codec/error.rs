//! Faults of a server that end its link.

/// Why the bytes of a peer are no operation that the decoder accepts.
///
/// Each of these ends the link. Operators read the texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NatsError {
    #[error("the peer does not speak the NATS protocol: it did not begin with INFO")]
    NotNats,
    #[error("the peer answered with TLS: this port takes only TLS from the first byte on")]
    Tls,
    #[error("the peer sent an unknown operation")]
    UnknownOperation,
    #[error("an INFO is longer than {max} bytes")]
    InfoTooLong { max: usize },
    #[error("a line is longer than {max} bytes")]
    LineTooLong { max: usize },
    #[error("a line has a single CR or LF; lines end with CR LF")]
    LoneLineEnd,
    #[error("a MSG or HMSG has {words} words")]
    WordCount { words: usize },
    #[error("a length or the number of a subscription is not a number")]
    BadNumber,
    #[error("the headers of a message have {bytes} bytes, and at most {max} are accepted")]
    HeadersTooLong { bytes: usize, max: usize },
    #[error("a message has {bytes} bytes, and at most {max} are accepted")]
    MessageTooLong { bytes: usize, max: usize },
    #[error("a message has {headers} bytes of headers, and only {total} bytes in total")]
    HeadersBeyondMessage { headers: usize, total: usize },
    #[error("a message does not end with CR LF")]
    NoMessageEnd,
    #[error("the headers of a message do not begin with NATS/1.0, or do not end with an empty line")]
    BadHeaders,
    #[error("more than {max} received bytes were not taken")]
    NotRead { max: usize },
}
