//! What a machine does with connections, limits, deadlines, dials and other shards.

mod accepting;
mod auth_shards;
mod client;
mod dial_websocket;
mod dials;
mod embedding;
mod endings;
mod every_wire;
mod extremes;
mod gauges;
mod hostile;
mod identity;
mod pauses;
mod request_guard;
mod shards;
mod slow_members;
mod vacuous;
