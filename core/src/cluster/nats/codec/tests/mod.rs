//! Tables, properties and bounds of the codec.

mod bounds;
mod oracle;
mod table;

use super::{NatsError, OpDecoder, ServerMessage, ServerOp};
use alloc::vec::Vec;
use bytes::Bytes;

/// An `INFO`, with which each link begins.
const INFO: &[u8] = b"INFO {}\r\n";

/// Decodes bytes that come in pieces of this length, behind an `INFO`.
fn decoded(bytes: &[u8], piece: usize) -> Result<Vec<ServerOp>, NatsError> {
    let all = [INFO, bytes].concat();
    let (mut decoder, mut ops) = (OpDecoder::default(), Vec::new());
    for piece in all.chunks(piece.max(1)) {
        decoder.push(piece);
        while let Some(op) = decoder.next()? {
            ops.push(op);
        }
    }
    ops.remove(0);
    Ok(ops)
}

fn message(subject: &str, sid: u64, reply: Option<&str>, headers: &[u8], payload: &[u8]) -> ServerOp {
    let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    ServerOp::Message(ServerMessage {
        subject: copy(subject.as_bytes()),
        sid,
        reply: reply.map(|reply| copy(reply.as_bytes())),
        headers: copy(headers),
        payload: copy(payload),
    })
}
