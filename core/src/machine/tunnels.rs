//! Facts and intentions of reverse tunnels.

use super::Machine;
use crate::base::Time;
use crate::facts::Fact;
use crate::handler::{Event, Handler};
use crate::state::State;
use crate::tunnel::{LinkId, TunnelIntent, TunnelReport, TunnelStatus};

impl<H: Handler> Machine<H> {
    /// Something happened to an SSH connection that [`tunnels`](Self::tunnels) shows. Whoever connects at its other side is told as
    /// [`accepted`](Self::accepted), by the listener whose place it is.
    pub fn tunnel_reported(&mut self, now: Time, link: LinkId, report: &TunnelReport) {
        self.begin(now, &Fact::TunnelReported { link, report });
        let State { tunnels, random, now, .. } = &mut self.state;
        let refused = tunnels.reported(*now, link, report, random);
        self.state.note_tunnels();
        self.settle();
        if let Some((tunnel, words)) = refused {
            self.tell(Event::ChannelRefused { tunnel: &tunnel, words: &words });
        }
    }

    /// The SSH connections that should be there. Those that are not shown any more are to be dropped at once.
    pub fn tunnels(&self) -> impl Iterator<Item = TunnelIntent> + '_ {
        self.state.tunnels.intents()
    }

    /// How the tunnels are. On a server of several shards the first one knows.
    pub fn tunnel_statuses(&self) -> impl Iterator<Item = TunnelStatus> + '_ {
        self.state.tunnel_statuses()
    }

    /// Another number than before, if what [`tunnels`](Self::tunnels) shows may have changed since.
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
