use super::Layer;
use crate::base::{ConnId, Payload, Peer, Reason, Time};
use crate::handler::{Event, Handler, Hub};
use crate::wire::http::Request;
use core::fmt;

/// A layer that records opened connections, received messages and closed connections.
///
/// Use it for transcripts. Messages may contain secrets: place this layer inside
/// [`Authentication`](crate::kit::auth::Authentication), so that it receives no credentials. To
/// replay a run, see [`trace`](crate::trace) instead.
#[derive(Clone, Debug)]
pub struct Recording<F> {
    keep: F,
}

/// One entry of a transcript. Its `Display` form is one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// The time of the event.
    pub at: Time,
    /// The connection that the event belongs to.
    pub conn: ConnId,
    /// The event.
    pub what: What<'a>,
}

/// The event that an [`Entry`] records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What<'a> {
    /// A connection opened: its peer, and for a WebSocket the path of its request.
    Opened(Peer, Option<&'a str>),
    /// The peer sent a message.
    Message(Payload<'a>),
    /// The connection ended.
    Closed(Reason),
}

impl<F: FnMut(Entry<'_>)> Recording<F> {
    /// Creates a layer that calls `keep` with each entry.
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
    fn recording_writes_one_line_per_message() {
        let (send, lines) = std::sync::mpsc::channel::<String>();
        let mut hub = TestHub::new(Echo.within(Recording::new(move |entry: Entry<'_>| {
            send.send(entry.to_string()).expect("the receiver exists");
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
