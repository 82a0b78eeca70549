use crate::cluster::nats::codec::{NatsError, OpDecoder, ServerOp};
use crate::cluster::nats::json_of;
use alloc::string::{String, ToString};

/// The decoder of operations of a NATS server, for fuzz targets.
#[derive(Debug, Default)]
pub struct OperationStream(OpDecoder);

/// An operation that an [`OperationStream`] decoded. Only its debug format can be read.
#[derive(Debug)]
pub struct DecodedOperation(#[allow(dead_code, reason = "it is formatted")] ServerOp);

impl OperationStream {
    /// Maximum number of bytes that are held between two calls.
    pub const HELD_MAX: usize = OpDecoder::HELD_MAX;

    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// Returns the next complete operation, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// If the bytes break a bound or a rule of the protocol, with the text for operators.
    pub fn next_operation(&mut self) -> Result<Option<DecodedOperation>, String> {
        let operation = self.0.next().map_err(|fault: NatsError| fault.to_string())?;
        Ok(operation.map(DecodedOperation))
    }

    /// Returns the number of bytes that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held()
    }

    /// Parses JSON as that of a server, and returns its debug format.
    #[must_use]
    pub fn json(bytes: &[u8]) -> Option<String> {
        json_of(bytes)
    }
}
