//! Any reply, encoded and decoded again, and the strategies for it.

use super::*;
use proptest::prelude::*;
use std::boxed::Box;
use std::vec;

/// A reply as a server may send it: each type has one or several encodings, and attributes may come before.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    Simple(String),
    Bulk(Vec<u8>),
    Verbatim(Vec<u8>),
    Error(String),
    BlobError(Vec<u8>),
    Number(i64),
    Double(f64),
    Bool(bool),
    Null(&'static str),
    BigNumber(String),
    Array(Vec<Sent>),
    Set(Vec<Sent>),
    Map(Vec<(Sent, Sent)>),
    Attributed(Vec<(Sent, Sent)>, Box<Sent>),
}

impl Sent {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => line(out, b'+', text),
            Self::Error(text) => line(out, b'-', text),
            Self::Number(number) => line(out, b':', &number.to_string()),
            Self::Double(number) => line(out, b',', &number.to_string()),
            Self::Bool(value) => line(out, b'#', if *value { "t" } else { "f" }),
            Self::Null(encoded) => out.extend_from_slice(encoded.as_bytes()),
            Self::BigNumber(digits) => line(out, b'(', digits),
            Self::Bulk(bytes) => blob(out, b'$', b"", bytes),
            Self::Verbatim(bytes) => blob(out, b'=', b"txt:", bytes),
            Self::BlobError(bytes) => blob(out, b'!', b"", bytes),
            Self::Array(elements) => list(out, b'*', elements),
            Self::Set(elements) => list(out, b'~', elements),
            Self::Map(pairs) => map(out, b'%', pairs),
            Self::Attributed(pairs, reply) => {
                map(out, b'|', pairs);
                reply.encode(out);
            }
        }
    }

    /// What the decoder must return.
    fn reply(&self) -> Reply {
        let list = |elements: &[Self]| elements.iter().map(Self::reply).collect();
        match self {
            Self::Simple(text) => Reply::Text(text.clone().into()),
            Self::Bulk(bytes) | Self::Verbatim(bytes) => Reply::Text(bytes.clone().into()),
            Self::Error(text) => Reply::Error(ServerError::new(text.as_bytes())),
            Self::BlobError(bytes) => Reply::Error(ServerError::new(bytes)),
            Self::Number(number) => Reply::Number(*number),
            Self::Double(number) => Reply::Double(*number),
            Self::Bool(value) => Reply::Bool(*value),
            Self::Null(_) => Reply::Null,
            Self::BigNumber(digits) => Reply::BigNumber(digits.clone().into()),
            Self::Array(elements) | Self::Set(elements) => Reply::List(list(elements)),
            Self::Map(pairs) => Reply::Map(pairs.iter().map(|(key, value)| (key.reply(), value.reply())).collect()),
            Self::Attributed(_, reply) => reply.reply(),
        }
    }
}

fn line(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn blob(out: &mut Vec<u8>, kind: u8, format: &[u8], bytes: &[u8]) {
    line(out, kind, &(format.len() + bytes.len()).to_string());
    out.extend_from_slice(format);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn list(out: &mut Vec<u8>, kind: u8, elements: &[Sent]) {
    line(out, kind, &elements.len().to_string());
    elements.iter().for_each(|element| element.encode(out));
}

fn map(out: &mut Vec<u8>, kind: u8, pairs: &[(Sent, Sent)]) {
    line(out, kind, &pairs.len().to_string());
    for (key, value) in pairs {
        key.encode(out);
        value.encode(out);
    }
}

pub(super) fn sent() -> impl Strategy<Value = Sent> {
    let bytes =
        || prop_oneof![prop::collection::vec(any::<u8>(), 0..40), "[\r\n$*:a1]{0,12}".prop_map(String::into_bytes)];
    let leaf = prop_oneof![
        "[^\r\n]{0,20}".prop_map(Sent::Simple),
        "[A-Z]{2,9} [^\r\n]{0,20}".prop_map(Sent::Error),
        bytes().prop_map(Sent::Bulk),
        bytes().prop_map(Sent::Verbatim),
        bytes().prop_map(Sent::BlobError),
        any::<i64>().prop_map(Sent::Number),
        any::<f64>().prop_filter("equal to itself", |number| !number.is_nan()).prop_map(Sent::Double),
        Just(Sent::Double(f64::NEG_INFINITY)),
        any::<bool>().prop_map(Sent::Bool),
        prop::sample::select(vec!["_\r\n", "$-1\r\n", "*-1\r\n"]).prop_map(Sent::Null),
        "[+-]?[0-9]{1,40}".prop_map(Sent::BigNumber),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let pairs = || prop::collection::vec((inner.clone(), inner.clone()), 0..3);
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 0..5).prop_map(Sent::Array),
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Sent::Set),
            2 => pairs().prop_map(Sent::Map),
            1 => (pairs(), inner.clone()).prop_map(|(pairs, reply)| Sent::Attributed(pairs, Box::new(reply))),
        ]
    })
}

/// Splits a stream into pieces of these lengths, in a cycle.
fn cut<'s>(stream: &'s [u8], lengths: &[usize]) -> Vec<&'s [u8]> {
    let (mut rest, mut pieces) = (stream, Vec::new());
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at(length.clamp(1, rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

proptest! {
    #[test]
    fn any_replies_survive_encoding_and_any_split(
        sent in prop::collection::vec((any::<bool>(), prop::collection::vec(sent(), 0..4)), 1..4),
        lengths in prop::collection::vec(1..60_usize, 1..6),
    ) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for (is_push, elements) in &sent {
            if *is_push {
                list(&mut stream, b'>', elements);
                expected.push(Reply::Push(elements.iter().map(Sent::reply).collect()));
            } else {
                elements.iter().for_each(|element| element.encode(&mut stream));
                expected.extend(elements.iter().map(Sent::reply));
            }
        }
        let longest = stream.len().max(3);
        prop_assert_eq!(decode(longest, &cut(&stream, &lengths)), (expected, None));
    }

    #[test]
    fn outcome_of_any_bytes_does_not_depend_on_the_split(
        stream in "[-+:$*%|>~=!_#,(;.?0-9a\r\n]{0,40}|([$*%|>!=+][0-3]\r\n|_\r\n|:1\r\n){0,12}",
        lengths in prop::collection::vec(1..9_usize, 1..4),
        bound in 0..60_usize,
    ) {
        let whole = decode(bound, &[stream.as_bytes()]);
        prop_assert_eq!(shown(&decode(bound, &cut(stream.as_bytes(), &lengths))), shown(&whole));
    }
}
