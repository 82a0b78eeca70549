use crate::base::{Payload, Reason};
use crate::wire::telnet::Signal;
use crate::wire::websocket::{CloseCode, Inflater, Masks};
use alloc::string::String;
use alloc::vec::Vec;

/// What one call of a decoder did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded<'a> {
    /// How many bytes of the input are done with: at least one, unless the input was empty or the decoder
    /// [was ahead](super::Decoder::is_ahead).
    pub used: usize,
    /// How many bytes these count as for a rate: more than were used if they were compressed, or if they were keys and
    /// commands that take more work than their length says.
    pub cost: usize,
    /// How many messages it counts as for a rate: control frames count too.
    pub units: u32,
    /// What these bytes completed, if anything.
    pub item: Option<Item<'a>>,
}

/// What a decoder yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A message, for the application.
    Message(Payload<'a>),
    /// Something else that a telnet peer told.
    Signal(Signal<'a>),
    /// The answer to our ping, with what stood in it.
    Pong(u64),
    /// The peer closed the WebSocket, with this code if it gave one.
    Closed(Option<CloseCode>),
}

impl Item<'_> {
    /// Whether it is what a peer has to say: a message, or a key where keys are messages.
    pub(crate) const fn is_input(self) -> bool {
        matches!(self, Self::Message(_) | Self::Signal(Signal::Key(_)))
    }
}

impl<'a> Decoded<'a> {
    pub(crate) const fn nothing(used: usize) -> Self {
        Self { used, cost: used, units: 0, item: None }
    }

    pub(crate) const fn of(used: usize, item: Item<'a>) -> Self {
        Self { used, cost: used, units: 1, item: Some(item) }
    }

    pub(crate) const fn of_message(used: usize, payload: Payload<'a>) -> Self {
        Self::of(used, Item::Message(payload))
    }

    /// The message, if that is what was completed.
    #[must_use]
    pub const fn message(&self) -> Option<Payload<'a>> {
        match self.item {
            Some(Item::Message(payload)) => Some(payload),
            _ => None,
        }
    }
}

/// Where decoders put what is not whole in their input, until it is looked at: one for any number of them. So a
/// decoder that waits for nothing holds nothing.
#[derive(Debug, Default)]
pub struct DecodeBuffer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: String,
    pub(crate) inflater: Inflater,
    /// For what decoders answer.
    pub(crate) masks: Masks,
}

/// What is kept between two messages.
pub(crate) const SPARE_BYTES: usize = 64 << 10;

impl DecodeBuffer {
    /// A buffer whose masks follow from `seed`, for the client's end of a WebSocket: nobody else should know it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { masks: Masks::new(seed), ..Self::default() }
    }

    /// Gives back what only a long message needed.
    pub(crate) fn shrink(&mut self) {
        if self.bytes.capacity() > SPARE_BYTES {
            self.bytes = Vec::new();
        }
        if self.text.capacity() > SPARE_BYTES {
            self.text = String::new();
        }
    }
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
    /// A WebSocket frame that breaks the protocol (RFC 6455).
    #[error("the frame breaks the protocol: {0}")]
    Frame(&'static str),
    /// Compressed input that is not well formed (RFC 1950 and 1951).
    #[error("the compressed input is not well formed")]
    Compression,
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
            Self::LengthOverflow | Self::Compression | Self::Frame(_) => Reason::MalformedFrame,
            Self::Truncated => Reason::PeerClosed,
        }
    }
}

/// The message does not fit in what the wire's length prefix can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {bytes} bytes does not fit this wire, whose longest is {max}")]
#[non_exhaustive]
pub struct EncodeError {
    /// The length of the message, in bytes.
    pub bytes: usize,
    /// The longest that the wire can carry, in bytes.
    pub max: u64,
}
