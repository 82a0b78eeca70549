//! The end of channels: sent data still arrives, and the other side closes first if possible.
//!
//! russh 0.65 never frees a channel that the client closes first: it treats the close from the
//! other side as one for an unknown channel, and keeps about 3.5 KiB until the SSH connection ends.
//! So the client ends only its half, and the SSH server closes the channel once its peer has left.
//!
//! The client closes first if the peer keeps sending, if many other channels wait, or if the server
//! drains. It counts such closes, and the SSH connection is renewed before there are too many.

use super::farewell::{Farewell, Goodbye};
use super::forwarded::Forwarded;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Maximum time for sent data to arrive after its connection has ended.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// The capacity of russh's message queue, plus one.
///
/// Once russh has accepted this many messages after another, it has sent that other one.
const QUEUED_MAX: usize = 11;
/// Maximum number of channels that wait for their peers without a time limit.
///
/// Each uses a descriptor of the SSH server.
const FEW: usize = 256;
/// Maximum time that a channel waits for its peer while more than [`FEW`] channels wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// Maximum number of channels that wait for their peers.
const MANY: usize = 1024;
/// Ends channels on request, until the SSH connection ends.
pub(super) async fn say_goodbyes(mut farewells: mpsc::UnboundedReceiver<Farewell>, forwarded: Arc<Forwarded>) {
    let mut saying = JoinSet::new();
    // Oldest first: since when each channel waits, and a sender whose drop ends the wait.
    let mut waiting: BTreeMap<u64, (Instant, oneshot::Sender<()>)> = BTreeMap::new();
    let mut number = 0;
    let mut last = None;
    loop {
        let overdue = waiting.first_key_value().map(|(_, (since, _))| *since + PATIENCE);
        tokio::select! {
            farewell = farewells.recv() => match farewell {
                None => return,
                Some(Farewell::One(goodbye)) => {
                    number += 1;
                    last = Some(Arc::clone(&goodbye.half));
                    let (hurry, hurried) = oneshot::channel();
                    waiting.insert(number, (Instant::now(), hurry));
                    // Not awaited here: this channel may wait for one behind it in the queue.
                    saying.spawn(say_goodbye(number, goodbye, hurried, Arc::clone(&forwarded)));
                    if waiting.len() > MANY {
                        waiting.pop_first();
                    }
                }
                Some(Farewell::Done(tell)) => {
                    waiting.clear();
                    while saying.join_next().await.is_some() {}
                    // Once these are accepted, the last message was sent. They have no effect on a
                    // closed channel.
                    if let Some(half) = &last {
                        for _ in 0..QUEUED_MAX {
                            let _ = half.close().await;
                        }
                    }
                    let _ = tell.send(());
                }
            },
            Some(said) = saying.join_next() => {
                // A hurried channel was removed already.
                said.ok().and_then(|number| waiting.remove(&number));
            }
            () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() && waiting.len() > FEW => {
                waiting.pop_first();
            }
        }
    }
}

async fn say_goodbye(number: u64, goodbye: Goodbye, hurried: oneshot::Receiver<()>, forwarded: Arc<Forwarded>) -> u64 {
    let Goodbye { id, half, inbox, sending, waits, dismissed } = goodbye;
    let _ = timeout(GOODBYE_MAX, async {
        if let Some(sending) = sending {
            let _ = sending.await;
        }
        let _ = half.eof().await;
        if waits {
            inbox.closed().await;
        }
    })
    .await;
    tokio::select! {
        biased;
        () = inbox.closed() => {}
        () = inbox.pestered() => {}
        // The sender never sends. It is dropped.
        _ = hurried => {}
    }
    forwarded.forget(id);
    if !inbox.is_closed() {
        forwarded.wear.close_first();
    }
    if dismissed {
        forwarded.wear.dismissed.fetch_sub(1, Ordering::Relaxed);
    }
    let _ = half.close().await;
    number
}
