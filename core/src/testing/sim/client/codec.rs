//! The trait of the clients' codecs, and helpers that several codecs use.

use crate::base::Random;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The client's side of a wire.
pub(super) trait Codec {
    /// Returns the inner codec whose bytes this one carries, if any. The default methods call it.
    fn within(&self) -> Option<&dyn Codec> {
        None
    }

    /// Returns a mutable reference to the inner codec, if any.
    fn within_mut(&mut self) -> Option<&mut dyn Codec> {
        None
    }

    /// Resets the codec for a new connection, and writes its first bytes to `out`.
    fn begin(&mut self, random: &mut Random, out: &mut Vec<u8>);

    /// Returns `true` if messages can be sent.
    fn is_ready(&self) -> bool {
        self.within().is_none_or(Codec::is_ready)
    }

    /// Encodes a message into `out`.
    fn say(&mut self, message: &str, random: &mut Random, out: &mut Vec<u8>);

    /// Writes arbitrary bytes to `out`, without encoding them as a message.
    fn raw(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.within_mut() {
            Some(within) => within.raw(bytes, out),
            None => out.extend_from_slice(bytes),
        }
    }

    /// Writes random input that is specific to this wire, such as a ping, to `out`.
    fn fidget(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        if let Some(within) = self.within_mut() {
            within.fidget(random, out);
        }
    }

    /// Writes the closing message to `out`. Returns `false` if the wire has no closing message.
    fn close(&mut self, out: &mut Vec<u8>) -> bool {
        self.within_mut().is_some_and(|within| within.close(out))
    }

    /// Decodes bytes. Appends messages to `heard` and replies to `out`.
    ///
    /// # Errors
    /// If the wire does not allow these bytes.
    fn hear(&mut self, bytes: &[u8], heard: &mut Vec<String>, out: &mut Vec<u8>) -> Result<(), String>;

    /// Called when the server closed its half cleanly.
    fn finished(&mut self, heard: &mut Vec<String>) -> Result<(), String> {
        self.within_mut().map_or(Ok(()), |within| within.finished(heard))
    }

    /// Called when the connection is over.
    fn over(&mut self, heard: &mut Vec<String>) {
        if let Some(within) = self.within_mut() {
            within.over(heard);
        }
    }

    /// Called when nothing is in transit in either direction.
    fn rested(&mut self) -> Result<(), String> {
        self.within_mut().map_or(Ok(()), Codec::rested)
    }

    /// Returns the text that the client typed without Enter, if any.
    fn unfinished(&self) -> Option<String> {
        self.within()?.unfinished()
    }

    fn answers_pings(&self) -> bool {
        self.within().is_some_and(Codec::answers_pings)
    }
}

/// Returns the first 80 bytes, quoted and escaped for an error text.
pub(super) fn shown(bytes: &[u8]) -> String {
    let (start, more) = if bytes.len() > 80 { (&bytes[..80], "...") } else { (bytes, "") };
    format!("\"{}{more}\"", start.escape_ascii())
}

/// Returns the bytes as text, with invalid UTF-8 replaced.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_string()
}
