//! A codec for lines that end with LF or CR LF.

use super::codec::{Codec, text};
use crate::base::Random;
use alloc::string::String;
use alloc::vec::Vec;

#[derive(Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Codec for Lines {
    fn begin(&mut self, _: &mut Random, _: &mut Vec<u8>) {
        self.partial.clear();
    }

    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>) {
        out.extend_from_slice(message.as_bytes());
        out.extend_from_slice(if random.below(4) == 0 { b"\r\n" } else { b"\n" });
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, _: &mut Vec<u8>) -> Result<(), String> {
        for &byte in bytes {
            if byte == b'\n' {
                let line = core::mem::take(&mut self.partial);
                heard.push(text(line.strip_suffix(b"\r").unwrap_or(&line)));
            } else {
                self.partial.push(byte);
            }
        }
        Ok(())
    }
}
