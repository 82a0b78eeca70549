//! Messages from the application on one host to those on all others.

use super::Cluster;
use super::broker::Request;
use super::names::host_text;
use super::output::Output;
use super::purpose::Purpose;
use crate::base::Time;
use alloc::format;
use alloc::sync::Arc;
use bytes::Bytes;

impl Cluster {
    /// Sends a message to all other hosts that are linked now.
    pub(crate) fn tell_hosts(&mut self, now: Time, topic: &str, content: &str) {
        let data = format!("{} {} {topic}{content}", host_text(self.host), topic.len());
        self.request(now, Request::Tell { data: data.as_bytes().into() }, Purpose::Nothing);
    }

    /// Ends what this host has at the broker, before its link ends.
    pub(crate) fn say_goodbye(&mut self, now: Time) {
        self.request(now, Request::EndLease, Purpose::Nothing);
    }

    /// Passes on a message of another host.
    pub(super) fn hear_host(&mut self, data: &Bytes) {
        let Some((host, topic, content)) = parts(data) else { return self.metrics.unreadable += 1 };
        if host != host_text(self.host) {
            self.output.push_back(Output::FromHost { topic, content });
        }
    }
}

/// Returns the host, the topic and the content of a message.
fn parts(data: &[u8]) -> Option<(&str, Arc<str>, Arc<str>)> {
    let (host, rest) = core::str::from_utf8(data).ok()?.split_once(' ')?;
    let (length, rest) = rest.split_once(' ')?;
    let (topic, content) = rest.split_at_checked(length.parse().ok()?)?;
    Some((host, topic.into(), content.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_and_other_bytes_are_refused() {
        assert_eq!(parts(b"h 3 a bxyz"), Some(("h", "a b".into(), "xyz".into())));
        for bytes in
            [&b"h 3 a"[..], b"h", b"h x a", b"", b"h 1 \xff", "h 1 \u{e4}".as_bytes(), b"h 99999999999999999999 a"]
        {
            assert_eq!(parts(bytes), None, "{bytes:?}");
        }
    }
}
