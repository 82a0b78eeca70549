//! The `stats` and `recent` messages of the monitor.

use super::shards::SESSIONS_MAX;
use crate::base::{HostId, Time, UnixTime, whole_millis};
use crate::facts::HostReport;
use crate::handler::Hub;
use crate::metrics::{ConnectionSummary, Recent, TunnelMetrics};
use crate::tunnel::{TunnelState, TunnelStatus};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Reverse;
use serde_json::{Map, Value, json};

/// Maximum number of other hosts in a `hosts` message.
const HOSTS_SHOWN_MAX: usize = 200;
/// Maximum number of items of each list in a `recent` message.
const RECENT_MAX: usize = 20;

/// The metrics at one time: Unix time in milliseconds, open connections without those of watchers, queued
/// bytes, messages in and out since the start, and the number of round trips with their sum in microseconds.
pub(super) type Sample = [u64; 7];

/// Returns the `recent` message: errors, connections and work, newest or longest first.
pub(super) fn recent(recent: &Recent) -> Value {
    let connection = |one: &ConnectionSummary| {
        json!({
            "at_ms": one.at.as_millis(), "duration_ms": whole_millis(one.duration),
            "reason": one.reason.name(), "wire": one.wire, "peer": *one.peer,
        })
    };
    let errors = recent.errors.iter().rev().take(RECENT_MAX).map(|one| {
        json!({
            "at_ms": one.at.as_millis(), "unix_ms": one.unix.map(UnixTime::as_millis), "reason": one.reason.name(),
            "peer": *one.peer,
        })
    });
    let work = recent.work_longest.iter().take(RECENT_MAX).map(|one| {
        json!({
            "at_ms": one.at.as_millis(), "duration_ms": whole_millis(one.duration),
            "finished": one.finished, "peer": *one.peer,
        })
    });
    json!({
        "type": "recent",
        "errors": errors.collect::<Vec<_>>(),
        "connections_recent": recent.connections.iter().rev().take(RECENT_MAX).map(connection).collect::<Vec<_>>(),
        "connections_longest": recent.connections_longest.iter().take(RECENT_MAX).map(connection).collect::<Vec<_>>(),
        "work_longest": work.collect::<Vec<_>>(),
    })
}

/// Returns whether all lists of a `recent` message are empty.
pub(super) fn is_empty(recent: &Value) -> bool {
    let members = recent.as_object().into_iter().flat_map(Map::values);
    members.filter_map(Value::as_array).all(Vec::is_empty)
}

/// Merges `recent` messages of several shards into one.
pub(super) fn merged(all: &[&Value]) -> Value {
    let list = |name: &str, key: &str| {
        let mut list: Vec<_> = all.iter().filter_map(|recent| recent[name].as_array()).flatten().cloned().collect();
        // Newest or longest first. Of equal ones, those of the shard with the lower number come first.
        list.sort_by_key(|one| Reverse(one[key].as_u64()));
        list.truncate(RECENT_MAX);
        list
    };
    json!({
        "type": "recent",
        "errors": list("errors", "at_ms"),
        "connections_recent": list("connections_recent", "at_ms"),
        "connections_longest": list("connections_longest", "duration_ms"),
        "work_longest": list("work_longest", "duration_ms"),
    })
}

/// Returns the addresses in quarantine, as JSON. Only the first shard has them.
pub(super) fn quarantine<C>(hub: &Hub<'_, C>) -> Vec<Value> {
    let (now, listed) = (hub.now(), hub.quarantined().take(SESSIONS_MAX));
    let seconds = |until: Time| crate::base::seconds_up(until.since(now));
    listed.map(|(key, until)| json!({ "address": key.to_string(), "seconds": seconds(until) })).collect()
}

/// Returns the states of the tunnels, as JSON. Only the first shard has them.
pub(super) fn tunnels<C>(hub: &Hub<'_, C>) -> Vec<Value> {
    let counted = hub.state.metrics_of_all().tunnels;
    hub.tunnels().map(|status| tunnel(hub, &status, &counted)).collect()
}

/// Returns the `hosts` message: this host first, and then the others that are known.
pub(super) fn hosts<C>(hub: &Hub<'_, C>) -> Value {
    let host = |id: Option<HostId>, report: &HostReport, as_of: Time, is_linked: bool| {
        json!({
            "id": id.map(|id| id.to_string()), "name": *report.name, "version": *report.version,
            "is_own": id == hub.host_id(), "is_linked": is_linked,
            "as_of_seconds": hub.now().since(as_of).as_secs(), "uptime_seconds": report.uptime_secs,
            "workers": report.workers, "connections": report.connections, "rooms": report.rooms,
            "messages_in": report.messages_in, "messages_out": report.messages_out,
            "link_losses": report.link_losses,
        })
    };
    let own = host(hub.host_id(), &hub.state.own_report(), hub.now(), hub.is_linked());
    // What another host tells comes over its link.
    let others = hub.hosts().iter().take(HOSTS_SHOWN_MAX);
    let others = others.map(|other| host(Some(other.id), &other.report, other.as_of, true));
    json!({ "type": "hosts", "hosts": core::iter::once(own).chain(others).collect::<Vec<_>>() })
}

/// Returns the `stats` message, with the metrics of all shards.
pub(super) fn stats<C>(hub: &Hub<'_, C>, watchers: usize, is_draining: bool, tunnels: &[Value]) -> Value {
    let m = hub.state.metrics_of_all();
    let labels: Map<String, Value> = m.labels.iter().map(|(name, value)| (name.into(), value.into())).collect();
    json!({
        "type": "stats", "unix_ms": unix_ms(hub), "draining": is_draining, "tunnels": tunnels,
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

/// Returns the metrics of all shards for the history. `None` without the time of day.
pub(super) fn sample<C>(hub: &Hub<'_, C>, watchers: usize) -> Option<Sample> {
    let m = hub.state.metrics_of_all();
    let open = m.open.saturating_sub(u64::try_from(watchers).unwrap_or(u64::MAX));
    let (round_trips, sum) = (m.round_trip_us.count(), m.round_trip_us.sum());
    Some([unix_ms(hub)?, open, m.queued_bytes, m.messages_in, m.messages_out, round_trips, sum])
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
