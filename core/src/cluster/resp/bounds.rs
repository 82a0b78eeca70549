//! Bounds of one reply.

/// Default maximum length of one reply with its attributes, in bytes: 8 MiB.
///
/// History is read in pieces of about 1 MiB, so this is eight times what a host asks for.
pub(crate) const REPLY_MAX: usize = 8 << 20;

/// Maximum number of elements in one reply, those of its attributes and of nested aggregates included.
///
/// A decoded element takes 40 bytes, but as few as 3 bytes on the wire. This keeps the memory for a reply of the default
/// maximum length below 32 MiB, and still allows an element for every 16 bytes of it.
pub(crate) const ELEMENTS_MAX: usize = 1 << 18;

/// Maximum number of aggregates that may be open within each other.
///
/// The deepest reply that is asked for has four levels: rooms, entries, an entry, its fields.
pub(crate) const DEPTH_MAX: usize = 8;

/// Maximum length of a simple string or a simple error, in bytes.
///
/// Redis accepts no longer line either (`PROTO_INLINE_MAX_SIZE`), and `resp-rs` parses no longer one. A script can put
/// its arguments into an error, so real ones may be longer than a status.
pub(super) const TEXT_LINE_MAX: usize = 64 << 10;

/// Maximum length of a double or a big number, in bytes: the longest that Redis formats (`MAX_LONG_DOUBLE_CHARS`).
pub(super) const DIGITS_LINE_MAX: usize = 5 << 10;

/// Maximum length of an integer, a length, a count, a boolean or a null, in bytes.
///
/// The longest integer of 64 bits has 20 characters: `-9223372036854775808`, or `18446744073709551615`.
pub(super) const NUMBER_LINE_MAX: usize = 20;

/// Minimum length of any reply, in bytes: a type, CR and LF.
pub(super) const ELEMENT_MIN: usize = 3;

/// Returns the maximum length of a line of this type, without its type and its end, in bytes.
pub(super) fn line_max(kind: u8) -> usize {
    match kind {
        b'+' | b'-' => TEXT_LINE_MAX,
        b',' | b'(' => DIGITS_LINE_MAX,
        _ => NUMBER_LINE_MAX,
    }
}
