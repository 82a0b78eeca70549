//! The `stats` message: counters, gauges and tunnels.

use crate::handler::Hub;
use crate::metrics::TunnelMetrics;
use crate::tunnel::{TunnelState, TunnelStatus};
use alloc::string::ToString;
use alloc::vec::Vec;
use serde_json::{Value, json};

pub(super) fn stats<C>(hub: &Hub<'_, C>, watchers: usize) -> Value {
    let m = hub.metrics();
    let tunnels: Vec<_> = hub.tunnels().map(|status| tunnel(hub, &status, &m.tunnels)).collect();
    json!({
        "type": "stats", "unix_ms": unix_ms(hub), "draining": hub.is_draining(), "tunnels": tunnels,
        "watchers": watchers,
        "metrics": {
            "open": m.open, "undecided": m.undecided, "closing": m.closing, "stalled": m.stalled,
            "opened": m.opened, "ended": m.ended.total(), "refused": m.refused.total(),
            "bytes_in": m.bytes_in, "bytes_out": m.bytes_out, "messages_in": m.messages_in,
            "messages_out": m.messages_out, "queued_bytes": m.queued_bytes, "skipped": m.skipped,
            "rate_exceeded": m.rate_exceeded, "authentication_failures": m.authentication_failures,
            "tls_handshakes": m.tls_handshakes, "reloads": m.reloads,
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
