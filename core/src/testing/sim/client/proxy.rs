//! The header of a proxy before everything else.

use super::Codec;
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
    fn begin(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header);
        self.within.begin(random, out);
    }

    fn is_ready(&self) -> bool {
        self.within.is_ready()
    }

    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>) {
        self.within.say(message, random, out);
    }

    fn raw(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.within.raw(bytes, out);
    }

    fn fidget(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        self.within.fidget(random, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) -> bool {
        self.within.close(out)
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, out: &mut Vec<u8>) -> Result<(), String> {
        self.within.hear(bytes, heard, out)
    }

    fn finished(&mut self, heard: &mut Vec<String>) -> Result<(), String> {
        self.within.finished(heard)
    }

    fn over(&mut self, heard: &mut Vec<String>) {
        self.within.over(heard);
    }

    fn rested(&mut self) -> Result<(), String> {
        self.within.rested()
    }

    fn unfinished(&self) -> Option<String> {
        self.within.unfinished()
    }

    fn answers_pings(&self) -> bool {
        self.within.answers_pings()
    }
}
