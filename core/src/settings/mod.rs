//! Loading and checking of a configuration from text. Needs the feature `settings`.
//!
//! [`Settings`] lists all keys, and its fields document them. A configuration consists of layers,
//! each of which overrides the one before: the defaults, a profile, files (YAML or JSON), the
//! environment, and the command line. [`Sources::resolve`] merges the layers. It checks
//! the text, then the types of all values, then whether they fit together, and reports all errors
//! of the first step that has any, each with file, line, key and a remedy. [`Resolved::plan`] is the
//! result from which a server is built.
//!
//! ```
//! use drupe_core::settings::Sources;
//!
//! let resolved = Sources::new()
//!     .file("drupe.yaml", "listeners:\n  chat: { address: '127.0.0.1:7000', limits: { idle: 5m } }\n")
//!     .environment([("DRUPE_LIMITS__CONNECTIONS_MAX", "100")])
//!     .resolve()
//!     .unwrap();
//! assert_eq!(resolved.plan.config.connections.total, 100);
//!
//! let problems = Sources::new().file("drupe.yaml", "limits:\n  peer:\n    idel: 5m\n").resolve().unwrap_err();
//! assert_eq!(
//!     problems.to_string(),
//!     "drupe.yaml:3: limits.peer.idel: there is no such key; did you mean idle?"
//! );
//! ```
//!
//! # Layers
//!
//! - **Profile**: `profile: production` in a file, `DRUPE_PROFILE`, or the command line.
//! - **Files**: maps are merged key by key; lists and values replace those of earlier layers.
//! - **Environment**: `DRUPE_` and the key in capitals, with `__` between its parts:
//!   `DRUPE_LIMITS__PEER__IDLE=5m`, `DRUPE_LISTENERS__CHAT__ADDRESS=127.0.0.1:7000`. For keys that
//!   take text, the value is that text. For other keys it is YAML: `[a, b]` is a list, and `null`
//!   removes a listener or a user. The names of listeners, tunnels, users and rooms match regardless
//!   of case; new names are in lower case.
//! - **Command line**: `--set limits.peer.idle=5m`.
//!
//! A variable that begins with `DRUPE_` is a key if the part before its first `__` is a top-level
//! key, such as `limits` or `workers`. Of the other variables, these are ignored: variables that
//! Kubernetes creates for services (`DRUPE_CHAT_SERVICE_HOST`,
//! `DRUPE_CHAT_PORT=tcp://10.0.0.7:80`), `DRUPE_CONFIG`, `DRUPE_PASSWORD`, `DRUPE_TOKEN`, and
//! variables that begin with `DRUPE_TEST_`. Any other variable is an error if it contains `__`, and
//! a [warning](Resolved::warnings) if it does not.
//!
//! Relative paths in a file are relative to the folder of the file. Relative paths elsewhere, and
//! in a file that is a pipe, are relative to the working directory. In the files of tunnels, `~/`
//! is the home directory.
//!
//! # Sections of applications
//!
//! A program has its own applications, and each of them may have a [`Section`] of its own in the
//! same configuration. A [`Catalog`] lists them.
//!
//! # When a change takes effect
//!
//! A reload applies most keys to a running server:
//!
//! | key | new connections | open connections |
//! |---|---|---|
//! | `limits`, `outbound`, `quarantine`, `rooms`, `closing`, `drain`, `metrics` | at once | at once; connections over a lowered maximum stay |
//! | `listeners`: added | accepted at once | |
//! | `listeners`: removed, or another `address` | no longer accepted | stay |
//! | `listeners.*.limits`, `prompt` | at once | at once |
//! | `listeners.*.socket` | after a restart | after a restart |
//! | `tunnels`: added; another server, user, key or route | dialled at once | those through the tunnel end as `tunnel_lost` |
//! | `tunnels`: removed | no longer accepted | stay; the tunnel closes with the last of them |
//! | `tunnels`: waits and timeouts | at once | stay |
//! | `listeners.*`: `welcome`, `notices`, `half_open`, `app`, `tls`, `websocket`, `telnet`, `ssh`, `lines`, `length`, proxies, networks | at once | unchanged |
//! | `authentication`: users, passwords, token keys | at once | keep their users |
//! | `monitor.credential`, `monitor.metrics_credential`, `api.key` | at once | stay |
//! | `log.level`, `log.targets` | at once | |
//! | `relay` and other sections of applications | at once, unless the application says otherwise | as the application says |
//! | `rooms.options.*`: `home` in a cluster; `messages_max`, `age_max`, `key_window` of shared rooms with NATS | after a restart | after a restart |
//! | `cluster`, `workers`, `recorder`, other keys of `log`, `authentication` and `monitor` | after a restart | |
//!
//! A reload with an invalid configuration changes nothing. If an address becomes wider or narrower
//! at the same port (127.0.0.1 to 0.0.0.0), the server closes the old one before it listens on the
//! new one. If that fails, it listens on the old one again. If a new or shorter timeout would end
//! an open connection at once, it starts to count at the reload for that connection. If a reload gives
//! a home to a room that has members, the server tells the members that messages may be missing. If a
//! reload takes the home away, the room loses its history and keeps its members.
//!
#![doc = include_str!("coming_from.md")]

mod broker_url;
mod catalog;
mod dials;
mod document;
mod environment;
mod errors;
mod faults;
mod follow;
mod formats;
mod layers;
mod listeners;
mod passwords;
mod paths;
mod plan;
mod profiles;
mod proxies;
mod resolved;
mod salvage;
mod schema;
mod secret;
mod secret_files;
mod secrets;
mod section;
mod section_paths;
mod sections;
mod sources;
mod template;
mod token_keys;
mod tree;
mod tunnels;
mod typed;
pub mod units;
mod warnings;
mod wires;
mod words;

pub use broker_url::BrokerUrl;
pub use catalog::Catalog;
pub use dials::DialSettings;
pub use errors::{SettingsError, SettingsErrors};
pub use passwords::HashedPasswords;
pub use plan::{AuthenticationPlan, MonitorPlan, Plan};
pub use resolved::Resolved;
pub use secret::Secret;
pub use section::{Section, SectionError};
pub use sources::Sources;
pub use token_keys::{KeySetSource, KeySetUrl};
pub use tree::*;
