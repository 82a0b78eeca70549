//! The queues of all shards of a server, for handles with notes of any type.

use super::Channel;
use super::queue::{DriverMessage, Shared};
use super::remote_error::RemoteError;
use super::tunnel::TunnelSnapshot;
use drupe_core::Metrics;
use std::sync::Arc;

/// The queues of the shards of a server.
pub(super) enum Queues<N> {
    /// The queues of a server whose notes have this type.
    Own(Arc<[Arc<Shared<N>>]>),
    /// The queues of a server whose notes have another type.
    Converted(Arc<dyn AnyQueues<N> + Send + Sync>),
}

/// The error of a message to an ended shard, with the channel of the message, if any.
pub(super) struct Unsent(pub(super) Option<Box<dyn Channel>>);

/// The operations of [`Queues`], by the number of the shard.
pub(super) trait AnyQueues<N> {
    /// Returns the number of shards.
    fn count(&self) -> usize;

    /// Queues a message. Fails if the queue is full or the shard has ended.
    fn put(&self, shard: usize, message: DriverMessage<N>) -> Result<(), RemoteError>;

    /// Queues a message even if the queue is full. Fails if the shard has ended.
    fn post(&self, shard: usize, message: DriverMessage<N>) -> Result<(), Unsent>;

    /// Returns the snapshot of the tunnels.
    fn board(&self) -> &Arc<TunnelSnapshot>;

    fn is_over(&self, shard: usize) -> bool;

    fn last_metrics(&self, shard: usize) -> Option<Metrics>;
}

impl<N> AnyQueues<N> for Arc<[Arc<Shared<N>>]> {
    fn count(&self) -> usize {
        self.len()
    }

    fn put(&self, shard: usize, message: DriverMessage<N>) -> Result<(), RemoteError> {
        // A shard that does not exist has ended.
        self.get(shard).map_or(Err(RemoteError::Ended), |shard| shard.put(message))
    }

    fn post(&self, shard: usize, message: DriverMessage<N>) -> Result<(), Unsent> {
        let Some(shard) = self.get(shard) else { return Err(Unsent(None)) };
        shard.post(message).map_err(|message| match message {
            DriverMessage::Channel(_, _, channel) => Unsent(Some(channel)),
            _ => Unsent(None),
        })
    }

    fn board(&self) -> &Arc<TunnelSnapshot> {
        // A server has at least one shard.
        &self[0].board
    }

    fn is_over(&self, shard: usize) -> bool {
        self.get(shard).is_none_or(|shard| shard.is_over())
    }

    fn last_metrics(&self, shard: usize) -> Option<Metrics> {
        self.get(shard)?.last_metrics()
    }
}

/// Queues for notes of type `M`, with the function that converts other notes to them.
struct Converted<M, F> {
    queues: Queues<M>,
    convert: F,
}

impl<N, M, F: Fn(N) -> M> AnyQueues<N> for Converted<M, F> {
    fn count(&self) -> usize {
        self.queues.any().count()
    }

    fn put(&self, shard: usize, message: DriverMessage<N>) -> Result<(), RemoteError> {
        self.queues.any().put(shard, message.with_notes(&self.convert))
    }

    fn post(&self, shard: usize, message: DriverMessage<N>) -> Result<(), Unsent> {
        self.queues.any().post(shard, message.with_notes(&self.convert))
    }

    fn board(&self) -> &Arc<TunnelSnapshot> {
        self.queues.any().board()
    }

    fn is_over(&self, shard: usize) -> bool {
        self.queues.any().is_over(shard)
    }

    fn last_metrics(&self, shard: usize) -> Option<Metrics> {
        self.queues.any().last_metrics(shard)
    }
}

impl<N> Queues<N> {
    pub(super) fn any(&self) -> &dyn AnyQueues<N> {
        match self {
            Self::Own(shards) => shards,
            Self::Converted(queues) => &**queues,
        }
    }

    /// Returns a handle to the queues that takes notes of another type, and converts them.
    pub(super) fn converting<O>(&self, convert: impl Fn(O) -> N + Send + Sync + 'static) -> Queues<O>
    where
        N: Send + 'static,
    {
        Queues::Converted(Arc::new(Converted { queues: self.clone(), convert }))
    }
}

impl<N> Clone for Queues<N> {
    fn clone(&self) -> Self {
        match self {
            Self::Own(shards) => Self::Own(Arc::clone(shards)),
            Self::Converted(queues) => Self::Converted(Arc::clone(queues)),
        }
    }
}
