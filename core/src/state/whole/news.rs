//! Messages between the machines of several hosts, on their shards with links.

use super::tables::Asker;
use crate::base::{HostId, Time};
use crate::facts::record::{parse_host_news, write_host_news};
use crate::facts::{HostNews, ShardMessage};
use crate::state::State;

/// The topic of the machine's own messages. Applications cannot use it.
pub(in crate::state) const OWN_TOPIC: &str = "";

impl State {
    /// Sends a message to the machines on all other hosts, on the shard with the link.
    ///
    /// The link is driven once the current fact has been handled.
    pub(super) fn tell_hosts(&mut self, news: &HostNews) {
        let now = self.now;
        if let Some(sharing) = self.sharing.as_mut() {
            sharing.cluster.tell_hosts(now, OWN_TOPIC, &write_host_news(news));
        }
    }

    /// Sends a message to the machines on all other hosts, from any shard.
    pub(super) fn tell_from_any_shard(&mut self, news: &HostNews) {
        if self.has_link_shard() {
            return self.tell_hosts(news);
        }
        let message = ShardMessage::ToHosts { topic: OWN_TOPIC.into(), content: write_host_news(news).into() };
        self.queue_for_link(message);
    }

    /// Handles a message of the machine on another host. Counts those that this version cannot read.
    pub(in crate::state) fn host_news_came(&mut self, from: HostId, content: &str) {
        let Some(sharing) = self.sharing.as_mut() else { return };
        let own = sharing.cluster.host();
        let Some(news) = parse_host_news(content) else { return sharing.cluster.metrics.unreadable += 1 };
        match news {
            HostNews::Report(report) => self.host_reported(from, report),
            HostNews::End { number, target, reason } => self.order_end(Asker::Host(from, number), &target, reason),
            HostNews::Ended { to, number, connections } if to == own => self.host_ended(from, number, connections),
            HostNews::Quarantined { addresses, ends_list } => self.hosts_quarantined(addresses.into(), ends_list),
            HostNews::Released(address) => self.hosts_released(address),
            HostNews::ListQuarantine { to } if to == own => self.quarantine_asked(),
            HostNews::Ended { .. } | HostNews::ListQuarantine { .. } => {}
        }
    }

    /// Counts a message of another host that this version cannot read.
    #[cfg(feature = "auth")]
    pub(crate) fn count_unreadable_from_host(&mut self) {
        match self.sharing.as_mut() {
            Some(sharing) => sharing.cluster.metrics.unreadable += 1,
            None => self.metrics.cluster.unreadable += 1,
        }
    }

    /// Begins what needs the link.
    pub(in crate::state) fn cluster_is_up(&mut self) {
        self.begin_reports();
        self.begin_learning();
    }

    /// Ends what needs the link.
    pub(in crate::state) fn cluster_is_down(&mut self) {
        self.end_reports();
        self.end_learning();
    }

    /// Returns when something is due that concerns all hosts.
    pub(in crate::state) fn whole_deadline(&self) -> Option<Time> {
        let whole = &self.whole;
        [whole.endings.deadline(), whole.hosts.deadline(), whole.told.deadline()].into_iter().flatten().min()
    }

    /// Handles the passing of time. Returns `true` if something was due.
    pub(in crate::state) fn pass_time_for_whole(&mut self) -> bool {
        let has_expired = self.expire_orders();
        let has_reported = self.report();
        let has_told = self.tell_quarantined();
        has_expired | has_reported | has_told
    }
}
