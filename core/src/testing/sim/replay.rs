//! Replay of a run's facts on new machines.

use super::digest::Digest;
use super::watch::Watch;
use super::{Actor, World};
use crate::config::Config;
use crate::facts::record::parse_with;
use crate::facts::{Input, Shard};
use crate::handler::Handler;
use crate::machine::Machine;
use crate::tls::Tls;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

impl<H: Handler, A: Actor> World<H, A>
where
    H::Note: fmt::Display + FromStr,
{
    /// Replays each shard's trace on a new machine, and compares events, written bytes and metrics.
    ///
    /// `handler` creates the handler of each shard. Bytes are not compared if a listener or a dial has TLS.
    /// The handlers must give their dials [`ClientTls::external`](crate::tls::ClientTls::external).
    ///
    /// Does nothing after [`lose_writes`](Self::lose_writes), because that is in no trace.
    ///
    /// # Panics
    /// If anything differs.
    pub fn replay(&self, mut handler: impl FnMut(Shard) -> H) {
        if self.has_lost_writes {
            return;
        }
        for node in &self.nodes {
            let shard = node.machine.which_shard();
            let mut configs = node.configs.iter().map(plain);
            let Some(first) = configs.next() else { continue };
            let mut machine = Machine::shard(first, Watch::new(handler(shard)), shard);
            let mut written = Digest::default();
            let facts = parse_with::<H::Note>(node.machine.recorded(), configs).map_err(|error| error.to_string());
            let wrong = facts.as_ref().err().map_or("", String::as_str);
            self.promise(wrong.is_empty(), &format!("a recorded trace can be parsed: {wrong}"));
            for (now, input) in facts.unwrap_or_default() {
                if let Input::Wrote { conn, bytes } = input
                    && let Some(intent) = machine.intent(conn)
                {
                    written.mix_first(bytes, intent.transmit.slices());
                }
                let _ = machine.apply(now, input);
                while machine.next_shard_message().is_some() || machine.take_job().is_some() {}
            }
            let told = machine.handler().digest() == node.machine.handler().digest();
            self.promise(told, &format!("a replay emits the same events to shard {}", shard.number()));
            self.promise(node.has_tls() || written == node.written, "a replay writes the same bytes");
            let counted = |machine: &Machine<Watch<H>>| format!("{:?}", machine.metrics());
            let (replayed, counted) = (counted(&machine), counted(&node.machine));
            self.promise(
                replayed == counted,
                &format!("a replay has the same metrics: {}", difference(&counted, &replayed)),
            );
        }
    }
}

/// Returns a description of the first difference between two lists of metrics.
fn difference(one: &str, other: &str) -> String {
    let words = || one.split_inclusive(", ").zip(other.split_inclusive(", "));
    words()
        .find(|(one, other)| one != other)
        .map_or_else(String::new, |(one, other)| format!("the run has {one}, the replay {other}"))
}

/// Returns a copy of a configuration in which external TLS replaces TLS.
///
/// The reason is that a trace contains decrypted bytes.
fn plain(config: &Config) -> Config {
    let mut config = config.clone();
    for listen in &mut config.listeners {
        if let Some(tls) = &mut listen.tls {
            let mut plain = Tls::external();
            (plain.handshake_timeout, plain.expires_at) = (tls.handshake_timeout, tls.expires_at);
            *tls = plain;
        }
    }
    config
}
