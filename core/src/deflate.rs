//! What every compressed stream needs (RFC 1951), of telnet and of WebSocket alike.

use alloc::boxed::Box;
use alloc::vec::Vec;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{MZFlush, MZStatus};

/// Speed counts more than size: the last steps of zlib take twice the time for a few per cent.
const LEVEL: i32 = 4;
const PIECE_BYTES: usize = 4096;

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
