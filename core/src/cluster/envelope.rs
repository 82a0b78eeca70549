//! The form in which the broker keeps a message: the host that sent it, the connections that do not get it, the content.

use crate::base::{ConnId, OutgoingBuf, PayloadBuf};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};

/// The first byte of an envelope: the version of its format.
const VERSION: u8 = 1;
const TEXT: u8 = b't';
const BINARY: u8 = b'b';
const NEGOTIATED: u8 = b'n';

/// A message, and what only its host needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The host that published the message.
    pub(super) host: u64,
    /// Connections of that host that do not receive it.
    pub(super) except: Arc<[ConnId]>,
    pub(super) message: OutgoingBuf,
}

/// Returns the bytes of an envelope.
pub(super) fn encode(host: u64, except: &[ConnId], message: &OutgoingBuf) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(18 + 8 * except.len() + message.as_outgoing().len());
    let kind = match message {
        OutgoingBuf::Same(PayloadBuf::Text(_)) => TEXT,
        OutgoingBuf::Same(PayloadBuf::Binary(_)) => BINARY,
        OutgoingBuf::Negotiated { .. } => NEGOTIATED,
    };
    bytes.extend_from_slice(&[VERSION, kind]);
    bytes.extend_from_slice(&host.to_be_bytes());
    put_length(&mut bytes, except.len());
    for conn in except {
        bytes.extend_from_slice(&conn.to_bits().to_be_bytes());
    }
    match message {
        OutgoingBuf::Same(payload) => bytes.extend_from_slice(payload.as_payload().as_bytes()),
        OutgoingBuf::Negotiated { json, text } => {
            put_length(&mut bytes, json.len());
            bytes.extend_from_slice(json.as_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// Reads an envelope. `None` if it is none, such as one of a later version.
pub(super) fn decode(mut bytes: Bytes) -> Option<Envelope> {
    let (version, kind) = (bytes.try_get_u8().ok()?, bytes.try_get_u8().ok()?);
    if version != VERSION {
        return None;
    }
    let host = bytes.try_get_u64().ok()?;
    let count = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    let length = count.checked_mul(8).filter(|length| *length <= bytes.len())?;
    let except = bytes
        .split_to(length)
        .chunks_exact(8)
        .map(|id| ConnId::from_bits(id.try_into().map_or(0, u64::from_be_bytes)))
        .collect();
    let message = match kind {
        TEXT => OutgoingBuf::Same(PayloadBuf::Text(text(&bytes)?)),
        BINARY => OutgoingBuf::Same(PayloadBuf::Binary(bytes)),
        NEGOTIATED => {
            let length = usize::try_from(bytes.try_get_u32().ok()?).ok().filter(|length| *length <= bytes.len())?;
            let json = text(&bytes.split_to(length))?;
            OutgoingBuf::Negotiated { json, text: text(&bytes)? }
        }
        _ => return None,
    };
    Some(Envelope { host, except, message })
}

fn text(bytes: &[u8]) -> Option<Arc<str>> {
    core::str::from_utf8(bytes).ok().map(Into::into)
}

/// Appends a length. What is longer than 4 GiB is refused before.
fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages() -> impl Strategy<Value = OutgoingBuf> {
        prop_oneof![
            ".*".prop_map(|text| OutgoingBuf::Same(PayloadBuf::Text(text.into()))),
            prop::collection::vec(any::<u8>(), 0..40)
                .prop_map(|bytes| OutgoingBuf::Same(PayloadBuf::Binary(bytes.into()))),
            (".*", ".*").prop_map(|(json, text)| OutgoingBuf::Negotiated { json: json.into(), text: text.into() }),
        ]
    }

    proptest! {
        #[test]
        fn envelope_comes_back(host: u64, ids in prop::collection::vec(any::<u64>(), 0..5), message in messages()) {
            let except: Arc<[ConnId]> = ids.into_iter().map(ConnId::from_bits).collect();
            let bytes = Bytes::from(encode(host, &except, &message));
            for end in 0..bytes.len() {
                // A part of it may be a shorter message, but never panics.
                let _ = decode(bytes.slice(..end));
            }
            prop_assert_eq!(decode(bytes), Some(Envelope { host, except, message }));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = bytes;
            let _ = decode(bytes.clone().into());
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let _ = decode(bytes.into());
        }
    }
}
