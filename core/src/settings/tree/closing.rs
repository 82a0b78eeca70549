//! Closing a connection, and draining the server.

use super::declare::settings;
use super::values::{count, secs};
use crate::settings::units::{Maybe, Size, Span};
use core::num::NonZeroU32;
use core::time::Duration;

settings! {
    /// How a connection ends.
    ClosingSettings {
        /// How long what waits may take to be written; with 0s what the socket does not take at once is dropped.
        flush: Span = secs(5);
        /// How long the peer may take to close its half; with 0s it is not waited for.
        linger: Span = secs(2);
        /// How much is read and discarded meanwhile; with 0B a peer that still sends is cut off.
        discard_max: Size = Size(1 << 20);
    }

    /// How the server ends.
    DrainSettings {
        /// How long it accepts while it says that it is not ready; with 0s it stops at once.
        grace: Span = Span(Duration::ZERO);
        /// The longest time that closes are spread over; with 0s all are closed at once. At most `deadline`.
        window: Span = secs(5);
        /// How many closes a second are enough.
        closes_per_second: NonZeroU32 = count(500);
        /// After this long what is left is dropped; with 0s at once.
        deadline: Span = secs(10);
        /// After which time peers are told to come back.
        retry_after: Maybe<Span> = Maybe(None);
    }
}
