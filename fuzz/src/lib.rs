//! Fuzz targets: each function accepts any bytes, and panics if a guarantee is broken.
//!
//! The binaries in `fuzz_targets` pass these functions to libFuzzer. The tests replay the committed
//! corpora on stable Rust.

#![allow(clippy::panic, clippy::expect_used, reason = "a fuzz target reports a defect by a panic")]

mod cut;
mod decoders;
mod dial;
mod extremes;
#[path = "../../shell-tokio/ssh/src/host_key.rs"]
mod host_key;
mod kit;
mod known_hosts;
mod machine;
mod memory;
mod monitor;
mod nats;
mod outgoing_proxy;
mod proofs;
mod pubsub;
mod records;
mod resp;
mod settings;
#[path = "../../shell-tokio/ssh/src/server/course.rs"]
mod ssh_course;
#[path = "../../shell-tokio/ssh/src/server/key_text.rs"]
mod ssh_key_text;
mod ssh_server;
mod telnet;
mod telnet_client;
mod telnet_session;
mod web;
mod work;

pub use decoders::{codec, delimited, length, line};
pub use dial::dial;
pub use kit::kit;
pub use known_hosts::known_hosts;
pub use machine::{machine, machine_extremes};
pub use monitor::monitor;
pub use nats::nats;
pub use outgoing_proxy::outgoing_proxy;
pub use proofs::{calls, scram, token};
pub use pubsub::pubsub;
pub use records::{proxy, tls, traces};
pub use resp::resp;
pub use settings::settings;
pub use ssh_server::{ssh_course, ssh_keys};
pub use telnet::{telnet_options, telnet_parser};
pub use telnet_client::telnet_client;
pub use telnet_session::{telnet_editor, telnet_session};
pub use web::{http, listen, websocket, websocket_frames};
