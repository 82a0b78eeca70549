//! Conversion of text from a character set, with the policy for invalid text.

use super::Charset;
use crate::base::Payload;
use crate::wire::{DecodeError, InvalidUtf8};
use alloc::string::String;

/// Converts a line to text, or to binary data if the policy is [`InvalidUtf8::Bytes`].
pub(super) fn text<'a>(
    charset: Charset,
    line: &'a [u8],
    policy: InvalidUtf8,
    max: usize,
    text: &'a mut String,
) -> Result<Payload<'a>, DecodeError> {
    if charset == Charset::Utf8 || policy == InvalidUtf8::Bytes || line.is_ascii() {
        return crate::wire::text(line, policy, max, text);
    }
    if line.len() > max {
        return Err(DecodeError::TooLarge { max });
    }
    if let (Some(valid_up_to), InvalidUtf8::Reject) = (charset.first_invalid(line), policy) {
        return Err(DecodeError::InvalidUtf8 { valid_up_to });
    }
    text.clear();
    charset.decode_all(line, text);
    if text.len() > max { Err(DecodeError::TooLarge { max }) } else { Ok(Payload::Text(text)) }
}
