//! A codec for frames with a length prefix.

use super::codec::{Codec, shown, text};
use crate::base::Random;
use crate::wire::LengthPrefix;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) struct Frames {
    prefix: LengthPrefix,
    received: Vec<u8>,
}

impl Frames {
    pub(super) const fn new(prefix: LengthPrefix) -> Self {
        Self { prefix, received: Vec::new() }
    }

    /// Returns the length of the first frame's content and the size of its prefix, in bytes.
    fn length(&self) -> Option<(usize, usize)> {
        let bytes = &self.received;
        if self.prefix == LengthPrefix::Varint {
            let size = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
            let length = bytes[..size].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
            return Some((length, size));
        }
        let (size, is_little) = self.shape();
        let mut digits: Vec<u8> = bytes.get(..size)?.to_vec();
        if is_little {
            digits.reverse();
        }
        Some((digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), size))
    }

    fn shape(&self) -> (usize, bool) {
        match self.prefix {
            LengthPrefix::U8 => (1, false),
            LengthPrefix::U16Be => (2, false),
            LengthPrefix::U16Le => (2, true),
            LengthPrefix::U32Be => (4, false),
            LengthPrefix::U32Le => (4, true),
            LengthPrefix::U64Be => (8, false),
            _ => (8, true),
        }
    }
}

impl Codec for Frames {
    fn begin(&mut self, _: &mut Random, _: &mut Vec<u8>) {
        self.received.clear();
    }

    fn say(&mut self, message: &str, _: &mut Random, out: &mut Vec<u8>) {
        let mut left = message.len();
        if self.prefix == LengthPrefix::Varint {
            while left > 0x7f {
                out.push(u8::try_from(left & 0x7f).unwrap_or(0) | 0x80);
                left >>= 7;
            }
            out.push(u8::try_from(left).unwrap_or(0));
        } else {
            let (size, is_little) = self.shape();
            let mut digits: Vec<u8> = (left as u64).to_be_bytes()[8 - size..].to_vec();
            if is_little {
                digits.reverse();
            }
            out.extend_from_slice(&digits);
        }
        out.extend_from_slice(message.as_bytes());
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, _: &mut Vec<u8>) -> Result<(), String> {
        self.received.extend_from_slice(bytes);
        while let Some((length, size)) = self.length() {
            if length > 1 << 24 {
                return Err(format!("a frame of {length} bytes: {}", shown(&self.received)));
            }
            let Some(content) = self.received.get(size..size + length) else { break };
            heard.push(text(content));
            self.received.drain(..size + length);
        }
        Ok(())
    }

    fn finished(&mut self, _: &mut Vec<String>) -> Result<(), String> {
        if self.received.is_empty() {
            Ok(())
        } else {
            Err(format!("the connection ends within a frame: {}", shown(&self.received)))
        }
    }
}
