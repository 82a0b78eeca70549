//! Which rooms this host is subscribed to.

use super::Cluster;
use super::room::{Room, UNKNOWN};
use crate::base::Time;
use crate::history::Keep;
use alloc::sync::Arc;

impl Cluster {
    /// Subscribes to a room, unless this host has already.
    pub(super) fn hold(&mut self, now: Time, name: &Arc<str>, keep: Keep) {
        let link = self.link.as_mut().filter(|link| link.is_up());
        if let Some(room) = self.rooms.get_mut(name) {
            room.keep = keep;
            return;
        }
        self.rooms.insert(Arc::clone(name), Room::new(now, keep));
        if let Some(link) = link {
            link.subscribe(now, core::iter::once((&**name, keep)));
            self.want(name);
        }
    }

    pub(super) fn drop_if_unused(&mut self, now: Time, name: &str) {
        if self.rooms.get(name).is_some_and(Room::is_unused)
            && let Some((name, room)) = self.rooms.remove_entry(name)
        {
            self.forget_people(&name, &room.people);
            let top = room.top.filter(|top| *top != UNKNOWN);
            // What no history has confirmed yet must be compared later.
            if let Some(last) = room.kept.last().or(top) {
                self.kept.add(&name, room.keep, last, Some(room.past));
            }
            if let Some(link) = self.link.as_mut().filter(|link| link.is_up()) {
                link.unsubscribe(now, &name);
            }
        }
    }
}
