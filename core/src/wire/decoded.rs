use crate::base::Payload;
use crate::wire::telnet::Signal;
use crate::wire::websocket::{CloseCode, Inflater, Masks};
use alloc::string::String;
use alloc::vec::Vec;

/// The result of one call of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded<'a> {
    /// Number of input bytes that were consumed.
    ///
    /// At least one, unless the input was empty or the decoder [was
    /// ahead](super::Decoder::is_ahead).
    pub used: usize,
    /// Number of bytes that count against a rate.
    ///
    /// More than [`used`](Self::used) for compressed input, and for keys and commands that take
    /// more work than their length suggests.
    pub cost: usize,
    /// Number of messages that count against a rate, including control frames.
    pub units: u32,
    /// The item that the consumed bytes completed, if any.
    pub item: Option<Item<'a>>,
}

/// An item that a decoder yields: a message or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A message for the application.
    Message(Payload<'a>),
    /// A telnet event other than a line, such as a key or a new window size.
    Signal(Signal<'a>),
    /// The peer's answer to a ping, with the payload of the ping.
    Pong(u64),
    /// The peer closed the WebSocket, with its close code if it sent one.
    Closed(Option<CloseCode>),
}

impl Item<'_> {
    /// Returns `true` if the item is input for the application: a message, or a key in key mode.
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

    /// Returns the message, if one was completed.
    #[must_use]
    pub const fn message(&self) -> Option<Payload<'a>> {
        match self.item {
            Some(Item::Message(payload)) => Some(payload),
            _ => None,
        }
    }
}

/// Working memory of decoders, such as for a message that is not contiguous in the input.
///
/// It holds the message while the caller handles it.
///
/// One buffer serves any number of decoders, so a decoder between two messages holds no memory.
#[derive(Debug, Default)]
pub struct DecodeBuffer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: String,
    pub(crate) inflater: Inflater,
    /// The generator of masks for the decoders' replies.
    pub(crate) masks: Masks,
}

/// Maximum capacity that a buffer keeps between two messages, in bytes.
pub(crate) const SPARE_BYTES: usize = 64 << 10;

impl DecodeBuffer {
    /// Creates a buffer that derives its masks from `seed`.
    ///
    /// Only clients of a WebSocket mask frames. The seed should be secret.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { masks: Masks::new(seed), ..Self::default() }
    }

    /// Frees each message buffer whose capacity is greater than `SPARE_BYTES`.
    pub(crate) fn shrink(&mut self) {
        if self.bytes.capacity() > SPARE_BYTES {
            self.bytes = Vec::new();
        }
        if self.text.capacity() > SPARE_BYTES {
            self.text = String::new();
        }
    }
}
