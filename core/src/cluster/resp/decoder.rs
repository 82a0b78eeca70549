//! Turns the bytes of a broker into replies.

use super::error::RespError;
use super::reply::Reply;
use super::scan::Scan;
use crate::base::work;
use bytes::{Bytes, BytesMut};
use resp_rs::ParseError;
use resp_rs::resp3::{Frame, parse_frame};

/// Decodes the replies and pushes of one link.
///
/// The owner [pushes](Self::push) what it receives, and then takes [replies](Self::next) until there is none. Texts in
/// replies are slices of the received bytes: an owner that keeps a text for long should copy it, because it keeps all
/// bytes in memory that arrived with it.
///
/// # Memory
/// After `next` has returned `None`, at most `bound` bytes are held; the allocation can be twice as long. A declared
/// length or count allocates nothing.
///
/// # Work
/// Linear in the number of received bytes, plus a constant per call.
#[derive(Debug)]
pub(crate) struct ReplyDecoder {
    /// Maximum length of a reply, in bytes.
    bound: usize,
    buffer: BytesMut,
    scan: Scan,
    fault: Option<RespError>,
}

impl ReplyDecoder {
    /// Starts a decoder for a new link. `bound`: maximum length of one reply with its attributes, in bytes.
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, buffer: BytesMut::new(), scan: Scan::new(bound), fault: None }
    }

    /// Adds received bytes. After a fault, it drops them.
    ///
    /// If more than `bound` bytes of replies were not taken, the link fails with [`RespError::NotRead`].
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        if self.buffer.len() > self.bound {
            self.fail(RespError::NotRead { max: self.bound });
            return;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next complete reply. `None`: more bytes are needed.
    ///
    /// # Errors
    /// If the peer breaks a bound or a rule of the protocol. Every later call returns the same error.
    pub(crate) fn next(&mut self) -> Result<Option<Reply>, RespError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let outcome = self.decode();
        if let Err(fault) = &outcome {
            self.fail(fault.clone());
        }
        outcome
    }

    /// Returns the number of bytes that are held.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn held(&self) -> usize {
        self.buffer.len()
    }

    fn decode(&mut self) -> Result<Option<Reply>, RespError> {
        let Some(length) = self.scan.resume(&self.buffer)? else { return Ok(None) };
        work::step(length);
        let complete = self.buffer.split_to(length.min(self.buffer.len())).freeze();
        if self.buffer.is_empty() {
            // Otherwise an idle link would keep the memory of its longest reply.
            self.buffer = BytesMut::new();
        }
        parse(complete).map(Some)
    }

    fn fail(&mut self, fault: RespError) {
        self.buffer = BytesMut::new();
        self.fault = Some(fault);
    }
}

/// Parses one complete reply, and drops its attributes.
fn parse(mut rest: Bytes) -> Result<Reply, RespError> {
    loop {
        let frame;
        (frame, rest) = parse_frame(rest).map_err(|error| refused(&error))?;
        if !matches!(frame, Frame::Attribute(_)) {
            return if rest.is_empty() { Reply::from_frame(frame) } else { Err(RespError::Unparsed) };
        }
    }
}

/// Translates what the parser may find in a reply whose bounds were checked.
fn refused(error: &ParseError) -> RespError {
    match error {
        ParseError::InvalidFormat | ParseError::InvalidSpecialFloat | ParseError::Utf8Error => RespError::Malformed,
        ParseError::InvalidBoolean => RespError::BadBoolean,
        ParseError::Overflow => RespError::IntegerTooLarge,
        _ => RespError::Unparsed,
    }
}
