//! Compression of messages (RFC 7692), without context taken over in either direction: what one message needs is
//! forgotten with it, so that an idle connection holds nothing, and a message to many is compressed once.

use crate::deflate::{Format, compress, compressor};
use crate::wire::DecodeError;
use crate::work;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use miniz_oxide::MZFlush;
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Shorter messages are sent as they are: compressed they are hardly shorter, and it takes its time.
const WORTH_BYTES: usize = 256;
/// What ends a message's data, and is not sent (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
const PIECE_BYTES: usize = 4096;
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// The window of what we compress has 2 to this many bytes; 8 to 15.
    window_bits: u8,
}

impl Default for Deflate {
    /// The largest window.
    fn default() -> Self {
        Self { window_bits: Self::WINDOW_BITS_MAX }
    }
}

impl Deflate {
    const WINDOW_BITS_MAX: u8 = 15;

    /// Takes the first of a client's offers that can be met; says what it is and how to answer (section 5.1).
    pub(crate) fn accept<'o>(offers: impl Iterator<Item = &'o str>) -> Option<(Self, String)> {
        offers.flat_map(|field| field.split(',')).find_map(|offer| {
            let mut parts = offer.split(';').map(str::trim);
            if parts.next() != Some("permessage-deflate") {
                return None;
            }
            let accepted = Self::meet(parts, SERVER_WINDOW)?;
            let mut answer = String::from("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
            if accepted.window_bits < Self::WINDOW_BITS_MAX {
                let _ = write!(answer, "; server_max_window_bits={}", accepted.window_bits);
            }
            Some((accepted, answer))
        })
    }

    /// What a client offers. The server must not take context over, which would have to be kept for it.
    pub(crate) const OFFER: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits";

    /// What a server's answer to the [`OFFER`](Self::OFFER) comes to; `None` if it is none to it.
    pub(crate) fn agreed(answer: &str) -> Option<Self> {
        let mut parts = answer.split(';').map(str::trim);
        let known = parts.next() == Some("permessage-deflate");
        let parameters: Vec<_> = parts.collect();
        if !known || !parameters.contains(&"server_no_context_takeover") {
            return None;
        }
        Self::meet(parameters.into_iter(), CLIENT_WINDOW)
    }

    /// `None` if there is a parameter that is unknown, twice there, or of a value it can't have (section 7.1). `ours` is
    /// the one that bounds the window of what we compress.
    fn meet<'p>(parameters: impl Iterator<Item = &'p str>, ours: &str) -> Option<Self> {
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
                // An offer may leave the bits to the server; an answer has to name them.
                (CLIENT_WINDOW, None) if ours != CLIENT_WINDOW => {}
                (name, Some(bits)) if name == ours => window_bits = window(bits)?,
                (SERVER_WINDOW | CLIENT_WINDOW, Some(bits)) => drop(window(bits)?),
                _ => return None,
            }
        }
        Some(Self { window_bits })
    }
}

fn window(bits: &str) -> Option<u8> {
    let known = !bits.starts_with('0') && bits.bytes().all(|digit| digit.is_ascii_digit());
    bits.parse().ok().filter(|bits| known && (8..=Deflate::WINDOW_BITS_MAX).contains(bits))
}

/// Compresses messages: one for all connections.
#[derive(Default)]
pub(crate) struct Deflater {
    state: Option<Box<CompressorOxide>>,
    /// How many messages were compressed.
    pub(crate) count: u64,
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Deflater {
    /// The content of a message, compressed; `None` if it is not worth it.
    pub(crate) fn compress(&mut self, content: &[u8], deflate: Deflate) -> Option<Vec<u8>> {
        if content.len() < WORTH_BYTES {
            return None;
        }
        self.count += 1;
        let mut out = Vec::with_capacity(content.len() / 2);
        let state = self.state.get_or_insert_with(|| compressor(Format::Raw));
        // Nothing refers further back than a piece is long, which keeps to any window.
        for piece in content.chunks(1 << deflate.window_bits) {
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

/// Inflates messages: one for all connections.
#[derive(Default)]
pub(crate) struct Inflater {
    state: Option<Box<DecompressorOxide>>,
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inflater")
    }
}

impl Inflater {
    /// Inflates the content of a message into `out`, to no more than `max` bytes.
    pub(crate) fn inflate(&mut self, content: &[u8], out: &mut Vec<u8>, max: usize) -> Result<(), DecodeError> {
        // What is not sent, and a last block, so that it shows whether the content was whole.
        const END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
        let state = self.state.get_or_insert_default();
        state.init();
        let mut length = 0;
        let ended = run(state, content, out, &mut length, max)?;
        if !ended {
            let before = length;
            if !run(state, &END, out, &mut length, max)? || length != before {
                return Err(DecodeError::Compression);
            }
        }
        out.truncate(length);
        Ok(())
    }
}

/// Inflates a piece behind the first `length` bytes of `out`; true if it ended with a last block. Nothing may refer
/// further back than the message goes: no context is taken over.
fn run(
    state: &mut DecompressorOxide,
    mut piece: &[u8],
    out: &mut Vec<u8>,
    length: &mut usize,
    max: usize,
) -> Result<bool, DecodeError> {
    const FLAGS: u32 = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_HAS_MORE_INPUT;
    loop {
        let (status, taken, written) = decompress(state, piece, out, *length, FLAGS);
        work::step(1 + taken + written);
        piece = &piece[taken..];
        *length += written;
        if *length > max {
            return Err(DecodeError::TooLarge { max });
        }
        match status {
            TINFLStatus::Done if piece.is_empty() => return Ok(true),
            // A last block is not the end of a message (RFC 7692 section 7.2.3.5).
            TINFLStatus::Done => state.init(),
            TINFLStatus::NeedsMoreInput if piece.is_empty() => return Ok(false),
            // One byte beyond the limit shows that there is more.
            TINFLStatus::HasMoreOutput => {
                let room = (2 * out.len()).clamp(PIECE_BYTES, max.saturating_add(1).max(PIECE_BYTES));
                if room <= out.len() {
                    return Err(DecodeError::TooLarge { max });
                }
                out.resize(room, 0);
            }
            _ => return Err(DecodeError::Compression),
        }
    }
}
