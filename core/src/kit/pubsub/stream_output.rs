//! The events of streams.

use super::answer::Subscribed;
use super::codes::Disconnect;
use super::json::Object;
use super::publication::data_of;
use super::session::{Session, Stream};
use crate::base::{ConnId, OutgoingBuf, whole_millis};
use crate::handler::Hub;
use crate::history::Position;
use crate::wire::events::{EventFormat, StreamEvent};
use alloc::format;
use alloc::string::ToString;
use core::time::Duration;

/// Shortest time after which a client comes back.
const RETRY: Duration = Duration::from_secs(1);
/// Clients that lose the server at the same time come back spread over this time, and over twice this time after a
/// shutdown.
const SPREAD: Duration = Duration::from_secs(2);
/// Replaces a position after lost messages. It cannot be parsed, so a client that comes back is not recovered.
const GAP: &str = "gap";

/// Begins a stream: sends the event `subscribed`, and then the missed messages.
pub(super) fn subscribed(hub: &mut Hub<'_, Session>, conn: ConnId, stream: Stream, subscribed: &Subscribed) {
    let Subscribed { channel, position, is_recovered, missed, data, ttl, .. } = subscribed;
    let Some(client) = hub.context(conn).map(|session| session.client.clone()) else { return };
    let mut json = Object::new()
        .text("channel", channel)
        .text("client", &client)
        .raw("recovered", if *is_recovered { "true" } else { "false" })
        .raw("was_recovering", if stream.since.is_some() { "true" } else { "false" })
        .optional("data", data.as_deref());
    if let Some(ttl) = ttl {
        json = json.number("ttl", *ttl);
    }
    // If missed messages follow, the client is still at its own position.
    let position = stream.since.filter(|_| *is_recovered).or(*position).map(|position| position.to_string());
    let retry = Some(RETRY + random(hub, SPREAD));
    let json = json.end();
    hub.send_event(conn, &StreamEvent::new(&json).name("subscribed").position(position.as_deref()).retry(retry));
    for (position, message) in missed {
        publication(hub, conn, stream.format, *position, message);
    }
}

/// Sends a missed message, in the form in which the channel's room writes later ones.
fn publication(
    hub: &mut Hub<'_, Session>,
    conn: ConnId,
    format: EventFormat,
    position: Position,
    message: &OutgoingBuf,
) {
    let (position, data) = (position.to_string(), data_of(message));
    match format {
        EventFormat::JsonLines => {
            hub.send(conn, &format!("{{\"position\":\"{position}\",\"data\":{data}}}"));
        }
        EventFormat::EventSource => {
            let json = format!("{{\"data\":{data}}}");
            hub.send_event(conn, &StreamEvent::new(&json).position(Some(&position)));
        }
    }
}

/// Sends the last event of a stream, with the reason of its end.
pub(super) fn ended(hub: &mut Hub<'_, Session>, conn: ConnId, why: &Disconnect) {
    let json = Object::new().number("code", why.code.into()).text("reason", &why.reason).end();
    let mut event = StreamEvent::new(&json).name("disconnect");
    if *why == Disconnect::SHUTDOWN {
        let after = hub.config().drain.retry_after.unwrap_or_default().max(RETRY);
        event = event.retry(Some(after + random(hub, SPREAD * 2)));
    } else if *why == Disconnect::INSUFFICIENT_STATE {
        event = event.position(Some(GAP));
    }
    hub.send_event(conn, &event);
}

/// Sends a join or a leave.
pub(super) fn presence(hub: &mut Hub<'_, Session>, conn: ConnId, kind: &str, json: &str) {
    hub.send_event(conn, &StreamEvent::new(json).name(kind));
}

/// Returns a random time below `span`, in whole milliseconds.
fn random(hub: &mut Hub<'_, Session>, span: Duration) -> Duration {
    let millis = whole_millis(span);
    Duration::from_millis(hub.random() % millis.max(1))
}
