//! Faults of a peer that end its link.

use core::fmt;

/// A byte that names the type of a reply, or stands where one should.
///
/// It is displayed in quotes if it is printable, as `'$'`, and otherwise as a number, as `0x16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeByte(pub(crate) u8);

impl fmt::Display for TypeByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            byte @ b' '..=b'~' => write!(f, "'{}'", char::from(byte)),
            byte => write!(f, "0x{byte:02x}"),
        }
    }
}

/// Why the bytes of a peer are no reply that the decoder accepts.
///
/// Each of these ends the link. Operators read the texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RespError {
    /// The first byte of the link begins no reply.
    #[error("the peer does not speak the Redis protocol: it sent {0} first")]
    NotRedis(TypeByte),
    /// The first byte of the link begins a TLS record.
    #[error("the peer answered with TLS: this port takes only TLS connections")]
    Tls,
    /// A later byte should begin a reply or an element, but is no known type.
    #[error("the peer sent a reply of the unknown type {0}")]
    UnknownType(TypeByte),
    /// A streamed reply, or a part of one (`$?`, `*?`, `;`, `.`). Redis sends none.
    #[error("the peer sent a streamed reply of type {0}; only replies with a length are accepted")]
    Streamed(TypeByte),
    /// A push inside of another reply.
    #[error("the peer sent a push message inside of another reply")]
    MisplacedPush,
    /// A line is longer than lines of this type may be.
    #[error("a line of type {kind} is longer than {max} bytes")]
    LineTooLong {
        /// The type of the line.
        kind: TypeByte,
        /// The maximum length, in bytes.
        max: usize,
    },
    /// A line has a CR or an LF that does not belong to the CR LF at its end.
    #[error("a line of type {0} has a single CR or LF; lines end with CR LF")]
    LoneLineEnd(TypeByte),
    /// A length or a count has other characters than digits, or none.
    #[error("the length of a reply of type {0} is not a number")]
    BadLength(TypeByte),
    /// The length -1, which means null, of a type that has no null.
    #[error("a reply of type {0} has the length -1, but only '$' and '*' may be null")]
    NullNotAllowed(TypeByte),
    /// A text declares more bytes than a reply may have.
    #[error("a text of {bytes} bytes is longer than the longest reply, {max} bytes")]
    TextTooLong {
        /// The declared length, in bytes.
        bytes: usize,
        /// The maximum length of a reply, in bytes.
        max: usize,
    },
    /// An aggregate declares more elements than fit into the rest of the longest reply.
    #[error("an aggregate of type {kind} with {count} entries does not fit into the longest reply, {max} bytes")]
    CountTooLarge {
        /// The type of the aggregate.
        kind: TypeByte,
        /// The declared count.
        count: usize,
        /// The maximum length of a reply, in bytes.
        max: usize,
    },
    /// A reply has too many elements in total.
    #[error("a reply has more than {max} elements")]
    TooManyElements {
        /// The maximum number of elements.
        max: usize,
    },
    /// A reply is longer than it may be.
    #[error("a reply is longer than {max} bytes")]
    ReplyTooLong {
        /// The maximum length of a reply, in bytes.
        max: usize,
    },
    /// Aggregates are nested too deeply.
    #[error("a reply has more than {max} levels of nested aggregates")]
    TooDeep {
        /// The maximum number of levels.
        max: usize,
    },
    /// Behind a text of declared length is something else than CR LF.
    #[error("a text of type {0} does not end with CR LF where its length says")]
    MissingLineEnd(TypeByte),
    /// An integer does not fit 64 bits.
    #[error("an integer does not fit into 64 bits")]
    IntegerTooLarge,
    /// A boolean is neither `t` nor `f`.
    #[error("a boolean is neither 't' nor 'f'")]
    BadBoolean,
    /// A number, a null or a verbatim text is malformed.
    #[error("a number, a null or a verbatim text is malformed")]
    Malformed,
    /// The parser refuses a reply whose bounds were checked.
    #[error("a reply cannot be parsed")]
    Unparsed,
    /// The owner of the decoder pushed more bytes before it took the replies that were complete.
    #[error("more than {max} bytes of replies are waiting to be handled")]
    NotRead {
        /// The maximum length of a reply, in bytes.
        max: usize,
    },
}
