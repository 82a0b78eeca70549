//! Settings for closing a connection and for draining the server.

use super::declare::settings;
use super::values::{count, secs};
use crate::settings::units::{Maybe, Size, Span};
use core::num::NonZeroU32;
use core::time::Duration;

settings! {
    /// How the server closes a connection.
    ClosingSettings {
        /// Time limit for flushing queued output.
        /// With 0s, what the socket does not accept at once is lost.
        flush: Span = secs(5);
        /// How long to wait for the peer to close its half; with 0s, the server does not wait.
        linger: Span = secs(2);
        /// Bytes of a closing connection that the server reads and discards at full speed.
        /// After that, it reads at the rate `bytes` of the peer's limits, or at 4MiB/s without one.
        discard_max: Size = Size(1 << 20);
    }

    /// How the server shuts down.
    DrainSettings {
        /// How long the server still accepts connections after it reports that it is not ready.
        /// With 0s, it stops at once.
        grace: Span = Span(Duration::ZERO);
        /// Longest time over which closes are spread, at most `deadline`.
        /// With 0s, all connections close at once.
        window: Span = secs(5);
        /// Lowest rate of closes, per second; few connections then close in less than `window`.
        closes_per_second: NonZeroU32 = count(500);
        /// Time from the end of `grace` until remaining connections are dropped; with 0s, at once.
        deadline: Span = secs(10);
        /// Time after which peers should reconnect; the server sends it to them when it shuts down.
        retry_after: Maybe<Span> = Maybe(None);
    }
}
