//! Headers of messages.

use crate::cluster::names::host_text;
use crate::history::Position;
use alloc::format;
use alloc::string::String;

/// The header with the epoch and the mark of a message.
const OURS: &str = "Drupe";
/// Stands behind them in a message without content.
const WITHOUT_CONTENT: &str = "-";

/// Reads headers: `NATS/1.0[ code text]`, and lines with a name, a colon and a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers<'a>(&'a str);

/// What hosts put into the header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) epoch: u64,
    pub(super) mark: u64,
    pub(super) has_content: bool,
}

impl<'a> Headers<'a> {
    /// Reads headers. Those that are not text have no fields.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(core::str::from_utf8(bytes).unwrap_or_default())
    }

    /// Returns the status, such as 404.
    pub(super) fn status(self) -> Option<u16> {
        let line = self.0.split("\r\n").next()?.strip_prefix("NATS/1.0")?.trim_start();
        line.get(..3)?.parse().ok()
    }

    /// Returns a value. The server adds its own behind others, so the last one counts.
    pub(super) fn get(self, name: &str) -> Option<&'a str> {
        let fields = self.0.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| *field == name).last().map(|(_, value)| value.trim())
    }

    pub(super) fn number(self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Returns what a host has put there.
    pub(super) fn ours(self) -> Option<Ours> {
        let mut words = self.get(OURS)?.split(' ');
        let mut number = || u64::from_str_radix(words.next()?, 16).ok();
        let (epoch, mark) = (number()?, number()?);
        let has_content = words.next() != Some(WITHOUT_CONTENT);
        let is_valid = epoch > 0 && mark > 0 && mark != Position::ANY_MARK;
        is_valid.then_some(Ours { epoch, mark, has_content })
    }
}

/// Writes headers.
#[derive(Debug)]
pub(super) struct HeadersBuf(String);

impl HeadersBuf {
    /// Begins the headers of a message to a room.
    pub(super) fn of(ours: Ours) -> Self {
        let Ours { epoch, mark, has_content } = ours;
        let end = if has_content { "" } else { " -" };
        Self(format!("NATS/1.0\r\n{OURS}: {epoch:x} {mark:x}{end}\r\n"))
    }

    /// Begins the headers of a claim.
    pub(super) fn new() -> Self {
        Self("NATS/1.0\r\n".into())
    }

    /// The key by which a repeated message is recognized.
    pub(super) fn id(self, id: &str) -> Self {
        self.with("Nats-Msg-Id", id)
    }

    /// The message is kept only if the last one of its subject has this number. 0: if there is none.
    pub(super) fn expects(self, last: u64) -> Self {
        self.with("Nats-Expected-Last-Subject-Sequence", &format!("{last}"))
    }

    /// All earlier messages of the subject are removed.
    pub(super) fn replaces_all(self) -> Self {
        self.with("Nats-Rollup", "sub")
    }

    /// Returns the headers with their end.
    pub(super) fn end(mut self) -> String {
        self.0.push_str("\r\n");
        self.0
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.extend([name, ": ", value, "\r\n"]);
        self
    }
}

/// Returns the header of a message that says that a name is gone.
pub(super) fn gone() -> String {
    format!("NATS/1.0\r\n{OURS}: {WITHOUT_CONTENT}\r\n\r\n")
}

/// Returns `true` if a message says that a name is gone.
pub(super) fn is_gone(headers: &[u8]) -> bool {
    Headers::new(headers).get(OURS) == Some(WITHOUT_CONTENT)
}

/// Returns the name of this connection in the server's lists.
pub(super) fn client_name(host: u64) -> String {
    format!("drupe-{}", host_text(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hosts_write_is_read_and_the_last_value_counts() {
        let ours = Ours { epoch: 7, mark: 0xab, has_content: false };
        let text = HeadersBuf::of(ours).id("k").expects(0).replaces_all().end();
        let headers = Headers::new(text.as_bytes());
        assert_eq!((headers.ours(), headers.status()), (Some(ours), None));
        assert_eq!(headers.get("Nats-Msg-Id"), Some("k"));
        assert_eq!(headers.number("Nats-Expected-Last-Subject-Sequence"), Some(0));
        let twice = Headers::new(b"NATS/1.0\r\nNats-Sequence: 1\r\nNats-Sequence:2\r\n\r\n");
        assert_eq!(twice.number("Nats-Sequence"), Some(2));
        assert!(is_gone(gone().as_bytes()) && !is_gone(text.as_bytes()));
    }

    #[test]
    fn statuses_and_other_bytes() {
        for (bytes, status) in [
            (&b"NATS/1.0 503\r\n\r\n"[..], Some(503)),
            (b"NATS/1.0 409 Message Size Exceeds MaxBytes\r\nNats-Pending-Messages: 2\r\n\r\n", Some(409)),
            (b"NATS/1.0\r\n\r\n", None),
            (b"NATS/1.0 x\r\n\r\n", None),
            (b"", None),
            (b"\xff", None),
        ] {
            assert_eq!(Headers::new(bytes).status(), status, "{bytes:?}");
        }
        for value in ["", "7", "7 0", "0 7", "x 7", "7 ffffffffffffffff", "7 11111111111111111"] {
            let text = format!("NATS/1.0\r\nDrupe: {value}\r\n\r\n");
            assert_eq!(Headers::new(text.as_bytes()).ours(), None, "{value}");
        }
    }
}
