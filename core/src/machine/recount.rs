//! Checks for tests: every gauge is what a recount gives.

use super::Machine;
use crate::handler::Handler;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl<H: Handler> Machine<H> {
    /// Recounts every gauge from the tables, and checks what the tables must have in common. To be called between two facts.
    ///
    /// No table has an entry of a connection that is gone, so a machine without connections is empty. For tests: it walks
    /// everything there is. Needs the feature `sim`.
    ///
    /// # Errors
    /// The first thing that is wrong, in words.
    pub fn recount(&self) -> Result<(), String> {
        self.state.recount()?;
        #[cfg(feature = "tls")]
        self.recount_sessions()?;
        Ok(())
    }

    /// As [`recount`](Self::recount) for all shards of one server, and what the first one counts for all. Every letter must have
    /// been delivered.
    ///
    /// # Errors
    /// The first thing that is wrong, in words.
    pub fn recount_shards(shards: &[&Self]) -> Result<(), String> {
        for shard in shards {
            let number = shard.state.post.shard.number();
            shard.recount().map_err(|wrong| format!("shard {number}: {wrong}"))?;
        }
        let states: Vec<_> = shards.iter().map(|shard| &shard.state).collect();
        let first = states.iter().find(|state| state.post.shard.number() == 0);
        first.map_or(Ok(()), |first| first.recount_admission(&states))
    }
}
