//! The answers of JetStream.

use super::headers::{Headers, Ours, is_gone};
use super::json::Json;
use alloc::string::{String, ToString};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// JetStream: the last message of the subject has another number than expected.
const WRONG_LAST_SEQUENCE: u64 = 10_071;
/// JetStream: there is no such message.
const NO_MESSAGE: u64 = 10_037;
/// JetStream: there is no such stream.
const NO_STREAM: u64 = 10_059;
/// JetStream: the stream exists with another configuration.
const OTHER_CONFIGURATION: u64 = 10_058;
/// JetStream is not enabled, at the server or for the account.
const NOT_ENABLED: [u64; 2] = [10_076, 10_039];

/// An error of JetStream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) kind: ApiErrorKind,
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiErrorKind {
    WrongLastSequence,
    NoMessage,
    NoStream,
    OtherConfiguration,
    NotEnabled,
    Other,
}

/// A message as a stream keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) subject: String,
    pub(super) number: u64,
    /// What a host put into the header. `None`: no host of a cluster has published it.
    pub(super) ours: Option<Ours>,
    /// Whether it says that a name is gone.
    pub(super) is_gone: bool,
    pub(super) data: Bytes,
    /// When it was kept, in milliseconds since 1970.
    pub(super) at: u64,
}

/// The confirmation that a message was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) number: u64,
    /// Whether this is the number of an earlier message with the same key.
    pub(super) is_repeated: bool,
}

/// A consumer that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consumer {
    pub(super) name: String,
    /// The time of the server, in milliseconds since 1970.
    pub(super) now: u64,
    /// Number of messages that it can deliver.
    pub(super) pending: u64,
}

/// An answer that is not what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// An error that the server reports.
    Error(ApiError),
    /// Anything else.
    Unreadable,
}

/// Parses an answer, and returns what `read` finds there.
fn parse<T>(payload: &[u8], read: impl FnOnce(&Json<'_>) -> Option<T>) -> Result<T, Unusable> {
    let json = Json::parse(payload).ok_or(Unusable::Unreadable)?;
    match json.get("error") {
        Some(error) => Err(Unusable::Error(api_error(error))),
        None => read(&json).ok_or(Unusable::Unreadable),
    }
}

fn api_error(error: &Json<'_>) -> ApiError {
    let kind = match error.number("err_code") {
        Some(WRONG_LAST_SEQUENCE) => ApiErrorKind::WrongLastSequence,
        Some(NO_MESSAGE) => ApiErrorKind::NoMessage,
        Some(NO_STREAM) => ApiErrorKind::NoStream,
        Some(OTHER_CONFIGURATION) => ApiErrorKind::OtherConfiguration,
        Some(code) if NOT_ENABLED.contains(&code) => ApiErrorKind::NotEnabled,
        _ => ApiErrorKind::Other,
    };
    let text = error.text("description").unwrap_or("an error without a description");
    ApiError { kind, text: crate::base::text::neutralize(text).chars().take(200).collect() }
}

pub(super) fn done(payload: &[u8]) -> Result<(), Unusable> {
    parse(payload, |_| Some(()))
}

pub(super) fn kept(payload: &[u8]) -> Result<Kept, Unusable> {
    parse(payload, |json| {
        json.text("stream")?;
        Some(Kept { number: json.number("seq")?, is_repeated: json.is("duplicate") })
    })
}

pub(super) fn stored(payload: &[u8]) -> Result<Stored, Unusable> {
    parse(payload, |json| {
        let message = json.get("message")?;
        let bytes =
            |name| message.text(name).map_or(Some(Bytes::new()), |text| Some(STANDARD.decode(text).ok()?.into()));
        let (headers, data): (Bytes, Bytes) = (bytes("hdrs")?, bytes("data")?);
        Some(Stored {
            subject: message.text("subject")?.into(),
            number: message.number("seq")?,
            ours: Headers::new(&headers).ours(),
            is_gone: is_gone(&headers),
            data,
            at: milliseconds(message.text("time")?)?,
        })
    })
}

pub(super) fn consumer(payload: &[u8]) -> Result<Consumer, Unusable> {
    parse(payload, |json| {
        Some(Consumer {
            name: json.text("name")?.into(),
            now: milliseconds(json.text("created")?)?,
            pending: json.number("num_pending")?,
        })
    })
}

/// Returns the subjects with messages in the information about a stream.
pub(super) fn subjects(payload: &[u8]) -> Result<alloc::vec::Vec<String>, Unusable> {
    parse(payload, |json| match json.get("state")?.get("subjects") {
        Some(Json::Object(fields)) => Some(fields.iter().map(|(subject, _)| subject.to_string()).collect()),
        None | Some(Json::Null) => Some(alloc::vec::Vec::new()),
        Some(_) => None,
    })
}

/// What the reply subject of a delivered message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivered<'a> {
    pub(super) consumer: &'a str,
    /// The number of the message in the stream.
    pub(super) number: u64,
    /// When it was kept, in milliseconds since 1970.
    pub(super) at: u64,
    /// Number of messages that the consumer can deliver after it.
    pub(super) pending: u64,
}

/// Reads the reply subject of a delivered message: `$JS.ACK.` with nine words, or with further ones for a domain.
pub(super) fn delivered(reply: &[u8]) -> Option<Delivered<'_>> {
    let words = core::str::from_utf8(reply).ok()?.strip_prefix("$JS.ACK.")?.split('.');
    let count = words.clone().count();
    let mut words = words.skip(if count > 7 { 3 } else { 1 });
    let consumer = words.next()?;
    let mut numbers = words.map(|word| word.parse::<u64>().ok());
    let (_, number, _) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let (at, pending) = (numbers.next()??, numbers.next()??);
    Some(Delivered { consumer, number, at: at / 1_000_000, pending })
}

/// Parses a time in UTC (RFC 3339 section 5.6), and returns it in milliseconds since 1970.
fn milliseconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let is_valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_valid {
        return None;
    }
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3_600 + minute * 60 + second;
    let digits = fraction.bytes().chain(core::iter::repeat(b'0')).take(3);
    let thousandths = digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(seconds * 1_000 + thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-27T22:00:00.123456789Z", Some(1_795_816_800_123)),
            ("2024-02-29T23:59:59.9Z", Some(1_709_251_199_900)),
            ("2000-03-01T00:00:00Z", Some(951_868_800_000)),
            ("9999-12-31T23:59:60Z", Some(253_402_300_800_000)),
            ("2026-11-27T22:00:00+01:00", None),
            ("2026-13-27T22:00:00Z", None),
            ("2026-00-27T22:00:00Z", None),
            ("0000-01-27T22:00:00Z", None),
            ("2026-11-27T22:00:00.xZ", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn reply_subjects_of_delivered_messages_are_read() {
        let found = Delivered { consumer: "c", number: 12, at: 1_700, pending: 4 };
        assert_eq!(delivered(b"$JS.ACK.s.c.1.12.3.1700000000.4"), Some(found));
        assert_eq!(delivered(b"$JS.ACK._.hash.s.c.1.12.3.1700000000.4.random"), Some(found));
        for reply in [&b"$JS.ACK.s.c.1.12.3.4"[..], b"$JS.ACK.s.c.1.x.3.1.4", b"_INBOX.x", b"\xff", b""] {
            assert_eq!(delivered(reply), None);
        }
    }

    #[test]
    fn errors_are_told_from_answers() {
        let error = |text: &str| match done(text.as_bytes()) {
            Err(Unusable::Error(error)) => error,
            other => panic!("{other:?}"),
        };
        let wrong = error(r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 1"},"seq":0}"#);
        assert_eq!((wrong.kind, &*wrong.text), (ApiErrorKind::WrongLastSequence, "wrong last sequence: 1"));
        assert_eq!(error(r#"{"error":{}}"#).kind, ApiErrorKind::Other);
        assert_eq!(done(b"+OK"), Err(Unusable::Unreadable));
        let ack = kept(br#"{"stream":"S","seq":7,"duplicate":true}"#);
        assert_eq!(ack, Ok(Kept { number: 7, is_repeated: true }));
    }
}
