//! The parameters and fields of a request for a stream of events.

use crate::history::Position;
use crate::wire::events::EventFormat;
use crate::wire::http::Request;
use alloc::string::String;
use alloc::vec::Vec;

/// The parameters and fields of a request for a stream of events.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) channel: String,
    /// The connection token. Empty: none.
    pub(super) token: String,
    /// The channel token. Empty: none.
    pub(super) channel_token: String,
    /// The last position of a client that comes back.
    pub(super) since: Option<Position>,
    pub(super) format: EventFormat,
}

/// Replaces a position that cannot be parsed. No room has this epoch, so nothing is recovered.
const UNKNOWN: Position = Position::new(0, 0, 1);

/// Reads a request.
///
/// # Errors
/// What is wrong with the request.
pub(super) fn query(request: &Request) -> Result<Query, &'static str> {
    let value = |name: &str| match request.query(name) {
        Some(value) => decoded(value).ok_or("a value in the query is not percent-encoded UTF-8"),
        None => Ok(String::new()),
    };
    let channel = value("channel")?;
    if channel.is_empty() {
        return Err("name one channel: /events?channel=NAME");
    }
    let bearer = request.field("authorization").and_then(|field| field.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let token = match bearer {
        Some(token) => token.into(),
        None => value("token")?,
    };
    // The field is newer than the URL, with which a browser began.
    let id = match request.field("last-event-id") {
        Some(id) => id.into(),
        None => value("last_event_id")?,
    };
    let since = if id.is_empty() { None } else { Some(id.parse().unwrap_or(UNKNOWN)) };
    let format = match &*value("format")? {
        "" if accepts_lines(request) => EventFormat::JsonLines,
        "" | "events" => EventFormat::EventSource,
        "json" => EventFormat::JsonLines,
        _ => return Err("format must be events or json"),
    };
    Ok(Query { channel, token, channel_token: value("channel_token")?, since, format })
}

/// Returns `true` if the client asks for lines of JSON.
fn accepts_lines(request: &Request) -> bool {
    let mut types = request.fields("accept").flat_map(|field| field.split(','));
    types.any(|of| {
        let of = of.split(';').next().unwrap_or_default().trim();
        of.eq_ignore_ascii_case(EventFormat::JsonLines.content_type())
    })
}

/// Decodes a value of a query (application/x-www-form-urlencoded). `None`: it is not valid, or not UTF-8.
fn decoded(value: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(value.len()), value.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (&[high, low], behind) = rest.split_first_chunk::<2>()?;
                rest = behind;
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(high)? << 4 | digit(low)?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_or_refused() {
        for (value, text) in [
            ("", Some("")),
            ("news%3a1", Some("news:1")),
            ("a+b%2Bc", Some("a b+c")),
            ("%C3%A4", Some("\u{e4}")),
            ("%00", Some("\0")),
            ("%", None),
            ("%4", None),
            ("%4g", None),
            ("%+1", None),
            ("%ff", None),
        ] {
            assert_eq!(decoded(value).as_deref(), text, "{value}");
        }
    }
}
