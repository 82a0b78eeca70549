//! What lets the flight recorder write a recording unasked: memory above a bound, or a worker that does not answer.

use crate::flight::Flight;
use crate::process::resident_bytes;
use drupe_core::app::AppNote;
use drupe_shell::Remote;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, thread};

/// Interval at which the process and its workers are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Minimum time between two recordings with the same cause, so that they do not replace all earlier ones.
const WRITTEN_EVERY: Duration = Duration::from_secs(600);

/// Watches the process and its workers, on a thread of its own until the server ends.
pub(crate) fn watch(flight: Flight, remote: Remote<AppNote>) -> io::Result<()> {
    let memory_max = flight.settings.above.0.map(|size| size.0);
    let stuck_after = flight.settings.stuck_after.0.map(|span| span.0);
    if memory_max.is_none() && stuck_after.is_none() {
        return Ok(());
    }
    let mut memory = Cause::default();
    let mut stuck = Cause::default();
    let run = move || {
        loop {
            thread::sleep(LOOK_EVERY);
            if let Some(max) = memory_max {
                let bytes = resident_bytes().unwrap_or_default();
                if memory.is_new(bytes > max, Instant::now()) {
                    flight.save(&format!("the process has {} MiB in memory", bytes >> 20));
                }
            }
            if let Some(after) = stuck_after {
                // All workers answer together.
                let (send, answer) = mpsc::channel();
                if remote.metrics(move |_| send.send(()).unwrap_or_default()).is_err() {
                    return;
                }
                let is_stuck = answer.recv_timeout(after) == Err(mpsc::RecvTimeoutError::Timeout);
                if stuck.is_new(is_stuck, Instant::now()) {
                    flight.save(&format!("a worker has not answered for {after:?}"));
                }
                if is_stuck {
                    let _ = answer.recv();
                }
            }
        }
    };
    thread::Builder::new().name("recorder".into()).spawn(run).map(drop)
}

/// Whether a cause is there, and when a recording was last written because of it.
#[derive(Debug, Default)]
struct Cause {
    is_there: bool,
    written_at: Option<Instant>,
}

impl Cause {
    /// Returns `true` if the cause was not there before, and no recording was written for it lately.
    fn is_new(&mut self, is_there: bool, now: Instant) -> bool {
        let was_there = std::mem::replace(&mut self.is_there, is_there);
        let was_written = self.written_at.is_some_and(|at| now.duration_since(at) < WRITTEN_EVERY);
        let is_new = is_there && !was_there && !was_written;
        if is_new {
            self.written_at = Some(now);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_is_new_once_until_it_has_gone_and_some_time_has_passed() {
        let (mut cause, start) = (Cause::default(), Instant::now());
        for (seconds, is_there, expected) in [
            (0, false, false),
            (1, true, true),
            (2, true, false),
            (3, false, false),
            (4, true, false),
            (700, true, false),
            (701, false, false),
            (702, true, true),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(cause.is_new(is_there, now), expected, "after {seconds} s");
        }
    }
}
