//! Channel counts that decide when to renew an SSH connection, to free russh's memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Maximum number of refused peers that are sent a reason at the same time.
///
/// Further ones are refused without a reason, which leaves nothing behind.
const DISMISSED_MAX: usize = 256;
/// Number of channels closed first by the client at which an unused SSH connection is renewed.
const WORN: usize = 4096;
/// Number of channels closed first by the client at which the SSH connection is renewed at once.
const WORN_OUT: usize = 16_384;

/// The counts that decide when an SSH connection is renewed.
#[derive(Debug, Default)]
pub(super) struct Wear {
    /// Number of channels that the server uses.
    used: AtomicUsize,
    /// Number of channels whose peers were refused and are sent the reason.
    pub(super) dismissed: AtomicUsize,
    /// Number of channels that the client closed first.
    closed_first: AtomicUsize,
    renewal: Notify,
}

impl Wear {
    pub(super) fn begin(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the server no longer uses a channel.
    pub(super) fn end(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
        self.check();
    }

    /// Counts another refused peer that is sent the reason. Returns `false` if there are too many.
    pub(super) fn may_tell(&self) -> bool {
        let more = |told| (told < DISMISSED_MAX).then_some(told + 1);
        self.dismissed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Waits until the SSH connection must be renewed.
    pub(super) async fn renewal(&self) {
        self.renewal.notified().await;
    }

    /// Returns the number of channels that the client closed first.
    pub(super) fn closed_first(&self) -> usize {
        self.closed_first.load(Ordering::Relaxed)
    }

    pub(super) fn close_first(&self) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn connection_is_renewed_when_unused_or_worn_out() {
        let is_due = async |wear: &Wear| timeout(Duration::ZERO, wear.renewal()).await.is_ok();
        let wear = Wear::default();
        wear.begin();
        (0..WORN).for_each(|_| wear.close_first());
        assert!(!is_due(&wear).await, "a channel is in use");
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
    fn concurrent_refusal_notices_are_bounded() {
        let wear = Wear::default();
        assert_eq!((0..2 * DISMISSED_MAX).filter(|_| wear.may_tell()).count(), DISMISSED_MAX);
    }
}
