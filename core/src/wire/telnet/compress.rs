//! The two directions of MUD client compression: zlib (RFC 1950) from the marker on.

use crate::deflate::{Format, compress, compressor};
use crate::wire::DecodeError;
use crate::work;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// So many bytes are inflated before they are looked at: what a peer packs into little is met piece by piece.
const INFLATED_MAX_BYTES: usize = 4096;

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
    state: Box<InflateState>,
    pub(super) ready: Vec<u8>,
    /// How much of `ready` was looked at.
    pub(super) at: usize,
    ended: bool,
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
        Self { state: InflateState::new_boxed(DataFormat::Zlib), ready: Vec::new(), at: 0, ended: false, broken: false }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.at < self.ready.len()
    }

    /// Everything was inflated and looked at.
    pub(super) fn is_over(&self) -> bool {
        self.ended && !self.is_ready()
    }

    /// Inflates the next piece of `input`; says how much of it was used.
    pub(super) fn inflate(&mut self, input: &[u8]) -> Result<usize, DecodeError> {
        if self.broken {
            return Err(DecodeError::Compression);
        }
        self.at = 0;
        self.ready.resize(INFLATED_MAX_BYTES, 0);
        let result = inflate(&mut self.state, input, &mut self.ready, MZFlush::None);
        work::step(1 + result.bytes_consumed + result.bytes_written);
        self.ready.truncate(result.bytes_written);
        if self.ready.is_empty() {
            self.ready = Vec::new();
        }
        match result.status {
            Ok(MZStatus::StreamEnd) => self.ended = true,
            Ok(_) | Err(MZError::Buf) if result.bytes_consumed + result.bytes_written > 0 => {}
            Ok(_) | Err(MZError::Buf) if input.is_empty() => {}
            _ => self.broken = true,
        }
        // What was well formed is looked at first.
        if self.broken && self.ready.is_empty() { Err(DecodeError::Compression) } else { Ok(result.bytes_consumed) }
    }

    /// Whether the last call may have left something behind for want of room, or an error.
    pub(super) fn has_more(&self) -> bool {
        self.broken || self.ready.len() == INFLATED_MAX_BYTES
    }
}
