use super::Layer;
use crate::base::{ConnId, Payload, Peer, Reason, Time};
use crate::handler::{Event, Handler, Hub};
use crate::wire::http::Request;
use core::fmt;

/// Gives what is said to a function, entry by entry, for a transcript.
///
/// What peers say may be secret; what [`Authentication`](crate::kit::auth::Authentication) is told is not recorded if this layer is
/// within it. For a run that can be replayed, see [`trace`](crate::trace).
#[derive(Clone, Debug)]
pub struct Recording<F> {
    keep: F,
}

/// One thing that was said or happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// When.
    pub at: Time,
    /// With whom.
    pub conn: ConnId,
    /// What.
    pub what: What<'a>,
}

/// What was said or happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What<'a> {
    /// A connection opened, with the path of the request that became a WebSocket, if one did.
    Opened(Peer, Option<&'a str>),
    /// A message came.
    Message(Payload<'a>),
    /// A connection ended.
    Closed(Reason),
}

impl<F: FnMut(Entry<'_>)> Recording<F> {
    /// Calls `keep` for each entry. Its [`Display`](Entry) is one line.
    pub const fn new(keep: F) -> Self {
        Self { keep }
    }
}

impl<H: Handler, F: FnMut(Entry<'_>)> Layer<H> for Recording<F> {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        let what = match event {
            Event::Opened { peer, request, .. } => Some(What::Opened(peer, request.map(Request::path))),
            Event::Message { payload, .. } => Some(What::Message(payload)),
            Event::Closed { reason, .. } => Some(What::Closed(reason)),
            _ => None,
        };
        if let (Some(what), Some(conn)) = (what, event.conn()) {
            (self.keep)(Entry { at: hub.now(), conn, what });
        }
        within.on(hub, event);
    }
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, conn, what } = self;
        write!(f, "{} {conn} ", at.as_millis())?;
        match what {
            What::Opened(peer, None) => write!(f, "opened {peer}"),
            What::Opened(peer, Some(path)) => write!(f, "opened {peer} \"{}\"", path.escape_debug()),
            What::Message(Payload::Text(text)) => write!(f, "text \"{}\"", text.escape_debug()),
            What::Message(Payload::Binary(bytes)) => write!(f, "binary \"{}\"", bytes.escape_ascii()),
            What::Closed(reason) => write!(f, "closed {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Echo;
    use crate::kit::layer::Within;
    use crate::testing::TestHub;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use core::time::Duration;

    #[test]
    fn a_transcript_has_a_line_for_each_message() {
        let (send, lines) = std::sync::mpsc::channel::<String>();
        let mut hub = TestHub::new(Echo.within(Recording::new(move |entry: Entry<'_>| {
            send.send(entry.to_string()).expect("the test listens");
        })));
        let peer = hub.connect();
        hub.advance(Duration::from_secs(1));
        hub.line(peer, "say \"hi\"\u{1b}");
        hub.end(peer);
        let expected =
            ["0 0.1 opened 127.0.0.1:40000", "1000 0.1 text \"say \\\"hi\\\"\\u{1b}\"", "1000 0.1 closed peer_closed"];
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), expected);
    }
}
