use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The header fields of a request or response, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Maximum number of header fields.
    pub(super) const MAX: usize = 64;

    pub(super) fn of(parsed: &[httparse::Header<'_>]) -> Self {
        let blank = |c| c == ' ' || c == '\t';
        // The fields that the server uses are ASCII. Other fields may have any bytes.
        let text = |value: &[u8]| String::from_utf8_lossy(value).trim_matches(blank).to_string();
        Self(parsed.iter().map(|field| (field.name.to_string(), text(field.value))).collect())
    }

    /// Returns the values of a field, in order. The case of `name` does not matter.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a field, or `None` if the field is missing or repeated.
    pub(super) fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.values(name);
        let first = values.next();
        first.filter(|_| values.next().is_none())
    }

    /// Returns `true` if the list in a field has a token, ignoring case (RFC 9110 section 5.6.1).
    pub(super) fn has_token<'a>(&'a self, name: &'a str, token: &'a str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|member| member.trim().eq_ignore_ascii_case(token))
    }

    /// Returns the names and values of the fields, in order.
    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }

    /// Returns the names of the fields, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// Returns `true` if a byte may be in the name of a field (RFC 9110 section 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}
