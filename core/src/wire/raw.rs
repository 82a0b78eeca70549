use super::decoded::{Decoded, Item};
use super::stream_start::StreamStart;
use crate::base::{Payload, setters, work};
use crate::wire::Budget;
use crate::wire::telnet::{KeyDecoder, Signal};
use alloc::boxed::Box;
use core::time::Duration;

/// Raw bytes: a stream without message boundaries.
///
/// A received message is a piece of the stream, as long as what has arrived and at most
/// [`message_max_bytes`](Budget::message_max_bytes). It says nothing about how the peer wrote the
/// bytes: the network splits and joins them. Each piece counts as one message against the rates. A
/// sent message is written unchanged, without an ending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Raw {
    /// How received bytes reach the application.
    pub mode: RawMode,
}

setters!(Raw { mode: RawMode });

/// How received raw bytes reach the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RawMode {
    /// As messages of bytes, [`Payload::Binary`].
    #[default]
    Bytes,
    /// Keys, each as a [`Signal::Key`], decoded from UTF-8 text and terminal escape sequences.
    ///
    /// The terminal must send each key at once and must not show it, as after
    /// `stty raw -echo`. Each key counts as one message.
    Keys,
}

impl RawMode {
    /// Returns the name of the mode in a [listening address](crate::Listen).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Keys => "keys",
        }
    }
}

/// Decoder of raw bytes.
///
/// # Memory
/// None for messages. In [`RawMode::Keys`], the state of the key parser and the keys that one byte
/// completed.
#[derive(Debug)]
pub struct RawDecoder {
    start: StreamStart,
    mode: RawMode,
    /// The parser of keys. After a change to [`RawMode::Bytes`], it stays until it is empty.
    keys: Option<Box<KeyDecoder>>,
}

impl RawDecoder {
    /// Creates a decoder at the start of a stream.
    #[must_use]
    pub fn new(raw: Raw) -> Self {
        let mut decoder = Self { start: StreamStart::default(), mode: RawMode::Bytes, keys: None };
        decoder.set_mode(raw.mode);
        decoder
    }

    /// Sets how further input reaches the application.
    ///
    /// A change to [`RawMode::Bytes`] discards an incomplete escape sequence.
    pub fn set_mode(&mut self, mode: RawMode) {
        self.mode = mode;
        if mode == RawMode::Keys {
            self.keys.get_or_insert_default();
        }
    }

    /// Yields the front of `input` as a message, or the next key. It cannot fail.
    pub fn decode<'a>(&mut self, input: &'a mut [u8], budget: &Budget) -> Decoded<'a> {
        work::step(1);
        self.keys.take_if(|keys| self.mode == RawMode::Bytes && !keys.is_ahead());
        if let Some(keys) = &mut self.keys {
            // Input after the change is not parsed.
            let input = if self.mode == RawMode::Keys { &*input } else { &[] };
            let (used, key) = keys.next(input);
            self.start.push(&input[..used]);
            return match key {
                Some(key) => Decoded::of(used, Item::Signal(Signal::Key(key))),
                None => Decoded::nothing(used),
            };
        }
        let used = input.len().min(budget.message_max_bytes.get());
        if used == 0 {
            return Decoded::nothing(0);
        }
        self.start.push(&input[..used]);
        Decoded::of_message(used, Payload::Binary(&input[..used]))
    }

    /// Returns `true` if a byte completed several keys, of which some are not yielded yet.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.is_ahead())
    }

    /// Returns how long to wait for input before [`on_timeout`](Self::on_timeout), if at all.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.keys.as_ref().filter(|_| self.mode == RawMode::Keys).and_then(|keys| keys.wait())
    }

    /// Turns a pending escape character into the Escape key, once [`wait`](Self::wait) has elapsed.
    pub fn on_timeout(&mut self) {
        if let Some(keys) = &mut self.keys {
            keys.on_timeout();
        }
    }

    pub(super) fn begins_http(&self) -> Option<bool> {
        self.start.is_http()
    }
}
