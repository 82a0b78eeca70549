//! TLS on every wire, hostile TLS peers, and resumed sessions.

mod tls;
mod tls_hostile;
mod tls_sessions;
mod tls_world;
