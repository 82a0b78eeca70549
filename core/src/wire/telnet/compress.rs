//! MUD client compression (MCCP2 and MCCP3): zlib (RFC 1950) after the subnegotiation that starts
//! it.

use crate::wire::DecodeError;
use crate::wire::deflate::{Format, Inflate, Inflated, Outcome, compress, compressor};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use miniz_oxide::MZFlush;
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_COMPUTE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER};

/// Limit on the inflated bytes, and on the cost of inflating, before the result is parsed.
///
/// It bounds the work that a short compressed input can cause in one call.
const INFLATED_MAX_BYTES: usize = 4096;
/// Longest distance of a back-reference in a deflate stream (RFC 1951 section 2).
const WINDOW_BYTES: usize = 32 << 10;

pub(super) struct Compressor(Box<CompressorOxide>);

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compressor")
    }
}

impl Compressor {
    pub(super) fn new() -> Self {
        Self(compressor(Format::Zlib))
    }

    /// Appends `bytes` to `out`, compressed and flushed, so that the peer can read all of it.
    pub(super) fn compress(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        compress(&mut self.0, bytes, MZFlush::Sync, out);
    }

    /// Appends the end of the stream to `out`.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        compress(&mut self.0, &[], MZFlush::Finish, out);
    }
}

/// Inflates a stream, and holds the inflated bytes that are not parsed yet.
pub(super) struct Inflater {
    stream: Inflate,
    /// A ring buffer of the latest output, for back-references.
    window: Vec<u8>,
    place: usize,
    pub(super) ready: Vec<u8>,
    /// How many bytes of `ready` are parsed.
    pub(super) at: usize,
    ended: bool,
    /// Whether the stream may yield more without further input.
    has_more: bool,
    /// Whether the stream is malformed after `ready`.
    broken: bool,
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self {
            stream: Inflate::default(),
            window: alloc::vec![0; WINDOW_BYTES],
            place: 0,
            ready: Vec::new(),
            at: 0,
            ended: false,
            has_more: false,
            broken: false,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.at < self.ready.len()
    }

    /// Whether the stream has ended and all of it is parsed.
    pub(super) fn is_over(&self) -> bool {
        self.ended && !self.is_ready()
    }

    /// Inflates the next piece of `input`. Returns how many bytes it used, and the cost.
    pub(super) fn inflate(&mut self, input: &[u8]) -> Result<(usize, usize), DecodeError> {
        const FLAGS: u32 = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_COMPUTE_ADLER32;
        if self.broken {
            return Err(DecodeError::Compression);
        }
        let Self { stream, window, place, .. } = self;
        let limits = (INFLATED_MAX_BYTES, INFLATED_MAX_BYTES);
        let Inflated { taken, written, cost, outcome } = stream.inflate(input, window, *place, limits, FLAGS);
        self.at = 0;
        self.ready = window[*place..*place + written].to_vec();
        *place = (*place + written) % WINDOW_BYTES;
        self.ended = outcome == Outcome::Ended;
        self.has_more = matches!(outcome, Outcome::Full | Outcome::Spent);
        self.broken = outcome == Outcome::Broken;
        // The part before the error is parsed first.
        if self.broken && self.ready.is_empty() { Err(DecodeError::Compression) } else { Ok((taken, taken.max(cost))) }
    }

    /// Whether another call without input yields output or an error.
    pub(super) fn has_more(&self) -> bool {
        self.broken || self.has_more
    }
}
