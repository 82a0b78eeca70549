//! The names of keys and channels at the broker.

use crate::base::HostId;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;

/// The names of keys and channels of one cluster.
///
/// The keys of a room have its name in braces, so that a Redis Cluster would keep them in one slot. Letters, digits
/// and `-_.:/#@` of the name stay as they are, and all other bytes are written as `%` and two digits (RFC 3986 section 2.1).
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: Arc<str>,
}

impl Names {
    pub(super) const fn new(prefix: Arc<str>) -> Self {
        Self { prefix }
    }

    /// The hash with the epoch, the offset and the mark of a room.
    pub(super) fn meta(&self, room: &str) -> Vec<u8> {
        self.of_room(room, ":m")
    }

    /// The stream with the kept messages of a room.
    pub(super) fn stream(&self, room: &str) -> Vec<u8> {
        self.of_room(room, ":s")
    }

    /// The position of the message with this key.
    pub(super) fn once(&self, room: &str, key: &str) -> Vec<u8> {
        let mut name = self.of_room(room, ":i:");
        name.extend_from_slice(key.as_bytes());
        name
    }

    /// The hash with the hosts that have names in a room, and the versions of these names.
    pub(super) fn hosts(&self, room: &str) -> Vec<u8> {
        self.of_room(room, ":h")
    }

    /// The hash with the names of one host in a room.
    pub(super) fn present(&self, room: &str, host: u64) -> Vec<u8> {
        let mut name = self.of_room(room, ":p:");
        name.extend_from_slice(host_text(host).as_bytes());
        name
    }

    /// The channel of a room.
    pub(super) fn channel(&self, room: &str) -> Vec<u8> {
        self.of_room(room, "")
    }

    /// The channel on which a host hears itself.
    pub(super) fn probe(&self, host: u64) -> Vec<u8> {
        [self.prefix.as_bytes(), b":probe:", host_text(host).as_bytes()].concat()
    }

    /// The key that exists as long as a host lives.
    pub(super) fn lease(&self, host: u64) -> Vec<u8> {
        [self.prefix.as_bytes(), b":lease:", host_text(host).as_bytes()].concat()
    }

    /// A key that only one host gets.
    pub(super) fn claim(&self, key: &str) -> Vec<u8> {
        [self.prefix.as_bytes(), b":claim:", key.as_bytes()].concat()
    }

    /// The channel of messages from one host to all others.
    pub(super) fn all_hosts(&self) -> Vec<u8> {
        [self.prefix.as_bytes(), b":hosts"].concat()
    }

    /// Returns the room of a channel, if it is one of a room.
    pub(super) fn room_of(&self, channel: &[u8]) -> Option<String> {
        let rest = channel.strip_prefix(self.prefix.as_bytes())?;
        let escaped = rest.strip_prefix(b":{")?.strip_suffix(b"}")?;
        let mut bytes = Vec::with_capacity(escaped.len());
        let mut left = escaped.iter();
        while let Some(&byte) = left.next() {
            if byte == b'%' {
                let mut digit = || left.next().and_then(|digit| char::from(*digit).to_digit(16));
                bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).ok()
    }

    fn of_room(&self, room: &str, end: &str) -> Vec<u8> {
        let mut name = String::with_capacity(self.prefix.len() + room.len() + end.len() + 4);
        name.push_str(&self.prefix);
        name.push_str(":{");
        for byte in room.bytes() {
            match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b':' | b'/' | b'#' | b'@' => {
                    name.push(byte.into());
                }
                // Writing to a string cannot fail.
                _ => drop(write!(name, "%{byte:02X}")),
            }
        }
        name.push('}');
        name.push_str(end);
        name.into_bytes()
    }
}

/// Returns the text of a host's number.
pub(super) fn host_text(host: u64) -> String {
    HostId::new(host).to_string()
}

/// Parses the text of a host's number.
pub(super) fn host_of(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.parse().ok().map(HostId::number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn room_comes_back_and_leaves_its_braces_alone(room in "\\PC{1,20}|[{}%:]{1,6}") {
            let names = Names::new("drupe".into());
            let channel = names.channel(&room);
            prop_assert_eq!(names.room_of(&channel), Some(room.clone()));
            // The first brace that closes is ours, or a cluster would see another tag.
            let close = channel.iter().position(|byte| *byte == b'}');
            prop_assert_eq!(close, Some(channel.len() - 1));
            prop_assert!(names.meta(&room).starts_with(&channel));
        }

        #[test]
        fn other_channels_have_no_room(channel in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = Names::new("d".into()).room_of(&[b"d:{", &channel[..]].concat());
            prop_assert_eq!(Names::new("drupe".into()).room_of(&channel), None);
        }
    }
}
