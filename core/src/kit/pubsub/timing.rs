//! Rights that end, and the time to refresh them.

use super::session::Session;
use crate::handler::Hub;
use crate::state::Timer;
use core::time::Duration;

/// Time after its expiry in which a client may still refresh its token.
const GRACE: Duration = Duration::from_secs(25);

/// Returns the seconds until a time, or 0 if it is over or the server does not know the time.
pub(super) fn seconds_until(hub: &Hub<'_, Session>, at: u64) -> u64 {
    hub.unix_time().map_or(0, |now| at.saturating_sub(now.as_secs()))
}

/// Sets the timer of a right that ends, and gives the client time to refresh it.
pub(super) fn expire_at(hub: &mut Hub<'_, Session>, timer: Timer, at: Option<u64>) {
    match at {
        None => drop(hub.cancel(timer)),
        Some(at) => {
            let left = Duration::from_secs(seconds_until(hub, at));
            let is_stream = timer.conn.and_then(|conn| hub.context(conn)).is_some_and(|found| found.stream().is_some());
            // The client of a stream cannot send a new token.
            hub.wake(timer, if is_stream { left } else { left.saturating_add(GRACE) });
        }
    }
}
