//! Listeners that speak HTTP, WebSocket or any protocol, alone and behind proxies.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails where its assumption does")]

mod auto;
mod bodies;
mod bodies_refused;
mod http_listener;
mod later;
mod operating;
mod operating_hostile;
mod operating_world;
mod requests_world;
mod routes;
mod streams;
mod streams_shards;
mod tungstenite;
mod ws_telnet;
mod ws_telnet_cuts;
mod ws_world;
