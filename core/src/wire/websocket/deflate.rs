//! Compression of messages (RFC 7692), without context takeover in either direction.
//!
//! The compression state is discarded after each message. So an idle connection needs no memory for
//! it, and a message to many connections is compressed once.

use crate::wire::DecodeError;
use crate::wire::deflate::{Format, Inflate, Inflated, Outcome, compress, compressor};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use miniz_oxide::MZFlush;
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;

/// Length of the shortest message that is compressed, in bytes.
///
/// Compression hardly shortens smaller messages.
const WORTH_BYTES: usize = 256;
/// The end of a message's compressed data, which is not sent (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Size of the smallest output buffer for inflating, in bytes.
const PIECE_BYTES: usize = 4096;
/// Limit on the cost of inflating in one turn. A costlier message continues in the next turn.
///
/// The limit is high enough for the longest message by default.
const COST_AT_ONCE: usize = 96 << 10;
/// Names of the parameters that limit the server's and the client's window (RFC 7692).
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";

/// The negotiated parameters of permessage-deflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// Base-2 logarithm of the compression window, in bytes. `None` if it is too small to compress.
    window_bits: Option<u8>,
}

impl Default for Deflate {
    /// Returns parameters with the largest window.
    fn default() -> Self {
        Self { window_bits: Some(Self::WINDOW_BITS_MAX) }
    }
}

impl Deflate {
    const WINDOW_BITS_MAX: u8 = 15;
    /// Base-2 logarithm of the smallest window, in bytes, for which messages are compressed.
    ///
    /// With a smaller one, resetting the compressor for each piece takes longer than compressing. A
    /// peer could ask for that on purpose.
    const WINDOW_BITS_WORTH: u8 = 12;

    /// Accepts the first offer that can be met. Returns its parameters and the answer (RFC 7692).
    pub(crate) fn accept<'o>(offers: impl Iterator<Item = &'o str>) -> Option<(Self, String)> {
        offers.flat_map(|field| field.split(',')).find_map(|offer| {
            let mut parts = offer.split(';').map(str::trim);
            if parts.next() != Some("permessage-deflate") {
                return None;
            }
            let window_bits = Self::meet(parts, SERVER_WINDOW)?;
            let mut answer = String::from("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
            if window_bits < Self::WINDOW_BITS_MAX {
                let _ = write!(answer, "; server_max_window_bits={window_bits}");
            }
            Some((Self::of(window_bits), answer))
        })
    }

    /// The offer of a client. It excludes context takeover, which needs memory per connection.
    pub(crate) const OFFER: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits";

    /// Parses a server's answer to the [`OFFER`](Self::OFFER). Returns `None` if it is not valid.
    pub(crate) fn agreed(answer: &str) -> Option<Self> {
        let mut parts = answer.split(';').map(str::trim);
        let known = parts.next() == Some("permessage-deflate");
        let parameters: Vec<_> = parts.collect();
        if !known || !parameters.contains(&"server_no_context_takeover") {
            return None;
        }
        Self::meet(parameters.into_iter(), CLIENT_WINDOW).map(Self::of)
    }

    fn of(window_bits: u8) -> Self {
        Self { window_bits: Some(window_bits).filter(|&bits| bits >= Self::WINDOW_BITS_WORTH) }
    }

    /// Returns the base-2 logarithm of the window size, which the parameter named `ours` limits.
    ///
    /// Returns `None` if a parameter is unknown, repeated, or has an invalid value (section 7.1).
    fn meet<'p>(parameters: impl Iterator<Item = &'p str>, ours: &str) -> Option<u8> {
        let mut seen = Vec::new();
        let mut window_bits = Self::WINDOW_BITS_MAX;
        for parameter in parameters {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                None => (parameter, None),
            };
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name, value) {
                ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
                // An offer may leave the bits to the server; an answer must specify them.
                (CLIENT_WINDOW, None) if ours != CLIENT_WINDOW => {}
                (name, Some(bits)) if name == ours => window_bits = window(bits)?,
                (SERVER_WINDOW | CLIENT_WINDOW, Some(bits)) => drop(window(bits)?),
                _ => return None,
            }
        }
        Some(window_bits)
    }
}

fn window(bits: &str) -> Option<u8> {
    let known = !bits.starts_with('0') && bits.bytes().all(|digit| digit.is_ascii_digit());
    bits.parse().ok().filter(|bits| known && (8..=Deflate::WINDOW_BITS_MAX).contains(bits))
}

/// Compressor of messages, shared by all connections.
#[derive(Default)]
pub(crate) struct Deflater {
    state: Option<Box<CompressorOxide>>,
    /// Number of compressed messages, including those that did not become smaller.
    pub(crate) count: u64,
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Deflater {
    /// Compresses the content of a message. Returns `None` if compression is not worthwhile.
    pub(crate) fn compress(&mut self, content: &[u8], deflate: Deflate) -> Option<Vec<u8>> {
        let window_bits = deflate.window_bits.filter(|_| content.len() >= WORTH_BYTES)?;
        self.count += 1;
        let mut out = Vec::with_capacity(content.len() / 2);
        let state = self.state.get_or_insert_with(|| compressor(Format::Raw));
        // No back-reference leaves its piece, so none exceeds the window.
        for piece in content.chunks(1 << window_bits) {
            state.reset();
            compress(state, piece, MZFlush::Sync, &mut out);
            if out.len() >= content.len() {
                return None;
            }
        }
        out.truncate(out.len().saturating_sub(TAIL.len()));
        Some(out)
    }
}

/// Decompressor of messages, shared by all connections.
#[derive(Default)]
pub(crate) struct Inflater {
    state: Option<Inflate>,
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inflater")
    }
}

/// The progress of inflating a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Number of content bytes that are consumed.
    taken: usize,
    /// Number of output bytes that are written.
    length: usize,
    /// Number of bytes of `END` that are consumed, after all of the content.
    ///
    /// They must yield no output.
    end: Option<usize>,
    /// Number of output bytes that the content yielded, before `END`.
    content_length: usize,
}

/// A message whose inflation continues in later turns.
pub(super) struct Inflating {
    state: Option<Inflate>,
    content: Vec<u8>,
    out: Vec<u8>,
    progress: Progress,
}

impl fmt::Debug for Inflating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflating").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl Inflater {
    /// Begins to inflate a message's content into `out`, up to `max` bytes.
    ///
    /// Returns the cost, and the rest of the work if the message is not complete.
    pub(super) fn begin(
        &mut self,
        content: &[u8],
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(usize, Option<Box<Inflating>>), DecodeError> {
        let state = self.state.get_or_insert_default();
        state.reset();
        let mut progress = Progress::default();
        let (cost, is_whole) = go_on(state, content, out, &mut progress, max)?;
        let rest = (!is_whole).then(|| {
            let (content, out) = (content[progress.taken..].to_vec(), core::mem::take(out));
            Box::new(Inflating { state: self.state.take(), content, out, progress: Progress { taken: 0, ..progress } })
        });
        Ok((cost, rest))
    }
}

impl Inflating {
    /// Continues to inflate the message. Returns the cost, and the message if it is complete.
    pub(super) fn go_on(&mut self, max: usize) -> Result<(usize, Option<Vec<u8>>), DecodeError> {
        let Self { state, content, out, progress } = self;
        let (cost, is_whole) = go_on(state.get_or_insert_default(), content, out, progress, max)?;
        Ok((cost, is_whole.then(|| core::mem::take(out))))
    }
}

/// Continues to inflate a message. Returns the cost, and whether the message is complete.
///
/// Back-references cannot leave the message, because there is no context takeover.
fn go_on(
    state: &mut Inflate,
    content: &[u8],
    out: &mut Vec<u8>,
    progress: &mut Progress,
    max: usize,
) -> Result<(usize, bool), DecodeError> {
    // The tail that is not sent, and an empty last block. They show whether the content is whole.
    const END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
    const FLAGS: u32 = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut spent = 0;
    loop {
        let rest = progress.end.map_or(&content[progress.taken..], |taken| &END[taken..]);
        let limits = (COST_AT_ONCE, COST_AT_ONCE - spent);
        let Inflated { taken, written, cost, outcome } = state.inflate(rest, out, progress.length, limits, FLAGS);
        let is_all = taken == rest.len();
        *progress.end.as_mut().unwrap_or(&mut progress.taken) += taken;
        progress.length += written;
        spent += cost;
        if progress.length > max {
            return Err(DecodeError::TooLarge { max });
        }
        match outcome {
            Outcome::Ended if is_all => {
                if progress.end.is_some() && progress.length != progress.content_length {
                    return Err(DecodeError::Compression);
                }
                out.truncate(progress.length);
                return Ok((spent, true));
            }
            // A last block does not end the message (RFC 7692 section 7.2.3.5).
            Outcome::Ended => state.reset(),
            Outcome::Hungry if progress.end.is_none() => {
                progress.end = Some(0);
                progress.content_length = progress.length;
            }
            // One byte beyond the limit shows that the message is longer.
            Outcome::Full if progress.length == out.len() => {
                let room = (2 * out.len()).clamp(PIECE_BYTES, max.saturating_add(1).max(PIECE_BYTES));
                if room <= out.len() {
                    return Err(DecodeError::TooLarge { max });
                }
                out.resize(room, 0);
            }
            Outcome::Full | Outcome::Spent => {}
            Outcome::Hungry | Outcome::Broken => return Err(DecodeError::Compression),
        }
        if spent >= COST_AT_ONCE {
            return Ok((spent, false));
        }
    }
}
