//! TLS on every wire, hostile TLS peers, and resumed sessions.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails where its assumption does")]

mod begin_tls;
mod tls;
mod tls_dial_proxies;
mod tls_dials;
mod tls_hostile;
mod tls_sessions;
mod tls_world;
mod wired;
