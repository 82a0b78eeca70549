use super::{EventFormat, Events};
use crate::base::work;
use crate::wire::decoded::Decoded;
use crate::wire::errors::DecodeError;
use crate::wire::telnet::Replies;
use alloc::vec::Vec;
use core::time::Duration;

/// Decoder of a stream in one direction: discards input, and sends keep-alives.
///
/// A client may have sent input before it received the response, such as the next request. Up to 16 KiB
/// over the whole connection are discarded; more is an error.
///
/// # Memory
/// None.
#[derive(Debug)]
pub struct EventsDecoder {
    events: Events,
    discarded: usize,
    /// Whether a keep-alive is to be sent.
    is_due: bool,
    /// Number of probes left: keep-alives at a short interval after the peer has ended its half.
    probes: u8,
}

/// Maximum number of bytes that a peer may send.
const DISCARD_MAX_BYTES: usize = 16 << 10;
/// Number of keep-alives after the end of the input. If the peer is gone, its host answers the first one with a reset,
/// and the next one fails.
const PROBES: u8 = 2;
/// Interval of the keep-alives after the end of the input.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl EventsDecoder {
    /// Creates a decoder at the start of a stream.
    #[must_use]
    pub const fn new(events: Events) -> Self {
        Self { events, discarded: 0, is_due: false, probes: 0 }
    }

    /// Discards `input`.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] if the peer has sent more than 16 KiB.
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded<'static>, DecodeError> {
        work::step(1);
        self.discarded = self.discarded.saturating_add(input.len());
        if self.discarded > DISCARD_MAX_BYTES {
            return Err(DecodeError::TooLarge { max: DISCARD_MAX_BYTES });
        }
        Ok(Decoded::nothing(input.len()))
    }

    /// Notes that the peer has ended its half. Keep-alives then find out whether the peer is gone.
    pub(crate) const fn finish(&mut self) {
        self.probes = PROBES;
    }

    /// Returns the format of the stream.
    #[must_use]
    pub const fn format(&self) -> EventFormat {
        self.events.format
    }

    pub(crate) const fn ping_interval(&self) -> Option<Duration> {
        if self.probes > 0 { Some(PROBE_INTERVAL) } else { self.events.ping }
    }

    /// Requests a keep-alive.
    pub(crate) const fn keep_alive(&mut self) {
        self.is_due = true;
        self.probes = self.probes.saturating_sub(1);
    }

    pub(crate) fn replies(&mut self) -> Option<Replies> {
        let is_due = core::mem::take(&mut self.is_due);
        is_due.then(|| Replies { control: self.events.format.keep_alive().to_vec(), output: Vec::new() })
    }
}
