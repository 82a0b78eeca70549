//! What a machine does with connections, limits, deadlines, dials and other shards.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails where its assumption does")]

mod accepting;
mod auth_shards;
mod chat_shards;
mod client;
mod cluster;
mod cluster_health;
mod codecs;
mod dial_extremes;
mod dial_options;
mod dial_proxies;
mod dial_websocket;
mod dials;
mod embedding;
mod endings;
mod every_wire;
mod extremes;
mod gauges;
mod hostile;
mod identity;
mod monitor_shards;
mod pauses;
mod present;
mod remembering;
mod remembering_extremes;
mod remembering_joins;
mod remembering_slow;
mod request_guard;
mod room_total;
mod shards;
mod slow_members;
mod ssh;
mod truncated;
mod vacuous;
