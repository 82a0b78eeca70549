//! What the chat tells other hosts of a cluster, and hears from them.
//!
//! The first shard tells of each name that comes, changes or goes. A message is lost while a link does not work. So once
//! its link works again, a host tells of all its people, and asks the others to do the same.

use super::abroad::{News, PEOPLE_MAX};
use super::directory::{Directory, Outcome};
use super::messages::{Answer, Request};
use crate::base::{ConnId, HostId, UnixTime};
use crate::handler::Hub;
use crate::state::Timer;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// Tells all people of this host some time after another host has asked.
pub(super) const LIST: Timer = Timer::named("drupe::app::chat::list");
/// Hosts that ask within this time get one list together.
const LISTED_AFTER: Duration = Duration::from_secs(1);
/// Maximum number of people in one message.
const PEOPLE_AT_ONCE: usize = 200;

/// The directory of a host, as it is known to the others. Only the first shard has it.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) directory: Directory,
    /// Whether another host has asked for all people, and was not told yet.
    is_asked: bool,
}

impl Hosts {
    /// Answers a request, and tells the other hosts what it has changed.
    pub(super) fn look_up<C>(&mut self, hub: &mut Hub<'_, C>, topic: &str, conn: ConnId, request: Request) -> Answer {
        if !hub.has_cluster() {
            return self.directory.answer(conn, request, 0);
        }
        self.directory.forget_lost(hub.now(), || hub.hosts().iter().map(|host| host.id).collect());
        let answer = self.directory.answer(conn, request, unix(hub));
        if matches!(answer, Answer::Named { .. } | Answer::Renamed | Answer::Entered | Answer::Left) {
            self.tell_of(hub, topic, conn);
        }
        answer
    }

    /// The link to the broker works.
    pub(super) fn linked<C>(&mut self, hub: &mut Hub<'_, C>, topic: &str) {
        tell(hub, topic, &News::Ask);
        self.tell_all(hub, topic);
    }

    /// Another host asks for all people.
    pub(super) fn asked<C>(&mut self, hub: &mut Hub<'_, C>) {
        if !core::mem::replace(&mut self.is_asked, true) {
            hub.wake(LIST, LISTED_AFTER);
        }
    }

    /// Tells all people of this host.
    pub(super) fn tell_all<C>(&mut self, hub: &mut Hub<'_, C>, topic: &str) {
        self.is_asked = false;
        tell(hub, topic, &News::All);
        for some in self.directory.conns().chunks(PEOPLE_AT_ONCE).take(PEOPLE_MAX / PEOPLE_AT_ONCE) {
            let people = some.iter().filter_map(|&conn| self.directory.as_stranger(conn, |room| hub.is_shared(room)));
            let news = News::People(people.collect());
            tell(hub, topic, &news);
        }
    }

    /// Handles news of another host. Returns the connections that have lost their names, with their new ones.
    pub(super) fn heard<C>(
        &mut self,
        hub: &mut Hub<'_, C>,
        topic: &str,
        from: HostId,
        news: News,
    ) -> Vec<(ConnId, String)> {
        let Some(own) = hub.host_id() else { return Vec::new() };
        let mut lost = Vec::new();
        for outcome in self.directory.heard(own, from, news, hub.now(), unix(hub)) {
            let conn = match outcome {
                Outcome::Kept(conn) => conn,
                Outcome::Lost { conn, name } => {
                    lost.push((conn, name));
                    conn
                }
            };
            self.tell_of(hub, topic, conn);
        }
        lost
    }

    /// Tells the other hosts what has become of a connection.
    fn tell_of<C>(&self, hub: &mut Hub<'_, C>, topic: &str, conn: ConnId) {
        let stranger = self.directory.as_stranger(conn, |room| hub.is_shared(room));
        tell(hub, topic, &stranger.map_or(News::Gone(conn), |stranger| News::People([stranger].into())));
    }
}

/// Sends news to all other hosts.
pub(super) fn tell<C>(hub: &mut Hub<'_, C>, topic: &str, news: &News) {
    hub.send_to_hosts(topic, &format!("{news}"));
}

/// Returns the milliseconds since 1970. Without a clock, the latest time, so that others keep their names.
fn unix<C>(hub: &Hub<'_, C>) -> u64 {
    hub.unix_time().map_or(u64::MAX, UnixTime::as_millis)
}
