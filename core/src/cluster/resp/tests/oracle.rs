//! The crate `redis-protocol` decodes the same bytes.
//!
//! What both accept must be the same value of the same length. What only `redis-protocol` accepts breaks one of the
//! [rules](Rule) in which our decoder is stricter on purpose.

use super::properties::sent;
use super::*;
use proptest::prelude::*;
use redis_protocol::resp3::decode::complete::decode_bytes;
use redis_protocol::resp3::types::BytesFrame;

/// Rules of our decoder that `redis-protocol` 6.0.0 does not have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// Text of a declared length ends with CR LF. `redis-protocol` skips any two bytes.
    TextEndsWithLineEnd,
    /// A null is empty, a big number has digits, and the format of a verbatim text ends with a colon.
    ValuesAreWellFormed,
    /// A length has digits only. `redis-protocol` accepts `+1` and `-0`.
    LengthHasDigitsOnly,
    /// A server does not say `HELLO`.
    HelloIsOnlySent,
    /// A chunk (`;`) and the end of a streamed reply (`.`) are no replies.
    NothingIsStreamed,
    /// A line has no single CR or LF.
    LineHasNoLineEnd,
    /// A push is not inside of another reply.
    PushIsNotNested,
    /// Lines, nesting and replies are bounded.
    Bounded,
}

/// Returns the rule that a fault stands for. `None`: `redis-protocol` should refuse the bytes too.
fn rule(fault: &RespError) -> Option<Rule> {
    Some(match fault {
        RespError::MissingLineEnd(_) => Rule::TextEndsWithLineEnd,
        RespError::Malformed => Rule::ValuesAreWellFormed,
        RespError::BadLength(_) => Rule::LengthHasDigitsOnly,
        RespError::NotRedis(TypeByte(b'H')) | RespError::UnknownType(TypeByte(b'H')) => Rule::HelloIsOnlySent,
        RespError::Streamed(TypeByte(b';' | b'.')) => Rule::NothingIsStreamed,
        RespError::LoneLineEnd(_) => Rule::LineHasNoLineEnd,
        RespError::MisplacedPush => Rule::PushIsNotNested,
        RespError::LineTooLong { .. } | RespError::TooDeep { .. } => Rule::Bounded,
        _ => return None,
    })
}

/// Returns whether a reply is what the oracle decoded. It merges equal elements of sets and equal keys of maps.
fn is_same(reply: &Reply, other: &BytesFrame) -> bool {
    match (reply, other) {
        (
            Reply::Text(bytes),
            BytesFrame::BlobString { data, .. }
            | BytesFrame::SimpleString { data, .. }
            | BytesFrame::VerbatimString { data, .. },
        )
        | (Reply::BigNumber(bytes), BytesFrame::BigNumber { data, .. }) => bytes == data,
        (Reply::Error(error), BytesFrame::SimpleError { data, .. }) => *error == ServerError::new(data.as_bytes()),
        (Reply::Error(error), BytesFrame::BlobError { data, .. }) => *error == ServerError::new(data),
        (Reply::Number(number), BytesFrame::Number { data, .. }) => number == data,
        (Reply::Double(number), BytesFrame::Double { data, .. }) => {
            number.to_bits() == data.to_bits() || number.is_nan() && data.is_nan()
        }
        (Reply::Bool(value), BytesFrame::Boolean { data, .. }) => value == data,
        (Reply::Null, BytesFrame::Null) => true,
        (Reply::List(list), BytesFrame::Array { data, .. }) | (Reply::Push(list), BytesFrame::Push { data, .. }) => {
            list.len() == data.len() && list.iter().zip(data).all(|(reply, other)| is_same(reply, other))
        }
        (Reply::List(list), BytesFrame::Set { data, .. }) => {
            data.iter().all(|other| list.iter().any(|reply| is_same(reply, other)))
                && list.iter().all(|reply| data.iter().any(|other| is_same(reply, other)))
        }
        (Reply::Map(pairs), BytesFrame::Map { data, .. }) => {
            let has = |key: &BytesFrame, value: &BytesFrame| {
                pairs.iter().any(|pair| is_same(&pair.0, key) && is_same(&pair.1, value))
            };
            data.iter().all(|(key, value)| has(key, value))
                && pairs.iter().all(|(key, _)| data.keys().any(|other| is_same(key, other)))
        }
        _ => false,
    }
}

/// Compares both decoders. Returns the rule that the bytes break, if only the oracle accepts them.
fn compare(stream: &[u8]) -> Result<Option<Rule>, String> {
    let mut decoder = ReplyDecoder::new(1 << 16);
    decoder.push(stream);
    let (ours, theirs) = (decoder.next(), decode_bytes(&stream.to_vec().into()));
    match (ours, theirs) {
        (Ok(Some(reply)), Ok(Some((other, length)))) => {
            let used = stream.len() - decoder.held();
            if used == length && is_same(&reply, &other) {
                return Ok(None);
            }
            Err(std::format!("{reply:?} of {used} bytes, but {other:?} of {length} bytes"))
        }
        (Err(fault), Ok(Some((other, _)))) => match rule(&fault) {
            Some(rule) => Ok(Some(rule)),
            None => Err(std::format!("refused ({fault}), but {other:?}")),
        },
        (Ok(None), Ok(Some((other, length)))) => Err(std::format!("no reply yet, but {other:?} of {length} bytes")),
        _ => Ok(None),
    }
}

#[test]
fn every_stricter_rule_has_an_example() {
    for (stream, expected) in [
        (&b"$1\r\naxx"[..], Rule::TextEndsWithLineEnd),
        (b"_x\r\n", Rule::ValuesAreWellFormed),
        (b"(x\r\n", Rule::ValuesAreWellFormed),
        (b"=5\r\ntxtxa\r\n", Rule::ValuesAreWellFormed),
        (b"$+1\r\na\r\n", Rule::LengthHasDigitsOnly),
        (b"*-0\r\n", Rule::LengthHasDigitsOnly),
        (b"HELLO 3\r\n", Rule::HelloIsOnlySent),
        (b";1\r\na\r\n", Rule::NothingIsStreamed),
        (b".\r\n", Rule::NothingIsStreamed),
        (b"+a\nb\r\n", Rule::LineHasNoLineEnd),
        (b"*1\r\n>0\r\n", Rule::PushIsNotNested),
        (&b"*1\r\n".repeat(9).into_iter().chain(*b"_\r\n").collect::<Vec<u8>>(), Rule::Bounded),
        (b":000000000000000000001\r\n", Rule::Bounded),
    ] {
        assert_eq!(compare(stream), Ok(Some(expected)), "{:?}", String::from_utf8_lossy(stream));
    }
}

/// Changes one byte: replaces it, inserts one before it, removes it, or repeats what follows it.
fn mutate(stream: &mut Vec<u8>, (place, kind, byte): (prop::sample::Index, u8, u8)) {
    if stream.is_empty() {
        return;
    }
    let place = place.index(stream.len());
    match kind {
        0 | 1 => stream[place] = byte,
        2 => stream.insert(place, byte),
        3 => drop(stream.remove(place)),
        _ => {
            let end = (place + usize::from(byte % 8)).min(stream.len());
            let again = stream[place..end].to_vec();
            stream.splice(place..place, again);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_both_accept_is_the_same_value(
        sent in sent(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..5_u8, prop_oneof![
                prop::sample::select(b"+-:$*_#,(!=%~>|;.?\r\n0123456789 tfHinxe".to_vec()),
                any::<u8>(),
            ]),
            0..4,
        ),
    ) {
        let mut stream = Vec::new();
        sent.encode(&mut stream);
        for change in changes {
            mutate(&mut stream, change);
        }
        let outcome = compare(&stream);
        prop_assert!(outcome.is_ok(), "{:?}: {:?}", String::from_utf8_lossy(&stream), outcome);
    }
}
