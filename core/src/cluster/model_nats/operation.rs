//! What clients send.

use alloc::string::String;
use alloc::vec::Vec;

/// Maximum length of a line, in bytes.
const LINE_MAX: usize = 4_096;
/// Maximum length of the headers and the data of a message, in bytes.
pub(super) const PAYLOAD_MAX: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Connect(Vec<u8>),
    Ping,
    Pong,
    Subscribe { subject: String, id: String },
    Unsubscribe { id: String, after: u64 },
    Publish(Message),
}

/// A message on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) reply: String,
    /// With the first line and the empty last one. Empty: it has none.
    pub(super) headers: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

/// Why the server closes a connection. The text is empty if it says nothing.
pub(super) struct Malformed(pub(super) &'static str);

/// Reads an operation, and its length in bytes. `None`: it is not complete.
pub(super) fn read(input: &[u8]) -> Result<Option<(Operation, usize)>, Malformed> {
    const UNKNOWN: Malformed = Malformed("Unknown Protocol Operation");
    let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") else {
        let is_long = input.len() > LINE_MAX;
        return if is_long { Err(Malformed("maximum control line exceeded")) } else { Ok(None) };
    };
    if end > LINE_MAX && !input.starts_with(b"CONNECT") {
        return Err(Malformed("maximum control line exceeded"));
    }
    let line = core::str::from_utf8(&input[..end]).map_err(|_| UNKNOWN)?;
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let words: Vec<&str> = rest.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let operation = match (verb.to_ascii_uppercase().as_str(), &words[..]) {
        ("CONNECT", _) => Operation::Connect(rest.as_bytes().to_vec()),
        ("PING", _) => Operation::Ping,
        ("PONG", _) => Operation::Pong,
        ("SUB", [subject, id] | [subject, _, id]) => {
            Operation::Subscribe { subject: (*subject).into(), id: (*id).into() }
        }
        ("UNSUB", [id]) => Operation::Unsubscribe { id: (*id).into(), after: 0 },
        ("UNSUB", [id, after]) => {
            Operation::Unsubscribe { id: (*id).into(), after: after.parse().map_err(|_| Malformed(""))? }
        }
        ("PUB", [subject, length]) => return publish(input, end + 2, subject, "", "0", length),
        ("PUB", [subject, reply, length]) => return publish(input, end + 2, subject, reply, "0", length),
        ("HPUB", [subject, head, length]) => return publish(input, end + 2, subject, "", head, length),
        ("HPUB", [subject, reply, head, length]) => return publish(input, end + 2, subject, reply, head, length),
        ("SUB" | "UNSUB" | "PUB" | "HPUB", _) => return Err(Malformed("")),
        _ => return Err(UNKNOWN),
    };
    Ok(Some((operation, end + 2)))
}

fn publish(
    input: &[u8],
    from: usize,
    subject: &str,
    reply: &str,
    head: &str,
    length: &str,
) -> Result<Option<(Operation, usize)>, Malformed> {
    let number = |text: &str| text.parse::<usize>().map_err(|_| Malformed(""));
    let (head, length) = (number(head)?, number(length)?);
    if head > length {
        return Err(Malformed(""));
    }
    if length > PAYLOAD_MAX {
        return Err(Malformed("Maximum Payload Violation"));
    }
    let Some(body) = input.get(from..from + length + 2) else { return Ok(None) };
    if !body.ends_with(b"\r\n") {
        return Err(Malformed("Unknown Protocol Operation"));
    }
    let (headers, payload) = (body[..head].to_vec(), body[head..length].to_vec());
    let message = Message { subject: subject.into(), reply: reply.into(), headers, payload };
    Ok(Some((Operation::Publish(message), from + length + 2)))
}
