//! Settings for closing a connection and for draining the server.

use super::declare::settings;
use super::values::{count, secs};
use crate::settings::units::{Maybe, Size, Span};
use core::num::NonZeroU32;
use core::time::Duration;

settings! {
    /// How a connection closes.
    ClosingSettings {
        /// Time limit for flushing queued output; with 0s, what the socket does not accept at once
        /// is lost.
        flush: Span = secs(5);
        /// How long to wait for the peer to close its half; with 0s, the server does not wait.
        linger: Span = secs(2);
        /// Bytes that are read and discarded meanwhile at full speed; with 0B, a peer that still
        /// sends is cut off.
        discard_max: Size = Size(1 << 20);
    }

    /// How the server shuts down.
    DrainSettings {
        /// How long the server still accepts connections after it reports that it is not ready;
        /// with 0s, it stops at once.
        grace: Span = Span(Duration::ZERO);
        /// Longest time over which closes are spread; with 0s, all connections close at once. At
        /// most `deadline`.
        window: Span = secs(5);
        /// Closes per second that are fast enough, so that few connections do not use the whole
        /// `window`.
        closes_per_second: NonZeroU32 = count(500);
        /// Time from the end of `grace` until remaining connections are dropped; with 0s, at once.
        deadline: Span = secs(10);
        /// When peers should reconnect; it is sent to them when the server shuts down.
        retry_after: Maybe<Span> = Maybe(None);
    }
}
