//! The HTTP API for backends: `POST /api/METHOD` with a JSON object, as Centrifugo has it.
//!
//! The listener has checked the [key](crate::http::Http::api). The answer is
//! `{"result":...}` or `{"error":{"code":...,"message":...}}`, with the status 200 in both cases. A body
//! that is no JSON object gets the status 400, an unknown method 404.
//!
//! | method | takes | gives |
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
//! # Bounds
//!
//! A call does at most 1,000 things: channels of a `broadcast` and commands of a `batch` count. It copies
//! at most 16 MiB of data into messages. An answer has at most 512 KiB, and `channels` and `presence` at
//! most 10,000 entries; what is longer is the error 106. `history` gives at most as many messages as
//! clients get, unless `limit` is less.
//!
//! # Order
//!
//! What a call does begins in the order in which it is written, and the calls of one connection follow
//! each other. `subscribe`, `unsubscribe`, `disconnect` and `refresh` are answered once all workers have
//! done it, so what is published after the answer reaches who was subscribed before it.

mod across;
mod call;
mod channels;
mod clients;
mod gathered;
mod methods;
mod pattern;
#[cfg(test)]
mod tests;

pub(super) use across::TOPIC;
pub(super) use call::{Call, Place};
