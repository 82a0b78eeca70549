//! What streams of events carry.

use super::answer::Subscribed;
use super::codes::Disconnect;
use super::json::Object;
use super::publication::data_of;
use super::session::{Session, Stream};
use crate::base::{ConnId, OutgoingBuf};
use crate::handler::Hub;
use crate::history::Position;
use crate::wire::events::{EventFormat, StreamEvent};
use alloc::format;
use alloc::string::ToString;
use core::time::Duration;

/// Shortest time after which a client comes back.
const RETRY: Duration = Duration::from_secs(1);
/// Clients that lose the server at the same time come back over this time, and over twice as much after a shutdown.
const SPREAD: Duration = Duration::from_secs(2);
/// In place of a position: the client may have missed messages, and is told so when it comes back.
const GAP: &str = "gap";

/// Begins a stream: with whether the client missed anything, and with all that it missed.
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
    // What was missed follows, so the client still is where it was.
    let position = stream.since.filter(|_| *is_recovered).or(*position).map(|position| position.to_string());
    let retry = Some(RETRY + random(hub, SPREAD));
    let json = json.end();
    hub.send_event(conn, &StreamEvent::new(&json).name("subscribed").position(position.as_deref()).retry(retry));
    for (position, message) in missed {
        publication(hub, conn, stream.format, *position, message);
    }
}

/// Sends a message that a client missed, as the channel's room writes those that follow.
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

/// Sends the last event of a stream, which says why it ends.
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

/// Returns a random time up to this one.
fn random(hub: &mut Hub<'_, Session>, span: Duration) -> Duration {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(hub.random() % millis.max(1))
}
