//! Facts and intentions of reverse tunnels.

use super::Machine;
use crate::base::Time;
use crate::facts::Fact;
use crate::handler::{Event, Handler};
use crate::state::State;
use crate::tunnel::{LinkId, TunnelIntent, TunnelReport, TunnelStatus};

impl<H: Handler> Machine<H> {
    /// Handles a report about one of the SSH connections in [`tunnels`](Self::tunnels).
    ///
    /// Peers that connect at its far side are reported to [`accepted`](Self::accepted), with the
    /// listener of that address.
    pub fn tunnel_reported(&mut self, now: Time, link: LinkId, report: &TunnelReport) {
        self.begin(now, &Fact::TunnelReported { link, report });
        let State { tunnels, random, now, .. } = &mut self.state;
        let refused = tunnels.reported(*now, link, report, random);
        self.state.note_tunnels();
        self.settle();
        if let Some((tunnel, words)) = refused {
            self.emit(Event::ChannelRefused { tunnel: &tunnel, words: &words });
        }
    }

    /// Returns the SSH connections that the shell should make, keep, or close in an orderly way.
    ///
    /// Connections that are no longer listed must be dropped at once.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelIntent> + '_ {
        self.state.tunnels.intents()
    }

    /// Returns the status of each tunnel. On a server of several shards, only the first has any.
    pub fn tunnel_statuses(&self) -> impl Iterator<Item = TunnelStatus> + '_ {
        self.state.tunnel_statuses()
    }

    /// Returns a version that changes whenever [`tunnels`](Self::tunnels) may have changed.
    #[must_use]
    pub fn tunnels_version(&self) -> u64 {
        self.state.tunnels.version()
    }

    pub(super) fn pass_time_for_tunnels(&mut self) {
        let State { tunnels, random, now, .. } = &mut self.state;
        if tunnels.next().is_none_or(|at| at > *now) {
            return;
        }
        tunnels.elapsed(*now, random);
        self.state.note_tunnels();
        self.settle();
    }
}
