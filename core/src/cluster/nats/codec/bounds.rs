//! Bounds of one operation of the server.

/// Maximum length of an `INFO`, in bytes.
///
/// The protocol has no limit. Real ones have less than 1 KiB, and about 25 bytes for each address in `connect_urls`.
pub(crate) const INFO_MAX: usize = 64 << 10;

/// Maximum length of any other line, in bytes.
///
/// A server takes lines of up to 4 KiB with a subject and a reply subject (`max_control_line`), and adds at most
/// 40 bytes of numbers when it passes them on.
pub(crate) const LINE_MAX: usize = 8 << 10;

/// Maximum length of the headers of a message, in bytes: the longest that JetStream keeps, and what a server adds when
/// it publishes a kept message again.
pub(crate) const HEADERS_MAX: usize = 68 << 10;

/// Maximum length of a message with its headers, in bytes: 8 MiB.
///
/// A host publishes messages of up to 4 MiB, and JetStream returns them in base64 with some words of JSON.
pub(crate) const MESSAGE_MAX: usize = 8 << 20;
