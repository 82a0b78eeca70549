//! Encodes commands.

use alloc::vec::Vec;

/// Appends a command to `out`: an array of bulk strings, the name of the command first.
///
/// The parts may be any bytes. An empty command is ignored by the broker, and gets no reply.
pub(crate) fn write_command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.reserve(command_len(parts));
    write_header(out, b'*', parts.len());
    for part in parts {
        write_header(out, b'$', part.len());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

/// Returns the exact number of bytes that [`write_command`] appends.
pub(crate) fn command_len(parts: &[&[u8]]) -> usize {
    let part = |part: &&[u8]| header_len(part.len()).saturating_add(part.len()).saturating_add(2);
    parts.iter().map(part).fold(header_len(parts.len()), usize::saturating_add)
}

fn write_header(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    write_decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

/// The length of a type, a number and CR LF.
fn header_len(length: usize) -> usize {
    length.checked_ilog10().map_or(1, |tens| tens as usize + 1) + 3
}

fn write_decimal(out: &mut Vec<u8>, number: usize) {
    if number >= 10 {
        write_decimal(out, number / 10);
    }
    out.push(b'0' | u8::try_from(number % 10).unwrap_or(0));
}
