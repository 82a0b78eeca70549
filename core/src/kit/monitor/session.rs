use crate::base::text::neutralize;
use crate::base::{ConnId, Peer};
use crate::handler::Hub;
use crate::wire::http::Request;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use serde_json::{Value, json};

/// Details of a session, recorded when it opens because the hub does not keep them.
#[derive(Debug)]
pub(super) struct Client {
    path: Option<String>,
    user_agent: Option<String>,
    /// The time when the session opened, in milliseconds since 1970.
    started: Option<u64>,
}

/// Maximum length of the path and of the user agent, in characters.
const SHOWN_MAX_CHARS: usize = 200;
/// Maximum length of the user name, the label and each room shown, in characters.
const NAME_MAX_CHARS: usize = 64;
/// Maximum number of rooms shown for each session.
///
/// With it, 500 sessions fit in the queue of a slow watcher.
const ROOMS_MAX: usize = 4;

impl Client {
    pub(super) fn new<C>(hub: &Hub<'_, C>, request: Option<&Request>) -> Self {
        let shown = |text: &str| neutralize(text).chars().take(SHOWN_MAX_CHARS).collect();
        Self {
            path: request.map(|request| shown(request.path())),
            user_agent: request.and_then(|request| request.field("user-agent")).map(shown),
            started: super::stats::unix_ms(hub),
        }
    }
}

/// Returns the description of a session, as JSON.
pub(super) fn session<C>(hub: &Hub<'_, C>, conn: ConnId, client: Option<&Client>, is_newest: bool) -> Value {
    let traffic = hub.traffic(conn).unwrap_or_default();
    let started = client.and_then(|client| client.started).map(Duration::from_millis);
    let shown = |text: &str| neutralize(text).chars().take(NAME_MAX_CHARS).collect::<String>();
    let rooms: Vec<_> = hub.rooms_of(conn).take(ROOMS_MAX).map(shown).collect();
    json!({
        "id": conn.to_string(),
        "client": {
            "remote_addr": remote_address(hub.peer(conn)),
            "path": client.and_then(|client| client.path.as_deref()),
            "user_agent": client.and_then(|client| client.user_agent.as_deref()),
        },
        "start_time": started.map(|since| since.as_secs_f64()),
        "status": "connected",
        "is_newest": is_newest,
        "listener": hub.listen(conn).map(|listen| listen.name.as_str()),
        "wire": hub.wire_name(conn),
        "tls": hub.secured(conn).map(|secured| secured.version.as_str()),
        "user": hub.identity(conn).map(|identity| shown(&identity.user)),
        "name": hub.label(conn).map(shown),
        "rooms": rooms,
        "bytes_in": traffic.bytes_in,
        "bytes_out": traffic.bytes_out,
        "messages_in": traffic.messages_in,
        "queued_bytes": hub.pending(conn),
        "round_trip_ms": traffic.round_trip.map(|round_trip| round_trip.get().as_secs_f64() * 1e3),
    })
}

/// Returns the IP address and port of a peer as JSON, or `null` if the peer has none.
pub(super) fn remote_address(peer: Option<Peer>) -> Value {
    match peer {
        Some(Peer::Address(address)) => json!([address.ip().to_string(), address.port()]),
        _ => Value::Null,
    }
}
