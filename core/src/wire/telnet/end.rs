//! What both ends of a telnet connection do alike: they decode input that may be compressed.

use super::compress::Inflater;
use super::parser::Parser;
use super::text::text;
use super::{Charset, Signal, option};
use crate::base::Payload;
use crate::wire::{Budget, DecodeBuffer, DecodeError, Decoded, InvalidUtf8, Item};
use alloc::boxed::Box;
use alloc::string::String;
use core::ops::Range;

/// Limit on a subnegotiation, in bytes; the message limit applies if it is lower.
pub(super) const SUBNEGOTIATION_MAX_BYTES: usize = 16 << 10;
/// Limit on pending answers, in bytes, above which no more commands are parsed.
pub(super) const ANSWERS_MAX_BYTES: usize = 4 << 10;
/// Limit on `spent` in one call; beyond it, the rest of the input waits for the next call.
pub(super) const SPENT_MAX: usize = 4 << 10;
/// Cost of a command from the peer, in equivalent bytes of plain input.
pub(super) const COMMAND_COST: usize = 32;
/// Options whose malformed or unexpected parameters are ignored, not left to the application.
pub(super) const KNOWN: [u8; 12] = [
    option::STATUS,
    option::NAWS,
    option::TTYPE,
    option::NEW_ENVIRON,
    option::TSPEED,
    option::XDISPLOC,
    option::LFLOW,
    option::LINEMODE,
    option::CHARSET,
    option::EOR,
    option::MCCP2,
    option::MCCP3,
];

/// What a step of a decoder found.
pub(super) enum Found {
    Nothing,
    /// A message in the peer's character set, at this range of the input.
    Here(Range<usize>),
    /// A message in the peer's character set, in the buffer of bytes.
    Kept,
    /// A line that was typed here: UTF-8, in the buffer of bytes.
    Typed,
    /// A piece of a stream: UTF-8, in the buffer of text.
    Decoded,
    /// A prompt in the peer's character set, in the buffer of bytes.
    Prompt,
    Signal(Signal<'static>),
    /// A GMCP message, in the buffer of bytes.
    Gmcp,
    /// The number of an option whose parameters are in the buffer of bytes.
    Subnegotiation(u8),
}

/// One end of a telnet connection, as far as [`decode`] needs it.
pub(super) trait End {
    /// Returns the parser, the inflater of compressed input, and the cost of the current call.
    fn decoding(&mut self) -> (&mut Parser, &mut Option<Box<Inflater>>, &mut usize);

    /// Returns the peer's character set, and the policy for text that is invalid in it.
    fn charset(&self) -> (Charset, InvalidUtf8);

    /// Decodes up to one item from `data`. Returns the bytes used and the item, maybe in `buffer`.
    fn step(
        &mut self,
        data: &[u8],
        buffer: &mut DecodeBuffer,
        max: usize,
        inflating: bool,
    ) -> Result<(usize, Found), DecodeError>;
}

/// Decodes at most one item from the front of `input`, or of what compressed input inflates to.
pub(super) fn decode<'a>(
    end: &mut impl End,
    input: &'a mut [u8],
    buffer: &'a mut DecodeBuffer,
    budget: &Budget,
) -> Result<Decoded<'a>, DecodeError> {
    let max = budget.message_max_bytes.get();
    let (parser, inflater, spent) = end.decoding();
    parser.set_max(max.min(SUBNEGOTIATION_MAX_BYTES));
    *spent = 0;
    let Some(mut inflater) = inflater.take() else {
        let (used, found) = end.step(input, buffer, max, false)?;
        let item = item(end, found, input, buffer, max)?;
        return Ok(Decoded { used, cost: used + *end.decoding().2, units: u32::from(item.is_some()), item });
    };
    let (mut used, mut cost) = (0, 0);
    if !inflater.is_ready() {
        (used, cost) = inflater.inflate(input)?;
    }
    let inflated = &inflater.ready[inflater.at..];
    let (looked_at, mut found) = end.step(inflated, buffer, max, true)?;
    if let Found::Here(range) = found {
        buffer.bytes.clear();
        buffer.bytes.extend_from_slice(&inflated[range]);
        found = Found::Kept;
    }
    inflater.at += looked_at;
    if !inflater.is_over() {
        *end.decoding().1 = Some(inflater);
    } else if used == 0 && matches!(found, Found::Nothing) {
        // The compressed stream had ended before, and `input` is plain.
        return decode(end, input, buffer, budget);
    }
    let item = item(end, found, &[], buffer, max)?;
    Ok(Decoded { used, cost: cost + *end.decoding().2, units: u32::from(item.is_some()), item })
}

/// Returns the message of a finished line in the buffer, once the peer's input has ended.
pub(super) fn last<'a>(
    end: &impl End,
    found: Found,
    buffer: &'a mut DecodeBuffer,
    budget: &Budget,
) -> Result<Option<Payload<'a>>, DecodeError> {
    match item(end, found, &[], buffer, budget.message_max_bytes.get())? {
        Some(Item::Message(payload)) => Ok(Some(payload)),
        _ => Ok(None),
    }
}

/// Converts what a step found to an item.
fn item<'a>(
    end: &impl End,
    found: Found,
    input: &'a [u8],
    buffer: &'a mut DecodeBuffer,
    max: usize,
) -> Result<Option<Item<'a>>, DecodeError> {
    let DecodeBuffer { bytes, text: decoded, .. } = buffer;
    let (charset, policy) = end.charset();
    Ok(Some(match found {
        Found::Nothing => return Ok(None),
        Found::Here(range) => Item::Message(text(charset, &input[range], policy, max, decoded)?),
        Found::Kept => Item::Message(text(charset, bytes, policy, max, decoded)?),
        Found::Typed if policy == InvalidUtf8::Bytes => Item::Message(Payload::Binary(bytes)),
        Found::Typed => Item::Message(Payload::Text(core::str::from_utf8(bytes).unwrap_or_default())),
        Found::Decoded => Item::Message(Payload::Text(decoded)),
        Found::Prompt => Item::Signal(Signal::Prompt(text(charset, bytes, policy, max, decoded)?)),
        Found::Signal(signal) => Item::Signal(signal),
        Found::Gmcp => {
            let message = core::str::from_utf8(bytes).unwrap_or_default().trim();
            let (package, data) = message.split_once(char::is_whitespace).unwrap_or((message, ""));
            Item::Signal(Signal::Gmcp { package, data: data.trim_start() })
        }
        Found::Subnegotiation(option) => Item::Signal(Signal::Subnegotiation { option, content: bytes }),
    }))
}

/// Returns a Generic MUD Communication Protocol message. `data` is JSON or empty.
pub(super) fn gmcp(package: &str, data: &str) -> String {
    if data.is_empty() { package.into() } else { alloc::format!("{package} {data}") }
}
