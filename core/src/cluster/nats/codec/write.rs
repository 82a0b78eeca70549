//! What a client sends.

use alloc::vec::Vec;

/// Appends a `CONNECT` with its JSON.
pub(crate) fn connect(out: &mut Vec<u8>, json: &str) {
    parts(out, &[b"CONNECT ", json.as_bytes()]);
}

/// Appends a `PING`.
pub(crate) fn ping(out: &mut Vec<u8>) {
    parts(out, &[b"PING"]);
}

/// Appends a `PONG`.
pub(crate) fn pong(out: &mut Vec<u8>) {
    parts(out, &[b"PONG"]);
}

/// Appends a `SUB`.
pub(crate) fn subscribe(out: &mut Vec<u8>, subject: &str, sid: u64) {
    parts(out, &[b"SUB ", subject.as_bytes(), b" ", alloc::format!("{sid}").as_bytes()]);
}

/// Appends an `UNSUB`.
pub(crate) fn unsubscribe(out: &mut Vec<u8>, sid: u64) {
    parts(out, &[b"UNSUB ", alloc::format!("{sid}").as_bytes()]);
}

/// Appends a `PUB`, or an `HPUB` if there are headers. These have the form of [`Headers`](crate::cluster::nats::headers).
pub(crate) fn publish(out: &mut Vec<u8>, subject: &str, reply: &str, headers: &[u8], payload: &[u8]) {
    let (name, lengths) = if headers.is_empty() {
        (&b"PUB "[..], alloc::format!("{}", payload.len()))
    } else {
        (&b"HPUB "[..], alloc::format!("{} {}", headers.len(), headers.len() + payload.len()))
    };
    let blank: &[u8] = if reply.is_empty() { b"" } else { b" " };
    parts(out, &[name, subject.as_bytes(), blank, reply.as_bytes(), b" ", lengths.as_bytes()]);
    parts(out, &[headers, payload]);
}

fn parts(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}
