use crate::wire::DecodeError;
use alloc::vec::Vec;

/// The type of a frame (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 section 5.2 defines these opcodes")]
pub enum Opcode {
    /// The continuation of a message.
    Continuation = 0,
    /// UTF-8 text.
    Text = 1,
    /// Binary data.
    Binary = 2,
    /// The end of the connection, with an optional code and reason.
    Close = 8,
    /// A request for a pong with the same content.
    Ping = 9,
    /// The answer to a ping, or an unsolicited keep-alive.
    Pong = 10,
}

impl Opcode {
    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Continuation),
            1 => Some(Self::Text),
            2 => Some(Self::Binary),
            8 => Some(Self::Close),
            9 => Some(Self::Ping),
            10 => Some(Self::Pong),
            _ => None,
        }
    }

    pub(super) const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// The FIN bit, which marks the last frame of a message.
const FIN: u8 = 0x80;
/// The RSV1 bit, which marks a message compressed by permessage-deflate.
const COMPRESSED: u8 = 0x40;
/// The RSV2 and RSV3 bits, which must be 0.
const RESERVED: u8 = 0x30;
/// The bit of the second byte that marks a masked frame.
const MASKED: u8 = 0x80;
/// Values of the 7-bit length that announce an extended length of 16 or 64 bits.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
/// Limit on the content of a control frame, in bytes (RFC 6455 section 5.5).
pub(super) const CONTROL_MAX_BYTES: usize = 125;
/// Size of the longest frame header, in bytes: 2, and 8 for the length and 4 for the mask.
pub(super) const HEADER_MAX_BYTES: usize = 14;

/// Appends a frame to `out`: a whole message, or a control frame.
///
/// A client's frame is masked with `mask`, which should be random (RFC 6455 section 5.3).
pub fn frame(opcode: Opcode, content: &[u8], mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    fragment(opcode, true, content, mask, out);
}

/// Appends one frame of a message to `out` (RFC 6455 section 5.4). `is_last`: it ends the message.
pub(crate) fn fragment(opcode: Opcode, is_last: bool, content: &[u8], mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    put(if is_last { FIN } else { 0 } | opcode as u8, content, mask, out);
}

/// Returns the content of the last of several valid, unmasked frames.
pub(crate) fn last_content(frames: &[u8]) -> &[u8] {
    let (mut rest, mut last) = (frames, &[][..]);
    while let Ok(header) = Header::read(rest) {
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let content = rest.get(Header::size(rest)..).unwrap_or_default();
        (last, rest) = content.split_at_checked(length).unwrap_or((content, &[]));
    }
    last
}

/// Appends a frame to `out` for a message that is already compressed (RFC 7692 section 6).
pub(crate) fn compressed_frame(opcode: Opcode, content: &[u8], mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    put(FIN | COMPRESSED | opcode as u8, content, mask, out);
}

fn put(first: u8, content: &[u8], mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    out.push(first);
    let masked = if mask.is_some() { MASKED } else { 0 };
    match (u8::try_from(content.len()), u16::try_from(content.len())) {
        (Ok(length @ ..LENGTH_16), _) => out.push(masked | length),
        (_, Ok(length)) => {
            out.push(masked | LENGTH_16);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(masked | LENGTH_64);
            out.extend_from_slice(&(content.len() as u64).to_be_bytes());
        }
    }
    let Some(mask) = mask else { return out.extend_from_slice(content) };
    out.extend_from_slice(&mask);
    let begin = out.len();
    out.extend_from_slice(content);
    unmask(&mut out[begin..], mask, 0);
}

/// Applies or removes a mask. `content` begins `at` bytes into the frame's content.
pub(super) fn unmask(content: &mut [u8], mask: [u8; 4], at: usize) {
    let mut mask = mask;
    mask.rotate_left(at % 4);
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let (words, rest) = content.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) length: u64,
}

impl Header {
    /// Returns the size of a header in bytes, as far as its first bytes determine it.
    pub(super) fn size(first: &[u8]) -> usize {
        let [_, second, ..] = first else { return 2 };
        let length = match second & !MASKED {
            LENGTH_64 => 8,
            LENGTH_16 => 2,
            _ => 0,
        };
        2 + length + if second & MASKED == 0 { 0 } else { 4 }
    }

    /// Checks the first two bytes of a header, and returns its opcode.
    pub(super) fn check(first: u8, second: u8) -> Result<Opcode, DecodeError> {
        let opcode = Opcode::from_bits(first & 0xf).ok_or(DecodeError::Frame("reserved opcode"))?;
        if first & RESERVED != 0 {
            return Err(DecodeError::Frame("reserved bit set"));
        }
        if opcode.is_control() && (first & FIN == 0 || usize::from(second & !MASKED) > CONTROL_MAX_BYTES) {
            return Err(DecodeError::Frame("control frame fragmented or longer than 125 bytes"));
        }
        Ok(opcode)
    }

    /// Parses a complete header.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let &[first, second, ref rest @ ..] = bytes else { return Err(DecodeError::Truncated) };
        let opcode = Self::check(first, second)?;
        let (length, rest) = match second & !MASKED {
            LENGTH_16 => (u64::from(u16::from_be_bytes(take(rest)?)), &rest[2..]),
            LENGTH_64 => (u64::from_be_bytes(take(rest)?), &rest[8..]),
            short => (u64::from(short), rest),
        };
        // A length must have the shortest form (RFC 6455 section 5.2).
        let shortest = match second & !MASKED {
            LENGTH_64 => length > u64::from(u16::MAX),
            LENGTH_16 => length >= u64::from(LENGTH_16),
            _ => true,
        };
        if !shortest {
            return Err(DecodeError::Frame("length not in the shortest form"));
        }
        let mask = if second & MASKED == 0 { None } else { Some(take(rest)?) };
        if length > i64::MAX as u64 {
            return Err(DecodeError::Frame("length with the most significant bit set"));
        }
        let (fin, compressed) = (first & FIN != 0, first & COMPRESSED != 0);
        Ok(Self { fin, compressed, opcode, mask, length })
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.first_chunk().copied().ok_or(DecodeError::Truncated)
}
