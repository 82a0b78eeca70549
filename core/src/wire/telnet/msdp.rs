//! MUD Server Data Protocol (MSDP): variables whose values are texts, arrays or tables.

use super::{option, subnegotiation};
use alloc::vec::Vec;

const VAR: u8 = 1;
const VAL: u8 = 2;
const TABLE_OPEN: u8 = 3;
const TABLE_CLOSE: u8 = 4;
const ARRAY_OPEN: u8 = 5;
const ARRAY_CLOSE: u8 = 6;

/// Limit on the nesting depth of values; deeper content is rejected.
const DEPTH_MAX: u8 = 16;

/// The value of an MSDP variable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "MSDP has these kinds of values")]
pub enum Value {
    /// Text, in the peer's character set.
    Text(Vec<u8>),
    /// A list of values.
    Array(Vec<Self>),
    /// Pairs of a name and a value.
    Table(Vec<(Vec<u8>, Self)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Parses the content of an MSDP subnegotiation into variables and their values.
///
/// Returns `None` if the content is malformed or nested more than 16 deep.
#[must_use]
pub fn parse(content: &[u8]) -> Option<Vec<(Vec<u8>, Value)>> {
    let mut rest = content;
    let pairs = pairs(&mut rest, 0)?;
    rest.is_empty().then_some(pairs)
}

/// Appends variables to `out` as an MSDP subnegotiation.
///
/// Bytes 1 to 6 are markers, and are removed from names and texts.
pub fn encode(variables: &[(&str, Value)], out: &mut Vec<u8>) {
    let mut content = Vec::new();
    for (name, value) in variables {
        put(VAR, name.as_bytes(), &mut content);
        content.push(VAL);
        put_value(value, &mut content);
    }
    subnegotiation(option::MSDP, &content, out);
}

fn pairs(rest: &mut &[u8], depth: u8) -> Option<Vec<(Vec<u8>, Value)>> {
    let mut pairs = Vec::new();
    while take(rest, VAR) {
        let name = text(rest);
        let mut values = Vec::new();
        while take(rest, VAL) {
            values.push(value(rest, depth)?);
        }
        // Several values are an array without array markers.
        let value = match values.len() {
            1 => values.pop()?,
            _ => Value::Array(values),
        };
        pairs.push((name, value));
    }
    Some(pairs)
}

fn value(rest: &mut &[u8], depth: u8) -> Option<Value> {
    if depth >= DEPTH_MAX {
        return None;
    }
    if take(rest, TABLE_OPEN) {
        let table = pairs(rest, depth + 1)?;
        return take(rest, TABLE_CLOSE).then_some(Value::Table(table));
    }
    if take(rest, ARRAY_OPEN) {
        let mut values = Vec::new();
        while take(rest, VAL) {
            values.push(value(rest, depth + 1)?);
        }
        return take(rest, ARRAY_CLOSE).then_some(Value::Array(values));
    }
    Some(Value::Text(text(rest)))
}

fn take(rest: &mut &[u8], marker: u8) -> bool {
    let Some(behind) = rest.strip_prefix(&[marker]) else { return false };
    *rest = behind;
    true
}

fn text(rest: &mut &[u8]) -> Vec<u8> {
    let end = rest.iter().position(|&byte| is_marker(byte)).unwrap_or(rest.len());
    let (text, behind) = rest.split_at(end);
    *rest = behind;
    text.to_vec()
}

const fn is_marker(byte: u8) -> bool {
    matches!(byte, VAR..=ARRAY_CLOSE)
}

fn put(marker: u8, text: &[u8], out: &mut Vec<u8>) {
    out.push(marker);
    out.extend(text.iter().filter(|&&byte| !is_marker(byte)));
}

fn put_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => out.extend(text.iter().filter(|&&byte| !is_marker(byte))),
        Value::Array(values) => {
            out.push(ARRAY_OPEN);
            for value in values {
                out.push(VAL);
                put_value(value, out);
            }
            out.push(ARRAY_CLOSE);
        }
        Value::Table(pairs) => {
            out.push(TABLE_OPEN);
            for (name, value) in pairs {
                put(VAR, name, out);
                out.push(VAL);
                put_value(value, out);
            }
            out.push(TABLE_CLOSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn msdp_variables_round_trip() {
        let room = Value::Table(vec![
            (b"VNUM".to_vec(), "6008".into()),
            (b"EXITS".to_vec(), Value::Array(vec!["n".into(), "s".into()])),
        ]);
        let mut out = vec![];
        encode(&[("HEALTH", "10".into()), ("ROOM", room.clone())], &mut out);
        let content = &out[3..out.len() - 2];
        assert_eq!(parse(content), Some(vec![(b"HEALTH".to_vec(), "10".into()), (b"ROOM".to_vec(), room)]));
    }

    #[test]
    fn malformed_msdp_is_refused() {
        for content in [&b"LIST"[..], b"\x01A\x02\x03\x01B\x02x", b"\x01A\x02\x05\x02x", b"\x01A\x02\x06"] {
            assert_eq!(parse(content), None, "{content:?}");
        }
        let deep = [&b"\x01A"[..], &[VAL, ARRAY_OPEN].repeat(1000)].concat();
        assert_eq!(parse(&deep), None);
        assert_eq!(
            parse(b"\x01LIST\x02a\x02b"),
            Some(vec![(b"LIST".to_vec(), Value::Array(vec!["a".into(), "b".into()]))])
        );
        assert_eq!(parse(b""), Some(vec![]));
    }
}
