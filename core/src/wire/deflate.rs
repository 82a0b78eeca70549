//! What every compressed stream needs (RFC 1951), of telnet and of WebSocket alike.

use crate::base::work;
use alloc::boxed::Box;
use alloc::vec::Vec;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress_with_limit};
use miniz_oxide::{MZFlush, MZStatus};

/// Speed counts more than size: the last steps of zlib take twice the time for a few per cent.
const LEVEL: i32 = 4;
const PIECE_BYTES: usize = 4096;
/// What a block with codes costs beside its bytes, in bytes of text that take as long: tables of a thousand entries are
/// made for it, though it may be no longer than ten bits.
const TABLES_COST: usize = 512;
/// The same for a block of bytes as they are.
const STORED_COST: usize = 16;
/// Whether it is the last block, and its kind (RFC 1951 section 3.2.3).
const BLOCK_HEADER_BITS: u8 = 3;

/// What stands around a compressed stream, in the words of zlib: so many bits of window, negative for none of its
/// header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Format {
    /// RFC 1950.
    Zlib = 15,
    /// RFC 1951 alone.
    Raw = -15,
}

pub(crate) fn compressor(format: Format) -> Box<CompressorOxide> {
    Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, format as i32, 0)))
}

/// Appends `bytes` to `out`, compressed and flushed.
pub(crate) fn compress(state: &mut CompressorOxide, mut bytes: &[u8], flush: MZFlush, out: &mut Vec<u8>) {
    let mut buffer = [0; PIECE_BYTES];
    loop {
        let result = deflate(state, bytes, &mut buffer, flush);
        bytes = &bytes[result.bytes_consumed..];
        out.extend_from_slice(&buffer[..result.bytes_written]);
        let room_left = result.bytes_written < buffer.len();
        if bytes.is_empty() && room_left || result.status.is_err() || result.status == Ok(MZStatus::StreamEnd) {
            return;
        }
    }
}

/// A compressed stream that is inflated piece by piece, with an eye on what that costs.
#[derive(Default)]
pub(crate) struct Inflate {
    state: Box<DecompressorOxide>,
    /// Something of the first block's header has been seen.
    has_begun: bool,
}

/// What inflating a piece came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// Bytes of the input that are done with.
    pub(crate) taken: usize,
    /// Bytes that were written.
    pub(crate) written: usize,
    /// What it cost, in bytes of text that take as long.
    pub(crate) cost: usize,
    pub(crate) outcome: Outcome,
}

/// Why inflating stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is no more input.
    Hungry,
    /// There is no more room.
    Full,
    /// It has cost as much as it may.
    Spent,
    /// A last block has ended.
    Ended,
    /// The input is not well formed.
    Broken,
}

impl Inflate {
    /// Makes it ready for another stream.
    pub(crate) fn reset(&mut self) {
        self.state.init();
        self.has_begun = false;
    }

    /// Inflates `input` into `out` from `at` on: at most `written_max` bytes, and no further block once it has cost
    /// `cost_max`. `flags` are those of the library.
    pub(crate) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        at: usize,
        (written_max, cost_max): (usize, usize),
        flags: u32,
    ) -> Inflated {
        let all = flags | TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
        let (mut taken, mut written, mut cost) = (0, 0, 0);
        let outcome = loop {
            let rest = &input[taken..];
            if let Some(cost_of_block) = self.cost_of_next_block(rest, flags) {
                if cost > cost_max {
                    break Outcome::Spent;
                }
                work::step(cost_of_block);
                cost += cost_of_block;
                self.has_begun = true;
            }
            let room = written_max - written;
            let (status, used, more) = decompress_with_limit(&mut self.state, rest, out, at + written, room, all);
            work::step(1 + used + more);
            taken += used;
            written += more;
            cost += more;
            match status {
                TINFLStatus::BlockBoundary => {}
                TINFLStatus::Done => break Outcome::Ended,
                TINFLStatus::NeedsMoreInput => break Outcome::Hungry,
                TINFLStatus::HasMoreOutput => break Outcome::Full,
                _ => break Outcome::Broken,
            }
        };
        Inflated { taken, written, cost, outcome }
    }

    /// What the block costs that begins with the next bits, beside its bytes; `None` if none begins here, or not all of
    /// the bits that say so are there.
    fn cost_of_next_block(&self, rest: &[u8], flags: u32) -> Option<usize> {
        let (bits, count) = match self.state.block_boundary_state() {
            Some(boundary) => (u16::from(boundary.bit_buf), boundary.num_bits),
            None if self.has_begun => return None,
            // Behind the header of the format, which is not worth a look.
            None if flags & TINFL_FLAG_PARSE_ZLIB_HEADER != 0 => return (!rest.is_empty()).then_some(TABLES_COST),
            None => (0, 0),
        };
        let next = rest.first().map_or(0, |&byte| u16::from(byte) << count);
        let is_known = count >= BLOCK_HEADER_BITS || !rest.is_empty();
        let block_type = (bits | next) >> 1 & 3;
        let is_stored = block_type == 0;
        is_known.then_some(if is_stored { STORED_COST } else { TABLES_COST })
    }
}
