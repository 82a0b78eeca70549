//! A codec that sends a PROXY header before another codec's bytes.

use super::codec::Codec;
use crate::base::Random;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) struct Proxied {
    header: Vec<u8>,
    within: Box<dyn Codec>,
}

impl Proxied {
    pub(super) fn new(header: Vec<u8>, within: Box<dyn Codec>) -> Self {
        Self { header, within }
    }
}

impl Codec for Proxied {
    fn within(&self) -> Option<&dyn Codec> {
        Some(&*self.within)
    }

    fn within_mut(&mut self) -> Option<&mut dyn Codec> {
        Some(&mut *self.within)
    }

    fn begin(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header);
        self.within.begin(random, out);
    }

    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>) {
        self.within.say(message, random, out);
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, out: &mut Vec<u8>) -> Result<(), String> {
        self.within.hear(bytes, heard, out)
    }
}
