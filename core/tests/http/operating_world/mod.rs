//! Helpers for both operating tests: addresses, networks and requests.

use drupe_core::Peer;
use drupe_core::limit::Network;

pub(crate) fn network(text: &str) -> Network {
    text.parse().expect(text)
}

pub(crate) fn peer(text: &str) -> Peer {
    text.parse().expect(text)
}

pub(crate) fn upgrade(path: &str, fields: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{fields}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    .into_bytes()
}
