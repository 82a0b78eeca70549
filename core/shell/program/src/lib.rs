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
//! - the commands `check`, `template`, `schema`, `cert`, `password`, `completions` and `man`.
//!
//! Applications use it through a shell: `drupe_tokio::program("mygame")`, with the feature
//! `program`. The program `drupe` is made of it too.
//!
//! | feature | adds |
//! |---|---|
//! | `client` | the command `client` |
//! | `jwks` | public keys of tokens from a URL |
//! | `tunnel` | reverse SSH tunnels |

#![forbid(unsafe_code)]
#![cfg(unix)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accounts;
mod arguments;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod client_tls;
mod concerns;
mod connections;
mod descriptors;
mod drupe;
mod failure;
#[cfg(feature = "jwks")]
mod fetch;
mod handler;
mod keys;
mod limiter;
mod log_output;
mod logs;
mod password;
mod program;
mod reload;
mod serve;
mod start;
mod systemd;
mod tools;
mod tunnels;

pub use drupe::drupe;
pub use drupe_core::settings::{Secret, Section, SectionError, units};
pub use program::Program;
pub use start::Start;
