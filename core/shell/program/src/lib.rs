//! Server programs for operators: configuration, commands, logs and more around the handlers.
//!
//! A [`Program`] turns applications, each a [`Handler`](drupe_core::Handler), into a program for
//! operators, with:
//!
//! - a configuration in YAML or JSON, the environment and the command line, with profiles, and with
//!   [sections](Section) of the applications;
//! - TLS, authentication, the monitor page, metrics, reverse SSH tunnels;
//! - logs as text or JSON, to standard error or to files;
//! - reload with SIGHUP, drain with SIGTERM, systemd's sockets, readiness and watchdog;
//! - a flight recorder, whose recordings the command `replay` shows and runs again;
//! - the commands `check`, `template`, `schema`, `cert`, `password`, `completions` and `man`;
//! - a store of users who register, and the command `user`.
//!
//! Applications use it through a shell: `drupe_tokio::program("mygame")`, with the feature
//! `program`. The program `drupe` is made of it too.
//!
//! | feature | adds |
//! |---|---|
//! | `client` | the command `client` |
//! | `jwks` | public keys of tokens from a URL |
//! | `ssh` | SSH listeners |
//! | `tunnel` | reverse SSH tunnels |
//! | `users` | a store of users (`SQLite`), registration, and the command `user`; needs a C compiler |
//!
//! # The store of users
//!
//! With the feature `users`, `authentication.store` names a file. The server confirms a registration
//! only after the user is on the disk, so that it survives a crash and a loss of power. So do the
//! changes of the command `user`. A user is looked up at each login: a change takes effect at once
//! in a running server, for the logins that begin after it. Open connections stay. Tokens that were
//! issued to a user become invalid when the user is removed or the password changes.
//!
//! A user of the configuration hides a user of the store with the same name. If the store can't be
//! used for a while, its users can't log in, all others can, and the log has the cause.

#![forbid(unsafe_code)]
#![cfg(unix)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accounts;
mod answer;
mod arguments;
#[cfg(feature = "client")]
mod client;
mod concerns;
mod connections;
mod descriptors;
mod dial_tls;
mod drupe;
mod failure;
#[cfg(feature = "jwks")]
mod fetch;
mod flight;
mod flight_watch;
mod handler;
mod keys;
mod limiter;
mod log_files;
mod log_lines;
mod log_output;
mod logs;
mod pages;
mod password;
mod process;
mod program;
mod quoted;
mod reload;
mod replay;
mod serve;
mod shared_keys;
mod skeleton;
mod ssh;
mod start;
mod systemd;
mod timeline;
mod tools;
mod tunnels;
mod users;

pub use drupe::drupe;
pub use drupe_core::settings::{DialSettings, Secret, Section, SectionError, units};
pub use program::Program;
pub use shared_keys::SharedKeySet;
pub use start::Start;
