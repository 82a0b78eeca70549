//! The two directions of MUD client compression: zlib (RFC 1950) from the marker on.

use crate::wire::DecodeError;
use crate::wire::deflate::{Format, Inflate, Inflated, Outcome, compress, compressor};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use miniz_oxide::MZFlush;
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_COMPUTE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER};

/// So many bytes are inflated before they are looked at, and about so much may that cost: what a peer packs into little
/// is met piece by piece.
const INFLATED_MAX_BYTES: usize = 4096;
/// The longest way back that a stream may refer (RFC 1951 section 2).
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

    /// Appends `bytes` to `out`, compressed so that the peer can read all of it.
    pub(super) fn compress(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        compress(&mut self.0, bytes, MZFlush::Sync, out);
    }

    /// Appends the end of the stream to `out`.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        compress(&mut self.0, &[], MZFlush::Finish, out);
    }
}

/// What of a compressed stream was inflated and is not yet looked at.
pub(super) struct Inflater {
    stream: Inflate,
    /// What was inflated last, which the stream may refer to: written around.
    window: Vec<u8>,
    place: usize,
    pub(super) ready: Vec<u8>,
    /// How much of `ready` was looked at.
    pub(super) at: usize,
    ended: bool,
    /// There may be more without further input.
    has_more: bool,
    /// What comes behind `ready` is not well formed.
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

    /// Everything was inflated and looked at.
    pub(super) fn is_over(&self) -> bool {
        self.ended && !self.is_ready()
    }

    /// Inflates the next piece of `input`; returns how much of it was used, and what that cost.
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
        // What was well formed is looked at first.
        if self.broken && self.ready.is_empty() { Err(DecodeError::Compression) } else { Ok((taken, taken.max(cost))) }
    }

    /// Whether the last call may have left something behind for want of room, or an error.
    pub(super) fn has_more(&self) -> bool {
        self.broken || self.has_more
    }
}
