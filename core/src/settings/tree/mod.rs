//! What can be configured. The documentation of each field is what templates and the schema say of it.

mod access;
mod choices;
mod closing;
mod declare;
mod limits;
mod listeners;
mod operation;
mod tunnels;
mod values;

pub use access::*;
pub use choices::*;
pub use closing::*;
pub use limits::*;
pub use listeners::*;
pub use operation::*;
pub use tunnels::*;

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::num::NonZeroU8;
use declare::settings;

settings! {
    /// Everything that can be configured.
    Settings {
        /// What the server is for: the defaults of everything else follow from it.
        profile: Profile = Profile::Development;
        /// How many threads serve, 1 to 255. The chat runs on one.
        workers: NonZeroU8 = NonZeroU8::MIN;
        /// What the relay puts each message into.
        envelope: EnvelopeChoice = EnvelopeChoice::None;
        /// Where the server listens, by a name of your choice: letters, digits and `_`.
        listeners: BTreeMap<String, ListenerSettings> = BTreeMap::new();
        /// SSH connections to servers that listen for this one, by a name of your choice: letters, digits and `_`.
        tunnels: BTreeMap<String, TunnelSettings> = BTreeMap::new();
        /// How many connections, and what one may send. A listener can have its own.
        limits: LimitSettings = LimitSettings::default();
        /// What may wait for one connection, and how slow it may be.
        outbound: OutboundSettings = OutboundSettings::default();
        /// Addresses that are refused for a while.
        quarantine: QuarantineSettings = QuarantineSettings::default();
        /// Rooms.
        rooms: RoomSettings = RoomSettings::default();
        /// How a connection ends.
        closing: ClosingSettings = ClosingSettings::default();
        /// How the server ends.
        drain: DrainSettings = DrainSettings::default();
        /// Who may come in.
        authentication: AuthenticationSettings = AuthenticationSettings::default();
        /// The page and the API that show who is connected.
        monitor: MonitorSettings = MonitorSettings::default();
        /// What is logged, how and where.
        log: LogSettings = LogSettings::default();
    }
}
