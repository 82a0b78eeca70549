//! Detects worlds that never end, because a world cannot detect that itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Aborts the process and prints the seed when one world runs for over two minutes.
pub(crate) struct Watchdog {
    /// The number of worlds that have begun, and the seed of the last one.
    state: Arc<(AtomicU64, AtomicU64)>,
}

const LONGEST: Duration = Duration::from_secs(120);

impl Watchdog {
    pub(crate) fn start() -> Self {
        let state = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let watched = Arc::downgrade(&state);
        std::thread::spawn(move || {
            let mut last = 0;
            loop {
                std::thread::park_timeout(LONGEST);
                let Some(state) = watched.upgrade() else { return };
                let begun = state.0.load(Ordering::SeqCst);
                if begun == last && begun > 0 {
                    eprintln!("seed {}: the world does not end", state.1.load(Ordering::SeqCst));
                    std::process::abort();
                }
                last = begun;
            }
        });
        Self { state }
    }

    pub(crate) fn begin(&self, seed: u64) {
        self.state.1.store(seed, Ordering::SeqCst);
        self.state.0.fetch_add(1, Ordering::SeqCst);
    }
}
