//! Facts and messages between shards, as values and as text.

mod input;
pub(crate) mod record;
mod shard;

pub(crate) use input::Fact;
pub use input::{Command, Input, Refusal};
pub use shard::{Addressee, Shard, ShardError, ShardMessage};
