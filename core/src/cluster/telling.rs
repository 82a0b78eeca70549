//! Messages from the application on one host to those on all others.

use super::Cluster;
use super::broker::Request;
use super::names::{host_of, host_text};
use super::output::Output;
use super::purpose::Purpose;
use crate::base::{HostId, Time};
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
        if host != self.host {
            self.output.push_back(Output::FromHost { from: HostId::new(host), topic, content });
        }
    }

    /// Returns the identifier of this host.
    pub(crate) const fn host(&self) -> HostId {
        HostId::new(self.host)
    }

    /// Begins to look at the lease of a host.
    pub(crate) fn watch_host(&mut self, host: HostId) {
        self.hosts.watched.insert(host.number());
    }
}

/// Returns the host, the topic and the content of a message.
fn parts(data: &[u8]) -> Option<(u64, Arc<str>, Arc<str>)> {
    let (host, rest) = core::str::from_utf8(data).ok()?.split_once(' ')?;
    let host = host_of(host.as_bytes())?;
    let (length, rest) = rest.split_once(' ')?;
    let (topic, content) = rest.split_at_checked(length.parse().ok()?)?;
    Some((host, topic.into(), content.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_and_other_bytes_are_refused() {
        let of = |rest: &[u8]| [b"00000000000000ff ", rest].concat();
        assert_eq!(parts(&of(b"3 a bxyz")), Some((255, "a b".into(), "xyz".into())));
        assert_eq!(parts(&of(b"0 1 report")), Some((255, "".into(), "1 report".into())));
        for rest in [&b"3 a"[..], b"", b"x a", b"1 \xff", "1 \u{e4}".as_bytes(), b"99999999999999999999 a"] {
            assert_eq!(parts(&of(rest)), None, "{rest:?}");
        }
        for bytes in [&b""[..], b"h 1 ab", b"00000000000000ff"] {
            assert_eq!(parts(bytes), None, "{bytes:?}");
        }
    }
}
