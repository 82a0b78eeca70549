//! How channels end: what was sent still arrives, and the other side closes first where it can be had.
//!
//! russh 0.65 never forgets a channel that we close first: it takes the other side's answer for that of a channel that is not
//! there, and some 3.5 KiB stay until the SSH connection ends. So only our half is ended, and the SSH server closes the channel
//! once its peer has gone. Who does not go has its channel closed all the same: if it goes on sending, if many others wait, or
//! if the server drains. How often that happens is counted, and the SSH connection is renewed before it is too often.

use super::channel::Sending;
use super::handler::Forwarded;
use super::inbox::Inbox;
use russh::client::Msg;
use russh::{ChannelId, ChannelWriteHalf};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// How long what was taken from a connection that is over may be on its way.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// How many words for channels russh keeps waiting, and one more: when so many were taken behind one, that one is gone.
const QUEUED_MAX: usize = 11;
/// So many peers that are not let in are told why at a time; others are refused without a word, which leaves nothing behind.
const DISMISSED_MAX: usize = 256;
/// So many peers may take as long as they want to go. Each keeps a descriptor of the SSH server.
const FEW: usize = 256;
/// If more wait, those who have waited longer than this wait no more.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than this never wait.
const MANY: usize = 1024;
/// How often a channel may be closed first before the SSH connection is renewed: once nobody uses it, and in any case.
const WORN: usize = 4096;
const WORN_OUT: usize = 16_384;

/// A channel that the server has no use for any more. What was taken still goes out.
pub(super) struct Goodbye {
    pub(super) id: ChannelId,
    pub(super) half: Arc<ChannelWriteHalf<Msg>>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) sending: Option<Sending>,
    /// Until the other side has written all of it.
    pub(super) waits: bool,
    /// Its peer was not let in, and is told why.
    pub(super) dismissed: bool,
}

/// What is done with channels that are of no use any more.
pub(super) enum Farewell {
    One(Goodbye),
    /// Close all, and tell when they are gone.
    Done(oneshot::Sender<()>),
}

/// What the channels of one SSH connection have cost it.
#[derive(Debug, Default)]
pub(super) struct Wear {
    /// Channels that the server uses.
    used: AtomicUsize,
    /// Channels whose peers are told why they are not let in.
    dismissed: AtomicUsize,
    /// Channels that we closed first.
    closed_first: AtomicUsize,
    renewal: Notify,
}

impl Wear {
    pub(super) fn begin(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    /// A channel is not used any more.
    pub(super) fn end(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
        self.check();
    }

    /// Whether another peer that is not let in may be told why.
    pub(super) fn may_tell(&self) -> bool {
        let more = |told| (told < DISMISSED_MAX).then_some(told + 1);
        self.dismissed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Waits until the SSH connection is to be renewed.
    pub(super) async fn renewal(&self) {
        self.renewal.notified().await;
    }

    /// How many channels we closed first.
    pub(super) fn closed_first(&self) -> usize {
        self.closed_first.load(Ordering::Relaxed)
    }

    fn close_first(&self) {
        self.closed_first.fetch_add(1, Ordering::Relaxed);
        self.check();
    }

    fn check(&self) {
        let count = self.closed_first();
        if count >= WORN_OUT || count >= WORN && self.used.load(Ordering::Relaxed) == 0 {
            self.renewal.notify_one();
        }
    }
}

/// Ends channels until the SSH connection does.
pub(super) async fn say_goodbyes(mut farewells: mpsc::UnboundedReceiver<Farewell>, forwarded: Arc<Forwarded>) {
    let mut saying = JoinSet::new();
    // By number, oldest first: since when it waits, and what ends that.
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
                    // Nothing is waited for here: what is behind in the line may be what this one waits for.
                    saying.spawn(say_goodbye(number, goodbye, hurried, Arc::clone(&forwarded)));
                    if waiting.len() > MANY {
                        waiting.pop_first();
                    }
                }
                Some(Farewell::Done(tell)) => {
                    waiting.clear();
                    while saying.join_next().await.is_some() {}
                    // What was said last is behind these words, which mean nothing on a channel that is closed.
                    if let Some(half) = &last {
                        for _ in 0..QUEUED_MAX {
                            let _ = half.close().await;
                        }
                    }
                    let _ = tell.send(());
                }
            },
            Some(said) = saying.join_next() => {
                // It is none of those that wait if it was hurried.
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
        // The other end is only ever dropped.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connection_is_renewed_when_unused_or_worn_out() {
        let is_due = async |wear: &Wear| timeout(Duration::ZERO, wear.renewal()).await.is_ok();
        let wear = Wear::default();
        wear.begin();
        (0..WORN).for_each(|_| wear.close_first());
        assert!(!is_due(&wear).await, "somebody uses it");
        wear.end();
        assert!(is_due(&wear).await);
        let wear = Wear::default();
        wear.begin();
        (0..WORN_OUT - 1).for_each(|_| wear.close_first());
        assert!(!is_due(&wear).await);
        wear.close_first();
        assert!(is_due(&wear).await);
    }

    #[test]
    fn only_so_many_are_told_at_a_time() {
        let wear = Wear::default();
        assert_eq!((0..2 * DISMISSED_MAX).filter(|_| wear.may_tell()).count(), DISMISSED_MAX);
    }
}
