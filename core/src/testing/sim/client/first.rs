//! A telnet codec for a listener that detects the wire from the first bytes.

use super::codec::Codec;
use crate::base::Random;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// `IAC NOP` (RFC 854), a command without effect.
const NOP: [u8; 2] = [255, 241];

/// A telnet codec that sends a command first, or waits for the server's first bytes.
///
/// The listener treats a peer that begins with text as a line client.
pub(super) struct First {
    within: Box<dyn Codec>,
    waits: bool,
    /// Whether the client has sent nothing yet.
    is_silent: bool,
    /// A violation in bytes that arrived before the client sent anything.
    ///
    /// It counts once the client sends something. The server treats a peer that only ends its
    /// half as a line client.
    odd: Option<String>,
}

impl First {
    pub(super) fn new(within: Box<dyn Codec>) -> Self {
        Self { within, waits: false, is_silent: false, odd: None }
    }
}

impl Codec for First {
    fn within(&self) -> Option<&dyn Codec> {
        Some(&*self.within)
    }

    fn within_mut(&mut self) -> Option<&mut dyn Codec> {
        Some(&mut *self.within)
    }

    fn begin(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let before = out.len();
        self.within.begin(random, out);
        self.waits = out.len() == before && random.below(2) == 0;
        if out.len() == before && !self.waits {
            out.extend_from_slice(&NOP);
        }
        (self.is_silent, self.odd) = (out.len() == before, None);
    }

    fn is_ready(&self) -> bool {
        !self.waits && self.within.is_ready()
    }

    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>) {
        self.is_silent = false;
        self.within.say(message, random, out);
    }

    fn raw(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.is_silent = false;
        self.within.raw(bytes, out);
    }

    fn fidget(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        self.is_silent = false;
        self.within.fidget(random, out);
    }

    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, out: &mut Vec<u8>) -> Result<(), String> {
        if self.odd.is_some() {
            return if self.is_silent { Ok(()) } else { self.odd.take().map_or(Ok(()), Err) };
        }
        self.waits &= bytes.is_empty();
        let answered = out.len();
        let outcome = self.within.hear(bytes, heard, out);
        self.is_silent &= out.len() == answered;
        match outcome {
            Err(odd) if self.is_silent && bytes.ends_with(b"\n") => self.odd = Some(odd),
            outcome => return outcome,
        }
        Ok(())
    }
}
