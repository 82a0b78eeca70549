//! Text in, a checked configuration out. Needs the feature `settings`.
//!
//! What can be configured is [`Settings`]; its fields say what each means. A configuration is made of layers, each upon the one
//! before: the defaults, a profile, files (YAML or JSON), the environment, and the command line. [`Sources::resolve`] puts them
//! together and says everything that is wrong with them, with file, line, key and what to do. [`Resolved::plan`] is what a
//! server is made of.
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
//! - **Files**: maps are merged key by key; lists and values take the place of those before.
//! - **Environment**: `DRUPE_` and the key in capitals, with `__` between its parts: `DRUPE_LIMITS__PEER__IDLE=5m`,
//!   `DRUPE_LISTENERS__CHAT__ADDRESS=127.0.0.1:7000`. Where text is expected, the value is that text; elsewhere it is YAML, so
//!   `[a, b]` is a list and `null` takes a listener or a user away. The names of listeners, tunnels and users are found whatever
//!   their capitals; new ones are in small letters.
//! - **Command line**: `--set limits.peer.idle=5m`.
//!
//! A variable that begins with `DRUPE_` is a key if what stands before its first `__` is a key of the first level, such as
//! `limits` or `workers`. Of the others, those that Kubernetes makes of services are passed over (`DRUPE_CHAT_SERVICE_HOST`,
//! `DRUPE_CHAT_PORT=tcp://10.0.0.7:80`), and so are `DRUPE_CONFIG`, `DRUPE_PASSWORD`, `DRUPE_TOKEN` and what begins with
//! `DRUPE_TEST_`. What is left is an error if it has a `__`, and a [warning](Resolved::warnings) if it has none.
//!
//! Paths in a file that are relative begin at the folder of the file; others, and those of a file that is a pipe, at the
//! directory in which the program runs. `~/` is the home directory for the files of tunnels.
//!
//! # What holds at once when it is loaded anew
//!
//! | key | new connections | open connections |
//! |---|---|---|
//! | `limits`, `outbound`, `quarantine`, `rooms`, `closing`, `drain` | at once | at once; who is over a number of connections stays |
//! | `listeners`: added | listened at | |
//! | `listeners`: removed, or another `address` | no longer let in | stay |
//! | `listeners.*.limits`, `prompt` | at once | at once |
//! | `listeners.*.socket` | with the next start | with the next start |
//! | `tunnels`: added; another server, user, key or way there | dialled at once | what came through it ends as `tunnel_lost` |
//! | `tunnels`: removed | no longer let in | stay; it ends with the last of them |
//! | `tunnels`: waits and timeouts | at once | stay |
//! | `listeners.*`: `welcome`, `notices`, `half_open`, `app`, `tls`, `websocket`, `telnet`, `lines`, `length`, proxies, networks | at once | stay as they are |
//! | `authentication`: users, passwords, tokens' keys | at once | stay who they are |
//! | `monitor.credential`, `monitor.metrics_credential` | at once | stay |
//! | `log.level`, `log.targets` | at once | |
//! | `workers`, `envelope`, `log`: all else, `authentication`: all else, `monitor`: all else | with the next start | |
//!
//! A configuration that is wrong changes nothing. An address that is made wider or narrower at the same port (127.0.0.1 to
//! 0.0.0.0) is closed before the new one is listened at, and listened at again if that fails. A span that is new or shorter
//! begins anew for open connections that it would end at once.
//!
#![doc = include_str!("coming_from.md")]

mod document;
mod environment;
mod errors;
mod follow;
mod layers;
mod listeners;
mod passwords;
mod paths;
mod plan;
mod profiles;
mod resolved;
mod salvage;
mod secret;
mod sources;
mod template;
mod tree;
mod tunnels;
mod typed;
pub mod units;
mod warnings;
mod words;

pub use errors::{SettingsError, SettingsErrors};
pub use passwords::HashedPasswords;
pub use plan::{AuthenticationPlan, MonitorPlan, Plan};
pub use resolved::Resolved;
pub use secret::Secret;
pub use sources::Sources;
pub use template::{environment_template, schema, template};
pub use tree::*;

use document::Node;

/// What is built in is well formed, as tests show.
fn built_in(text: &str) -> Result<Node, SettingsErrors> {
    let mut node = Node::read("profile", text)?;
    node.forget_lines();
    Ok(node)
}
