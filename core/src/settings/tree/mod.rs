//! All settings. The documentation of each key also appears in the template and the schema.

mod access;
mod choices;
mod closing;
mod cluster;
mod declare;
mod dials;
mod limits;
mod listeners;
mod operation;
mod pubsub;
mod relay;
mod rooms;
mod tokens;
mod tunnels;
mod values;

pub use access::*;
pub use choices::*;
pub use closing::*;
pub use cluster::*;
pub use dials::*;
pub use limits::*;
pub use listeners::*;
pub use operation::*;
pub use pubsub::*;
pub use relay::*;
pub use rooms::*;
pub use tokens::*;
pub use tunnels::*;

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::num::NonZeroU8;
use declare::settings;

settings! {
    /// A complete configuration.
    Settings {
        /// The purpose of the server; it determines the defaults of all other settings.
        profile: Profile = Profile::Development;
        /// Number of worker threads, 1 to 255.
        workers: NonZeroU8 = NonZeroU8::MIN;
        /// The listeners, by a name of your choice: letters, digits and `_`.
        listeners: BTreeMap<String, ListenerSettings> = BTreeMap::new();
        /// SSH connections to servers that forward ports to this server, by a name of your choice.
        /// A name consists of letters, digits and `_`.
        tunnels: BTreeMap<String, TunnelSettings> = BTreeMap::new();
        /// Limits on the number of connections, and on what one peer may send.
        /// A listener can override the latter.
        limits: LimitSettings = LimitSettings::default();
        /// Limits on the output that is queued for one connection, and on how slowly it may read.
        outbound: OutboundSettings = OutboundSettings::default();
        /// Temporary refusal of addresses.
        quarantine: QuarantineSettings = QuarantineSettings::default();
        /// Limits on rooms, and which rooms remember their messages.
        rooms: RoomSettings = RoomSettings::default();
        /// The broker through which several hosts share their rooms, such as `redis://127.0.0.1:6379`.
        /// It is the home of all rooms but those whose `home` in `rooms.options` is another.
        /// The value is a URL, or keys, one of which is `url`.
        cluster: Option<ClusterSettings> = None;
        /// How the server closes a connection.
        closing: ClosingSettings = ClosingSettings::default();
        /// How the server shuts down.
        drain: DrainSettings = DrainSettings::default();
        /// Authentication of peers.
        authentication: AuthenticationSettings = AuthenticationSettings::default();
        /// The monitor: the page and the API that show connections.
        monitor: MonitorSettings = MonitorSettings::default();
        /// The HTTP API of applications, for programs such as the backend of a web site.
        api: ApiSettings = ApiSettings::default();
        /// The metrics: labels, and the lists of recent errors and of durations.
        metrics: MetricsSettings = MetricsSettings::default();
        /// Logging: content, format and destination.
        log: LogSettings = LogSettings::default();
        /// The flight recorder. Without it, nothing is recorded.
        recorder: Option<RecorderSettings> = None;
    }
}
