//! Errors of decoding and encoding messages.

use crate::base::Reason;

/// The error for input that breaks the rules of the wire or exceeds the budget.
///
/// The decoder is unusable afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message is longer than the budget allows.
    #[error("the message is longer than {max} bytes")]
    TooLarge {
        /// The longest message that the budget allows, in bytes.
        max: usize,
    },
    /// The text is not UTF-8, but the wire requires it.
    #[error("the text is not valid UTF-8 from byte {valid_up_to} of the message on")]
    InvalidUtf8 {
        /// Number of bytes at the start of the message that are known to be valid.
        valid_up_to: usize,
    },
    /// A variable-length prefix is longer than ten bytes or does not fit in 64 bits.
    #[error("the length prefix does not fit in 64 bits")]
    LengthOverflow,
    /// A WebSocket frame violates the protocol (RFC 6455).
    #[error("the frame violates the protocol: {0}")]
    Frame(&'static str),
    /// The compressed input is malformed (RFC 1950 and 1951).
    #[error("the compressed input is malformed")]
    Compression,
    /// The peer broke the SSH protocol after its login (RFC 4253 and 4254).
    #[error("the SSH protocol was broken")]
    Ssh,
    /// The input ended inside a frame.
    #[error("the input ended inside a frame")]
    Truncated,
    /// The application's [codec](super::Codec) refuses the input.
    #[error("the input breaks the protocol: {0}")]
    Codec(#[from] CodecError),
    /// The application's [codec](super::Codec) violated the contract of its trait, or panicked.
    #[error("the codec failed: {0}")]
    CodecFault(#[from] CodecFault),
}

impl DecodeError {
    /// Returns the reason with which the connection ends.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::TooLarge { .. } => Reason::MessageTooLarge,
            Self::InvalidUtf8 { .. } => Reason::InvalidUtf8,
            Self::LengthOverflow | Self::Compression | Self::Frame(_) | Self::Codec(_) => Reason::MalformedFrame,
            Self::CodecFault(_) => Reason::CodecFailed,
            Self::Ssh => Reason::SshProtocol,
            Self::Truncated => Reason::PeerClosed,
        }
    }
}

/// The error with which a [codec](super::Codec) refuses input or a message.
///
/// Refused input ends the connection, and the log shows the text:
/// [`Hub::decode_error`](crate::Hub::decode_error) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct CodecError {
    why: &'static str,
}

impl CodecError {
    /// Creates an error that says what is wrong, such as `the protocol identifier is not 0`.
    #[must_use]
    pub const fn new(why: &'static str) -> Self {
        Self { why }
    }
}

/// How a [codec](super::Codec) violated the contract of its trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecFault {
    /// The codec returned a frame that is longer than its input.
    #[error("it used {used} of {given} bytes")]
    UsedTooMuch {
        /// The length of the frame, in bytes.
        used: usize,
        /// Number of bytes that the codec was given.
        given: usize,
    },
    /// The codec returned a frame of 0 bytes.
    #[error("it returned a frame without using a byte")]
    NoProgress,
    /// The message is not within its frame.
    #[error("the message is not within its frame")]
    OutsideFrame,
    /// The codec asked for 0 more bytes.
    #[error("it asked for 0 more bytes")]
    AskedForNothing,
    /// The codec asked for more bytes although a frame was complete without any of them.
    #[error("it asked for more bytes although a frame was complete")]
    TookBack,
    /// The codec panicked.
    #[error("it panicked")]
    Panicked,
}

/// The error for a message that the wire cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The message is longer than the wire can express.
    #[error("a message of {bytes} bytes is too long for this wire, which carries at most {max}")]
    TooLong {
        /// The length of the message, or of the frame that a codec made of it, in bytes.
        bytes: usize,
        /// The longest message that the wire can carry, in bytes.
        max: u64,
    },
    /// A delimiter begins in the message, before the appended one.
    #[error("the message contains the delimiter of this wire, at byte {offset}")]
    Delimiter {
        /// The offset in the message, in bytes, at which the delimiter begins.
        offset: usize,
    },
    /// The message is not text, which is all that this wire carries.
    #[error("the message is not text")]
    NotText,
    /// The application's [codec](super::Codec) refuses the message.
    #[error("the codec refuses the message: {0}")]
    Codec(CodecError),
    /// The application's [codec](super::Codec) panicked.
    #[error("the codec panicked")]
    CodecPanicked,
}
