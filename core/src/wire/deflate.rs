//! DEFLATE compression (RFC 1951) for telnet and WebSocket.

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

/// Compression level. The highest levels take twice the time to save a few per cent of size.
const LEVEL: i32 = 4;
const PIECE_BYTES: usize = 4096;
/// Fixed cost of a block with Huffman codes, in bytes of text that take as long to inflate.
///
/// The decoder builds tables of a thousand entries for it, even if the block has only ten bits.
const TABLES_COST: usize = 512;
/// Fixed cost of a stored block, in bytes of text that take as long to inflate.
const STORED_COST: usize = 16;
/// Length of a block's header in bits: the final-block flag and the type (RFC 1951 section 3.2.3).
const BLOCK_HEADER_BITS: u8 = 3;

/// The container of a compressed stream, as the window bits of zlib. Negative: no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Format {
    /// The zlib container (RFC 1950).
    Zlib = 15,
    /// Bare DEFLATE without a container (RFC 1951).
    Raw = -15,
}

pub(crate) fn compressor(format: Format) -> Box<CompressorOxide> {
    Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, format as i32, 0)))
}

/// Compresses `bytes` with the flush mode `flush`, and appends the result to `out`.
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

/// Decompressor of a stream in pieces, with a limit on the cost of each piece.
#[derive(Default)]
pub(crate) struct Inflate {
    state: Box<DecompressorOxide>,
    /// Whether the fixed cost of the first block has been added.
    has_begun: bool,
}

/// The result of inflating a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// Number of input bytes that were consumed.
    pub(crate) taken: usize,
    /// Number of output bytes that were written.
    pub(crate) written: usize,
    /// The time that inflating takes, as the number of bytes of text that take the same time.
    pub(crate) cost: usize,
    pub(crate) outcome: Outcome,
}

/// Why inflating stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The input is used up.
    Hungry,
    /// The output limit is reached.
    Full,
    /// The cost limit is reached.
    Spent,
    /// The last block has ended.
    Ended,
    /// The input is malformed.
    Broken,
}

impl Inflate {
    /// Resets the state for a new stream.
    pub(crate) fn reset(&mut self) {
        self.state.init();
        self.has_begun = false;
    }

    /// Inflates `input` into `out`, from offset `at` on.
    ///
    /// Writes at most `written_max` bytes, and begins no block once the cost exceeds `cost_max`.
    /// `flags` are those of `miniz_oxide`.
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

    /// Returns the fixed cost of the block that begins with the next bits, if known.
    ///
    /// Returns `None` if no block begins here, or if its type is not known yet.
    fn cost_of_next_block(&self, rest: &[u8], flags: u32) -> Option<usize> {
        let (bits, count) = match self.state.block_boundary_state() {
            Some(boundary) => (u16::from(boundary.bit_buf), boundary.num_bits),
            None if self.has_begun => return None,
            // The type follows the zlib header: assume the higher cost instead of parsing that.
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
