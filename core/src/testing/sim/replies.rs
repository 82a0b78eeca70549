use crate::cluster::resp::{Reply, ReplyDecoder, RespError};
use alloc::string::{String, ToString};

/// The decoder of replies of a Redis broker, for fuzz targets.
#[derive(Debug)]
pub struct ReplyStream(ReplyDecoder);

/// A reply that a [`ReplyStream`] decoded. Only its debug format can be read.
#[derive(Debug)]
pub struct DecodedReply(#[allow(dead_code, reason = "it is formatted")] Reply);

impl ReplyStream {
    /// Starts a decoder. `bound`: maximum length of one reply, in bytes.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self(ReplyDecoder::new(bound))
    }

    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// Returns the next complete reply, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// If the bytes break a bound or a rule of the protocol, with the text for operators.
    pub fn next_reply(&mut self) -> Result<Option<DecodedReply>, String> {
        let reply = self.0.next().map_err(|fault: RespError| fault.to_string())?;
        Ok(reply.map(DecodedReply))
    }

    /// Returns the number of bytes that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held()
    }
}
