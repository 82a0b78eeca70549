//! Time in which the server did not run: it was stopped, its host slept, or a worker was busy.
//!
//! A shell calls [`elapsed`](crate::Machine::elapsed) at the deadline. If the next fact comes much
//! later than the deadline, nothing was served meanwhile: no byte was read or written, and no ping
//! was sent. Peers did not cause this, and their input has not been read yet, so the time does not
//! count against them:
//!
//! | deadline | after a pause |
//! |---|---|
//! | handshakes (also of TLS on an open connection), messages, `idle`, `silence`, write deadlines, `closing`, attempts to connect, tunnels | later by the length of the pause; then at least the length of the pause remains, or the whole timeout if that is shorter |
//! | tickets, also of HTTP requests, timers of a connection | later by the length of the pause, and at least one second from now |
//! | the end of a drain | later by the length of the pause |
//! | pings, telnet keep-alive, keep-alive requests of a tunnel | at once, if they were due during the pause |
//! | timers of no connection, `lifetime`, expiry of tokens, rates, quarantine, backoff, the grace and the closes of a drain | unchanged |
//!
//! At least the length of the pause remains because the network may have been down as well: TCP
//! retransmits after waits that double (RFC 6298 section 5.5), so lost data arrives within about
//! the same time.

use crate::base::Time;
use core::time::Duration;

/// Longest delay of a shell that does not count as a pause: the shell was only busy.
pub(crate) const PAUSE_MIN: Duration = Duration::from_secs(1);

/// A pause that has just ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub(crate) now: Time,
    /// Length of the pause, as far as it is known.
    pub(crate) length: Duration,
}

impl Pause {
    /// Returns the postponed deadline `at`. `span` is the whole length of its time limit.
    pub(crate) fn postpone(self, at: Time, span: Duration) -> Time {
        (at + self.length).max(self.now + self.length.min(span))
    }

    /// Returns the postponed start `since` of a time limit with the length `span`.
    pub(super) fn begin_later(self, since: Time, span: Duration) -> Time {
        let missing = span.saturating_sub(self.length);
        let begin = self.now.minus_nanos(u64::try_from(missing.as_nanos()).unwrap_or(u64::MAX));
        (since + self.length).max(begin).min(self.now)
    }
}
