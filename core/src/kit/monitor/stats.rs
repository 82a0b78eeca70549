//! The `stats` and `recent` messages of the monitor.

use crate::base::UnixTime;
use crate::handler::Hub;
use crate::metrics::{ConnectionSummary, Metrics, TunnelMetrics};
use crate::tunnel::{TunnelState, TunnelStatus};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use serde_json::{Map, Value, json};

/// Maximum number of items of each list in a `recent` message.
const RECENT_MAX: usize = 20;

/// Returns the `stats` message and the `recent` message.
pub(super) fn stats<C>(hub: &Hub<'_, C>, watchers: usize) -> (Value, Value) {
    let m = hub.metrics();
    (numbers(hub, &m, watchers), recent(&m))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the `recent` message: errors, connections and work, newest or longest first.
fn recent(m: &Metrics) -> Value {
    let connection = |one: &ConnectionSummary| {
        json!({
            "at_ms": one.at.as_millis(), "duration_ms": millis(one.duration),
            "reason": one.reason.name(), "wire": one.wire, "peer": *one.peer,
        })
    };
    let errors = m.recent.errors.iter().rev().take(RECENT_MAX).map(|one| {
        json!({
            "at_ms": one.at.as_millis(), "unix_ms": one.unix.map(UnixTime::as_millis), "reason": one.reason.name(),
            "peer": *one.peer,
        })
    });
    let work = m.recent.work_longest.iter().take(RECENT_MAX).map(|one| {
        json!({
            "at_ms": one.at.as_millis(), "duration_ms": millis(one.duration),
            "finished": one.finished, "peer": *one.peer,
        })
    });
    json!({
        "type": "recent",
        "errors": errors.collect::<Vec<_>>(),
        "connections_recent": m.recent.connections.iter().rev().take(RECENT_MAX).map(connection).collect::<Vec<_>>(),
        "connections_longest": m.recent.connections_longest.iter().take(RECENT_MAX).map(connection).collect::<Vec<_>>(),
        "work_longest": work.collect::<Vec<_>>(),
    })
}

/// Returns whether all lists of a `recent` message are empty.
pub(super) fn is_empty(recent: &Value) -> bool {
    let members = recent.as_object().into_iter().flat_map(Map::values);
    members.filter_map(Value::as_array).all(Vec::is_empty)
}

fn numbers<C>(hub: &Hub<'_, C>, m: &Metrics, watchers: usize) -> Value {
    let labels: Map<String, Value> = m.labels.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let tunnels: Vec<_> = hub.tunnels().map(|status| tunnel(hub, &status, &m.tunnels)).collect();
    json!({
        "type": "stats", "unix_ms": unix_ms(hub), "draining": hub.is_draining(), "tunnels": tunnels,
        "watchers": watchers, "uptime_seconds": m.uptime_secs, "labels": labels,
        "metrics": {
            "open": m.open, "undecided": m.undecided, "closing": m.closing, "stalled": m.stalled,
            "opened": m.opened, "ended": m.ended.total(), "refused": m.refused.total(),
            "bytes_in": m.bytes_in, "bytes_out": m.bytes_out, "messages_in": m.messages_in,
            "messages_out": m.messages_out, "queued_bytes": m.queued_bytes, "skipped": m.skipped,
            "rate_exceeded": m.rate_exceeded, "authentication_failures": m.authentication_failures,
            "tls_handshakes": m.tls_handshakes, "reloads": m.reloads,
            "room_histories": m.memory.rooms, "room_histories_bytes": m.memory.bytes,
            "room_recovered": m.memory.recovered, "room_not_recovered": m.memory.not_recovered_total(),
            "room_gaps": m.memory.gaps_total(), "room_names_present": m.memory.present,
            "round_trip_count": m.round_trip_us.count(), "round_trip_us": m.round_trip_us.sum(),
        },
    })
}

fn tunnel<C>(hub: &Hub<'_, C>, status: &TunnelStatus, counted: &[TunnelMetrics]) -> Value {
    let forwards = status.forwards.iter().map(|forward| {
        let listener = hub.listener(forward.listener).map_or("", |listen| &listen.name);
        json!({ "listener": listener, "at": forward.bind.to_string(), "bound": forward.bound })
    });
    let error = status.last_error.as_ref().map(|(failure, words)| json!({ "failure": failure.name(), "words": words }));
    let retry = if let TunnelState::Waiting(at) = status.state {
        Some(crate::base::seconds_up(at.since(hub.now())))
    } else {
        None
    };
    let counted = counted.iter().find(|counted| counted.name == status.name).cloned().unwrap_or_default();
    json!({
        "name": status.name, "state": status.state.name(), "retry_in_seconds": retry,
        "forwards": forwards.collect::<Vec<_>>(), "last_error": error, "connects": status.connects,
        "connected": status.connected, "channels": counted.channels, "channels_refused": counted.channels_refused,
        "bytes_in": counted.bytes_in, "bytes_out": counted.bytes_out,
    })
}

pub(super) fn unix_ms<C>(hub: &Hub<'_, C>) -> Option<u64> {
    hub.unix_time().map(crate::base::UnixTime::as_millis)
}
