//! Passing the bytes of a channel to russh.

use super::outgoing::Outgoing;
use bytes::BytesMut;
use russh::{ChannelId, ChannelMsg, ChannelWriteHalf};
use std::sync::Arc;

/// Maximum number of bytes that one write takes, and that are in flight for a channel.
///
/// It corresponds to a socket's send buffer.
pub(super) const TAKEN_MAX_BYTES: usize = 64 << 10;

/// Passes bytes to russh in pieces.
///
/// Only pieces that fit into the channel's window count as outgoing, so that bytes that wait for a
/// slow peer do not delay other channels.
pub(super) async fn hand_over<M: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static>(
    half: Arc<ChannelWriteHalf<M>>,
    outgoing: Outgoing,
    mut bytes: BytesMut,
) -> Result<(), russh::Error> {
    while !bytes.is_empty() {
        let window = half.writable_packet_size().await.min(bytes.len());
        let piece = match window {
            0 => bytes.split().freeze(),
            _ => outgoing.counted(bytes.split_to(window)),
        };
        half.data_bytes(piece).await?;
    }
    Ok(())
}

/// Copies the front of `slices`, up to [`TAKEN_MAX_BYTES`].
pub(super) fn take(slices: &[std::io::IoSlice<'_>]) -> BytesMut {
    let mut bytes = BytesMut::new();
    for slice in slices {
        let room = TAKEN_MAX_BYTES - bytes.len();
        bytes.extend_from_slice(&slice[..slice.len().min(room)]);
    }
    bytes
}
