//! A codec for netstrings, independent of the server's.

use super::codec::{Codec, shown, text};
use crate::base::Random;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

#[derive(Default)]
pub(super) struct Netstrings {
    received: Vec<u8>,
}

impl Codec for Netstrings {
    fn begin(&mut self, _: &mut Random, _: &mut Vec<u8>) {
        self.received.clear();
    }

    fn say(&mut self, message: &str, _: &mut Random, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}:{message},", message.len()).as_bytes());
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, _: &mut Vec<u8>) -> Result<(), String> {
        self.received.extend_from_slice(bytes);
        while let Some(colon) = self.received.iter().position(|&byte| byte == b':') {
            let length = text(&self.received[..colon]).parse::<usize>();
            let length = length.map_err(|_| format!("a length that is no number: {}", shown(&self.received)))?;
            let Some(frame) = self.received.get(colon + 1..colon + 2 + length) else { break };
            if frame.last() != Some(&b',') {
                return Err(format!("no comma after the content: {}", shown(&self.received)));
            }
            heard.push(text(&frame[..length]));
            self.received.drain(..colon + 2 + length);
        }
        Ok(())
    }

    fn finished(&mut self, _: &mut Vec<String>) -> Result<(), String> {
        if self.received.is_empty() {
            Ok(())
        } else {
            Err(format!("the connection ends within a netstring: {}", shown(&self.received)))
        }
    }
}
