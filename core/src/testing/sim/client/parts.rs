//! A codec for messages without a length: each ends with certain bytes.

use super::codec::{Codec, text};
use crate::base::Random;
use alloc::string::String;
use alloc::vec::Vec;

/// A codec whose messages end with fixed bytes, which may differ between the directions.
pub(super) struct Parts {
    /// The bytes that follow each sent message.
    ending: Vec<u8>,
    /// The bytes that end a received message.
    end: Vec<u8>,
    /// Whether `end` is a part of the received message.
    keeps_end: bool,
    partial: Vec<u8>,
}

impl Parts {
    pub(super) fn delimited(delimiter: &[u8]) -> Self {
        Self { ending: delimiter.to_vec(), end: delimiter.to_vec(), keeps_end: false, partial: Vec::new() }
    }

    pub(super) fn raw(ending: &[u8], end: &[u8]) -> Self {
        Self { ending: ending.to_vec(), end: end.to_vec(), keeps_end: true, partial: Vec::new() }
    }
}

impl Codec for Parts {
    fn begin(&mut self, _: &mut Random, _: &mut Vec<u8>) {
        self.partial.clear();
    }

    fn say(&mut self, message: &str, _: &mut Random, out: &mut Vec<u8>) {
        out.extend_from_slice(message.as_bytes());
        out.extend_from_slice(&self.ending);
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, _: &mut Vec<u8>) -> Result<(), String> {
        for &byte in bytes {
            self.partial.push(byte);
            if self.partial.ends_with(&self.end) {
                let message = core::mem::take(&mut self.partial);
                let kept = if self.keeps_end { message.len() } else { message.len() - self.end.len() };
                heard.push(text(&message[..kept]));
            }
        }
        Ok(())
    }
}
