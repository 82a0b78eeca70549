//! MUD client compression (MCCP2 and MCCP3): zlib streams (RFC 1950) on a telnet connection.
//!
//! Each stream begins after the subnegotiation that starts it.

use crate::wire::DecodeError;
use crate::wire::deflate::{Format, Inflate, Inflated, Outcome, compress, compressor};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use miniz_oxide::MZFlush;
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_COMPUTE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER};

/// Limit on the output bytes, and separate limit on the cost, of one `Inflater::inflate` call.
///
/// It bounds the work that a short compressed input can cause in one call.
const INFLATED_MAX_BYTES: usize = 4096;
/// Size of the deflate window, in bytes: how far a back-reference may reach (RFC 1951).
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

    /// Compresses `bytes` and appends the result to `out`, flushed so that the peer can decode it.
    pub(super) fn compress(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        compress(&mut self.0, bytes, MZFlush::Sync, out);
    }

    /// Ends the zlib stream and appends its last bytes to `out`.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        compress(&mut self.0, &[], MZFlush::Finish, out);
    }
}

/// Zlib decoder that keeps the inflated bytes until they are parsed.
pub(super) struct Inflater {
    stream: Inflate,
    /// Ring buffer of the latest output, to which back-references refer.
    window: Vec<u8>,
    place: usize,
    pub(super) ready: Vec<u8>,
    /// Number of bytes of `ready` that are already parsed.
    pub(super) at: usize,
    ended: bool,
    /// Whether the stream may yield more output without further input.
    has_more: bool,
    /// Whether the compressed stream is malformed after the bytes in `ready`.
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

    /// Returns `true` if the stream has ended and all its output is parsed.
    pub(super) fn is_over(&self) -> bool {
        self.ended && !self.is_ready()
    }

    /// Inflates the front of `input` into `ready`. Returns the number of bytes used and the cost.
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

    /// Returns `true` if `inflate` may yield output or an error without further input.
    pub(super) fn has_more(&self) -> bool {
        self.broken || self.has_more
    }
}
