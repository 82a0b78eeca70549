use crate::{Payload, Reason};

/// What one call of a decoder did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded<'a> {
    /// How many bytes of the input are done with: at least one, unless the input was empty.
    pub used: usize,
    /// The message that these bytes completed, if any.
    pub message: Option<Payload<'a>>,
}

/// The peer sent something that its wire doesn't allow. The decoder can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More content than the budget allows.
    #[error("the message is longer than {max} bytes")]
    TooLarge {
        /// The budget's limit, in bytes.
        max: usize,
    },
    /// Not UTF-8, where the wire demands it.
    #[error("the text is not valid UTF-8 from byte {valid_up_to} of the message on")]
    InvalidUtf8 {
        /// How many bytes of the message are valid.
        valid_up_to: usize,
    },
    /// A variable-length prefix that is longer than ten bytes or does not fit in 64 bits.
    #[error("the length prefix does not fit in 64 bits")]
    LengthOverflow,
    /// The input ended inside a frame.
    #[error("the input ended inside a frame")]
    Truncated,
}

impl DecodeError {
    /// The reason a connection ends with for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::TooLarge { .. } => Reason::MessageTooLarge,
            Self::InvalidUtf8 { .. } => Reason::InvalidUtf8,
            Self::LengthOverflow => Reason::MalformedFrame,
            Self::Truncated => Reason::PeerClosed,
        }
    }
}

/// The message does not fit in what the wire's length prefix can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {bytes} bytes does not fit this wire, whose longest is {max}")]
pub struct EncodeError {
    /// The length of the message, in bytes.
    pub bytes: usize,
    /// The longest that the wire can carry, in bytes.
    pub max: u64,
}
