//! Facts and messages between shards, as values and as text.

mod input;
pub(crate) mod record;
mod shard;

pub(crate) use input::Fact;
pub use input::{Input, Refusal, Command};
pub use shard::{Addressee, ShardMessage, Shard, ShardError};
