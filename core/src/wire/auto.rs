use super::request_line::{is_http, is_request};
use super::{LengthPrefix, LengthPrefixed, Lines, Wire};
use crate::base::setters;
use crate::wire::telnet::{IAC, Telnet};
use core::time::Duration;

/// Settings for detecting a peer's wire from its first bytes.
///
/// | first bytes | wire |
/// |---|---|
/// | 255 (`IAC`) | telnet |
/// | 0, if a [`prefix`](Self::prefix) is set | frames, if the first message has less than 16 MiB |
/// | 22 3 | none: TLS (RFC 8446 section 5.1) is refused with an alert |
/// | a first line with an HTTP method, a target and `HTTP/` | [HTTP](crate::http) and WebSocket |
/// | anything else | lines |
/// | nothing for [`wait`](Self::wait) | telnet: a terminal waits for the server to begin |
///
/// HTTP has default settings. Its first line (RFC 9112 section 3) has at most 8 KiB.
///
/// Input that is still ambiguous after [`wait`](Self::wait) or at 8 KiB is treated as lines. If it
/// begins with an HTTP method and a target, it is treated as HTTP, so that a web page cannot send
/// lines. If a terminal sends an HTTP request later, [`Listen::refuses_http`](crate::Listen) closes
/// the connection. No byte is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Auto {
    /// Settings for peers that use telnet.
    pub telnet: Telnet,
    /// Settings for peers that use lines.
    pub lines: Lines,
    /// The length prefix of frames. `None`: frames are not detected.
    ///
    /// Only a big-endian prefix can be distinguished from text.
    pub prefix: Option<LengthPrefix>,
    /// How long to wait for the peer's first bytes.
    ///
    /// With zero, every peer whose first bytes do not arrive with the connection is treated as a
    /// terminal. With [`Duration::MAX`], no silent peer is.
    pub wait: Duration,
}

setters!(Auto { telnet: Telnet, lines: Lines, prefix: Option<LengthPrefix>, wait: Duration });

impl Default for Auto {
    /// Returns settings that detect no frames and wait for 300 ms.
    fn default() -> Self {
        let (telnet, lines) = (Telnet::default(), Lines::default());
        Self { telnet, lines, prefix: None, wait: Duration::from_millis(300) }
    }
}

/// The result of detecting a peer's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detected {
    /// The wire is not known yet: more input is needed.
    Unclear,
    /// The peer uses this wire.
    Spoken(Wire),
    /// The peer uses HTTP.
    Http,
    /// The peer uses an unsupported protocol, which is refused with these bytes.
    Refused(&'static [u8]),
}

/// The state of a peer's input when its wire is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeInput {
    /// More input may follow.
    Growing,
    /// The time to wait for input has passed.
    Waited,
    /// The input has ended.
    Ended,
}

/// A TLS record with the fatal alert `handshake_failure` (RFC 8446 section 6).
pub(crate) const NO_TLS: &[u8] = &[21, 3, 3, 0, 2, 2, 40];

impl Auto {
    /// Detects the wire from the first bytes of a stream.
    ///
    /// `searched` counts the bytes that are known to have no line feed. Between calls with the same
    /// `searched`, `first` may only grow.
    pub(crate) fn detect(&self, first: &[u8], searched: &mut usize, input: ProbeInput) -> Detected {
        let lines = Detected::Spoken(Wire::Lines(self.lines));
        let unclear = match (input, first) {
            (ProbeInput::Growing, _) => Detected::Unclear,
            (_, first) if is_request(first) => Detected::Http,
            (ProbeInput::Waited, []) => Detected::Spoken(Wire::Telnet(self.telnet)),
            (ProbeInput::Waited | ProbeInput::Ended, _) => lines,
        };
        match (first, self.prefix) {
            ([] | [22], _) => unclear,
            ([22, 3, ..], _) => Detected::Refused(NO_TLS),
            // A peer that sends a telnet command needs no probe.
            ([IAC, ..], _) => Detected::Spoken(Wire::Telnet(Telnet { probe: false, ..self.telnet })),
            ([0, ..], Some(prefix)) => Detected::Spoken(Wire::LengthPrefixed(LengthPrefixed { prefix })),
            _ => match is_http(first, searched) {
                None => unclear,
                Some(true) => Detected::Http,
                Some(false) => lines,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request_line::REQUEST_LINE_MAX_BYTES;

    #[test]
    fn auto_detects_the_protocol_from_any_split_of_first_bytes() {
        let auto = Auto { prefix: Some(LengthPrefix::U32Be), ..Auto::default() };
        let telnet = Detected::Spoken(Wire::Telnet(Telnet { probe: false, ..auto.telnet }));
        let frames = Detected::Spoken(Wire::LengthPrefixed(LengthPrefixed { prefix: LengthPrefix::U32Be }));
        let lines = Detected::Spoken(Wire::Lines(auto.lines));
        let target = [&b"POST /"[..], &[b'x'; REQUEST_LINE_MAX_BYTES], b"\n/nick admin\n"].concat();
        let long = [&b"GET "[..], &[b'x'; REQUEST_LINE_MAX_BYTES]].concat();
        for (first, detected) in [
            (&b"\xff\xfb\x18"[..], telnet),
            (b"\0\0\0\x05hello", frames),
            (b"\x16\x03\x01\x02\0", Detected::Refused(NO_TLS)),
            (b"\x16\x04", lines),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Detected::Http),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Detected::Http),
            (b"GET the ball\n", lines),
            (b"GETTING\n", lines),
            (b"get / HTTP/1.1\n", lines),
            (b"hello\n", lines),
            (b"\n", lines),
            (b"\xc3\xbc\n", lines),
            (&long, lines),
            (&target, Detected::Http),
        ] {
            let mut searched = 0;
            let decided = (1..=first.len()).map(|seen| auto.detect(&first[..seen], &mut searched, ProbeInput::Growing));
            let decided = decided.into_iter().find(|detected| *detected != Detected::Unclear);
            assert_eq!(decided, Some(detected), "{first:?}");
            assert_eq!(auto.detect(first, &mut 0, ProbeInput::Growing), detected, "{first:?}");
        }
        assert_eq!(auto.detect(b"", &mut 0, ProbeInput::Waited), Detected::Spoken(Wire::Telnet(auto.telnet)));
        assert_eq!(auto.detect(b"", &mut 0, ProbeInput::Ended), lines);
        assert_eq!(auto.detect(b"GET it", &mut 0, ProbeInput::Waited), lines);
        assert_eq!(auto.detect(b"GET /", &mut 0, ProbeInput::Waited), Detected::Http);
        assert_eq!(Auto::default().detect(b"\0\0\0\x05", &mut 0, ProbeInput::Growing), lines);
    }
}
