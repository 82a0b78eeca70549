//! What a machine does beside its work, switched on one at a time.

use drupe_core::trace::FlightRecorder;
use drupe_core::{Config, Event, Handler, Hub, Listen, Machine, PeerLimits};

/// One thing that a machine does beside its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extra {
    /// All of the others are off.
    None,
    /// Limits of connections, also for each address.
    Connections,
    /// Rates of messages and bytes.
    Rates,
    /// The idle timeout, its warning, silence and lifetime, as far as they are on by default.
    Timeouts,
    /// The default configuration.
    Defaults,
    /// The monitor watches one connection.
    Watch,
    /// The flight recorder.
    Recorder,
}

impl Extra {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Connections, Self::Rates, Self::Timeouts, Self::Defaults, Self::Watch, Self::Recorder];

    /// Returns the name for tables and arguments.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Connections => "connections",
            Self::Rates => "rates",
            Self::Timeouts => "timeouts",
            Self::Defaults => "defaults",
            Self::Watch => "watch",
            Self::Recorder => "recorder",
        }
    }

    /// Returns the one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extra| extra.name() == name)
    }

    pub(crate) fn config(self, listen: Listen) -> Config {
        let default = Config::listening([listen]).seed(Some(1));
        if self == Self::Defaults {
            return default;
        }
        let (connections, peer) = (default.connections, PeerLimits::default());
        let none = default.unlimited().idle(None).idle_warning(None).silence(None).lifetime(None);
        match self {
            Self::Connections => none.connections(connections),
            Self::Rates => none.rates(peer.rates),
            Self::Timeouts => {
                none.idle(peer.idle).idle_warning(peer.idle_warning).silence(peer.silence).lifetime(peer.lifetime)
            }
            Self::None | Self::Defaults | Self::Watch | Self::Recorder => none,
        }
    }

    pub(crate) const fn handler<H>(self, handler: H) -> Watching<H> {
        Watching { handler, watches: matches!(self, Self::Watch) }
    }

    pub(crate) fn record<H: Handler>(self, machine: &mut Machine<H>) {
        if self == Self::Recorder {
            machine.record(FlightRecorder::new(8 << 20).recorder(0));
        }
    }
}

/// A handler that may watch the first connection, as the monitor does.
pub(crate) struct Watching<H> {
    handler: H,
    watches: bool,
}

impl<H: Handler> Handler for Watching<H> {
    type Context = H::Context;
    type Note = H::Note;

    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>) {
        if let Event::Opened { conn, .. } = event
            && core::mem::take(&mut self.watches)
        {
            hub.watch(conn, true);
        }
        self.handler.on(hub, event);
    }
}
