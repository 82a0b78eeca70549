//! Bounds on the work, memory and time that one peer can cost.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails where its assumption does")]

mod bad_servers;
mod counting;
mod fair_turns;
mod memory;
mod remembering;
mod tls_memory;
mod work;
mod work_world;
