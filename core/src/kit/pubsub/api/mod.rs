//! The HTTP API for backends: `POST /api/METHOD` with a JSON object, compatible with Centrifugo's.
//!
//! The listener has checked the [key](crate::http::Http::api). The answer is
//! `{"result":...}` or `{"error":{"code":...,"message":...}}`, with the status 200 in both cases. A request
//! that is not a `POST`, or whose body is not a JSON object, gets the status 400. An unknown method gets
//! 404.
//!
//! | method | fields | result |
//! |---|---|---|
//! | `publish` | `channel`, `data` or `b64data`, `tags`, `idempotency_key` | `offset`, `epoch` |
//! | `broadcast` | `channels`, otherwise as `publish` | `responses` |
//! | `subscribe` | `user`, `channel`, `client`, `info`, `data`, `recover_since`, `expire_at` | |
//! | `unsubscribe` | `user`, `channel`, `client` | |
//! | `disconnect` | `user`, `client`, `whitelist`, `disconnect` | |
//! | `refresh` | `user`, `client`, `expired`, `expire_at`, `info` | |
//! | `presence`, `presence_stats` | `channel` | as clients get it |
//! | `history` | `channel`, `limit`, `since`, `reverse` | as clients get it |
//! | `history_remove` | `channel` | |
//! | `channels` | `pattern`, in which `*` stands for any characters and `?` for one | `channels`: of each, `num_clients`, and `offset` if it has a history |
//! | `info` | | `nodes`: one for each worker |
//! | `rpc` | `method`, `params` | `data` |
//! | `batch` | `commands` | `replies`, not within `result` |
//!
//! `subscribe`, `unsubscribe`, `disconnect` and `refresh` apply to all connections of `user`, or to the one
//! of them with the identifier `client`. An anonymous client has an empty `user`.
//!
//! # Limits
//!
//! If a call exceeds one of these, its result is the error 106:
//!
//! - 1,000 parts in a call. A channel of a `broadcast` and a command of a `batch` are a part each.
//! - 16 MiB of copies: the length of a `broadcast` times its number of channels.
//! - 448 KiB of results, and 512 KiB for the whole answer.
//! - 10,000 entries in `channels`, `presence` and `presence_stats`.
//!
//! `history` returns at most `limit` messages,
//! [`history_page_max`](super::PubSubOptions::history_page_max) messages and 256 KiB, but at least one
//! message if `limit` is not 0. With the `limit` 0, it returns the position only. A negative `limit` is no
//! limit.
//!
//! # Order
//!
//! The parts of a call begin in the order in which they are written. The calls of one connection run one
//! after the other. `subscribe`, `unsubscribe`, `disconnect` and `refresh` are answered once all workers
//! have run them, and all hosts of a cluster that answer within 2 s. So a message that is published after
//! the answer reaches the clients that `subscribe` added. The result of `disconnect` has the number of
//! `connections` that it ended, of `hosts` that answered, and of `hosts_known`.

mod across;
mod call;
mod channels;
mod clients;
mod gathered;
mod host_calls;
mod hosts;
mod methods;
mod pattern;
#[cfg(test)]
mod tests;

pub(super) use across::TOPIC;
pub(super) use call::{Call, Place};
pub(super) use host_calls::HostCalls;
