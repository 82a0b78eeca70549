//! Facts and messages between shards, as values and as text.

mod everywhere;
mod host_news;
mod input;
pub(crate) mod record;
mod room_message;
mod shard;

pub use everywhere::{Claim, ClusterAnswer, EndTarget, EndedEverywhere};
pub(crate) use host_news::HostNews;
pub use host_news::{ClusterHost, HostReport};
pub(crate) use input::Fact;
pub use input::{Command, Input, Refusal};
pub use room_message::{
    HistoryPage, HistoryRange, PresencePage, PresentName, PublishRefusal, Published, RoomAnswer, RoomMessage,
};
pub use shard::{Addressee, Shard, ShardError, ShardMessage};
