//! What the chat tells other hosts of a cluster, and hears from them.
//!
//! The first shard tells of each name that comes, changes or goes. A message is lost while a link does not work. So once
//! its link works again, a host tells of all its people, and asks the others to do the same.

use super::abroad::{News, PEOPLE_MAX};
use super::directory::{Directory, Outcome};
use super::messages::{Answer, Message, Request};
use super::{Chat, ChatHub, rename, send, topic};
use crate::base::{ConnId, HostId, UnixTime};
use crate::state::Timer;
use alloc::format;
use core::time::Duration;

/// Tells all people of this host some time after another host has asked.
pub(super) const LIST: Timer = Timer::named("drupe::app::chat::list");
/// Hosts that ask within this time get one list together.
const LISTED_AFTER: Duration = Duration::from_secs(1);
/// Maximum number of people in one message.
const PEOPLE_AT_ONCE: usize = 200;

impl Chat {
    /// Answers a request, and tells the other hosts what it has changed. Only on the first shard.
    pub(super) fn look_up(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, request: Request) -> Answer {
        let directory = self.directory.get_or_insert_default();
        if !hub.has_cluster() {
            return directory.answer(conn, request, 0);
        }
        directory.forget_lost(hub.now(), || hub.hosts().iter().map(|host| host.id).collect());
        let answer = directory.answer(conn, request, unix(hub));
        if matches!(answer, Answer::Named { .. } | Answer::Renamed | Answer::Entered | Answer::Left) {
            tell_of(hub, directory, conn);
        }
        answer
    }

    /// The link to the broker works.
    pub(super) fn linked(&mut self, hub: &mut ChatHub<'_>) {
        if hub.shard().number() > 0 {
            return send(hub, 0, &Message::Linked);
        }
        tell(hub, &News::Ask);
        self.tell_all(hub);
    }

    pub(super) fn tell_all(&mut self, hub: &mut ChatHub<'_>) {
        self.is_asked = false;
        let directory = self.directory.get_or_insert_default();
        tell(hub, &News::All);
        let conns = directory.conns();
        for some in conns.chunks(PEOPLE_AT_ONCE).take(PEOPLE_MAX / PEOPLE_AT_ONCE) {
            let people = some.iter().filter_map(|&conn| directory.as_stranger(conn, |room| hub.is_shared(room)));
            let news = News::People(people.collect());
            tell(hub, &news);
        }
    }

    pub(super) fn host_message(&mut self, hub: &mut ChatHub<'_>, from: HostId, content: &str) {
        match News::parse(content) {
            Some(News::Whisper { host, to, from, text })
                if hub.host_id() == Some(host) && hub.context(to).is_some() =>
            {
                hub.send(to, &format!("[{from}] {text}"));
            }
            _ if hub.shard().number() > 0 => {}
            Some(News::Ask) if !core::mem::replace(&mut self.is_asked, true) => hub.wake(LIST, LISTED_AFTER),
            Some(news) => self.heard(hub, from, news),
            None => {}
        }
    }

    fn heard(&mut self, hub: &mut ChatHub<'_>, from: HostId, news: News) {
        let Some(own) = hub.host_id() else { return };
        let directory = self.directory.get_or_insert_default();
        for outcome in directory.heard(own, from, news, hub.now(), unix(hub)) {
            let conn = match outcome {
                Outcome::Kept(conn) => conn,
                Outcome::Lost { conn, name } if conn.shard() == 0 => {
                    lose(hub, conn, &name);
                    conn
                }
                Outcome::Lost { conn, name } => {
                    send(hub, conn.shard(), &Message::Lost { conn, name });
                    conn
                }
            };
            tell_of(hub, directory, conn);
        }
    }
}

/// Gives a connection another name, because somebody on another host has had its name for longer.
pub(super) fn lose(hub: &mut ChatHub<'_>, conn: ConnId, name: &str) {
    let Some(old) = hub.context(conn).map(|member| member.0.name.clone()) else { return };
    hub.send(conn, &format!("* {old} has been in use on another host for longer; you are {name} now"));
    rename(hub, conn, name);
}

/// Sends a private message to a connection of another host. Returns `false` if the link does not work.
pub(super) fn whisper(hub: &mut ChatHub<'_>, host: HostId, to: ConnId, from: &str, text: &str) -> bool {
    let is_linked = hub.is_linked();
    if is_linked {
        tell(hub, &News::Whisper { host, to, from: from.into(), text: text.into() });
    }
    is_linked
}

/// Tells the other hosts what has become of a connection.
fn tell_of(hub: &mut ChatHub<'_>, directory: &Directory, conn: ConnId) {
    let stranger = directory.as_stranger(conn, |room| hub.is_shared(room));
    tell(hub, &stranger.map_or(News::Gone(conn), |stranger| News::People([stranger].into())));
}

fn tell(hub: &mut ChatHub<'_>, news: &News) {
    let topic = topic(hub);
    hub.send_to_hosts(&topic, &format!("{news}"));
}

/// Returns the milliseconds since 1970. Without a clock, the latest time, so that others keep their names.
fn unix(hub: &ChatHub<'_>) -> u64 {
    hub.unix_time().map_or(u64::MAX, UnixTime::as_millis)
}
