//! Logins of one user on several hosts of a cluster, if the operator does not allow both.
//!
//! If new logins are refused, a host tells the others that a user wants to log in, and waits for 500 ms. A host with
//! this user objects. A later objection ends the new login. If two hosts wait for the same user, the one with the lower
//! identifier objects.
//!
//! If old logins are replaced, a host tells the others of each login, and they end theirs. Of two logins within
//! a second, the one on the host with the higher identifier stays.
//!
//! While the link does not work, a host decides by its own logins. When it works again, the host tells all its logins
//! with their ages, and for each user with logins on two hosts, only the older or the newer one stays.

use super::provider::Provider;
use super::registry::{Answer, DuplicateLogin, Question};
use super::{Authentication, LOGINS, TOPIC};
use crate::base::{HostId, Time, whole_millis};
use crate::handler::{Handler, Hub};
use crate::state::Timer;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The version of the messages between hosts. Those of other versions are ignored.
const VERSION: u32 = 1;
/// Time in which other hosts may object to a login.
const OBJECTED_WITHIN: Duration = Duration::from_millis(500);
/// Two logins of a user on different hosts within this time may have crossed.
const CROSSED_WITHIN: Duration = Duration::from_secs(1);
/// Maximum number of users in one message.
const USERS_MAX: usize = 200;
/// Interval of the messages with all logins.
const TOLD_EVERY: Duration = Duration::from_millis(100);
/// The key of the timer of these messages. Other keys are the numbers of waits.
const TELLS: u64 = 0;

/// A message to the other hosts.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// This user wants to log in.
    Wants(String),
    /// To a host: this user is logged in here, so it must be refused there.
    Objection { to: String, user: String },
    /// This user has logged in, which replaces other logins.
    Entered(String),
    /// These users are logged in, each for this number of milliseconds.
    Logins(Vec<(String, u64)>),
    /// To a host: these users must end there, because their logins here stay.
    End { to: String, users: Vec<String> },
}

impl<P> Authentication<P> {
    /// Has the other hosts object to a login. Returns the question if that is not needed.
    pub(super) fn ask_hosts<C>(&mut self, hub: &mut Hub<'_, C>, question: Question) -> Option<Question> {
        let rules = self.rules(hub);
        let Some((conn, user)) = question.enters().filter(|_| rules.duplicates == DuplicateLogin::RefuseNew) else {
            return Some(question);
        };
        let is_needed = hub.is_linked() && !hub.hosts().is_empty() && self.registry.may_enter(rules, conn, user);
        // Two connections of this host that wait for the same user would both enter.
        if !is_needed || self.delayed.is_full() || self.delayed.wait_of(user).is_some() {
            return Some(question);
        }
        let user = String::from(user);
        tell(hub, &Said::Wants(user.clone()));
        let number = self.delayed.add_wait(&user, conn, question);
        hub.wake(Timer::named(LOGINS).keyed(number), OBJECTED_WITHIN);
        None
    }

    /// Tells the other hosts that a user has logged in, if that ends other logins.
    pub(super) fn tell_login<C>(&self, hub: &mut Hub<'_, C>, user: &str) {
        if self.duplicates == DuplicateLogin::ReplaceOld && hub.has_cluster() {
            tell(hub, &Said::Entered(user.into()));
        }
    }

    /// Handles news of the link, on the shard that has it.
    pub(super) fn link_changed<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, is_up: bool, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        if is_up && self.duplicates != DuplicateLogin::KeepBoth {
            self.consult(hub, Question::Linked, within);
        }
    }

    /// Begins to tell the other hosts all logins, because some of them may not know them.
    pub(super) fn begin_telling_logins<C>(&mut self, hub: &mut Hub<'_, C>) {
        self.told_until = Some(String::new());
        hub.wake(Timer::named(LOGINS).keyed(TELLS), TOLD_EVERY);
    }

    /// Handles the end of a wait, or tells more logins.
    pub(super) fn logins_due<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, key: u64, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        if key != TELLS {
            if let Some(question) = self.delayed.take_wait(key) {
                self.answer_next(hub, question, within);
            }
            return;
        }
        let Some(after) = self.told_until.take() else { return };
        let users = self.registry.users_after(&after, USERS_MAX);
        let Some(last) = users.last() else { return };
        let last = last.to_string();
        let now = hub.now();
        let logins = users.iter().filter_map(|user| {
            let since = self.registry.since(user, self.duplicates)?;
            Some((user.to_string(), whole_millis(now.since(since))))
        });
        tell(hub, &Said::Logins(logins.collect()));
        self.told_until = Some(last);
        hub.wake(Timer::named(LOGINS).keyed(TELLS), TOLD_EVERY);
    }

    /// Handles a message of another host, on the first shard.
    pub(super) fn host_said<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        from: HostId,
        content: &str,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        if hub.shard().number() > 0 {
            return;
        }
        let Ok((VERSION, said)) = serde_json::from_str::<(u32, Said)>(content) else {
            return hub.state.count_unreadable_from_host();
        };
        // Before this shard has learned its host, no message is for it.
        let Some(own) = hub.host_id() else { return };
        match said {
            Said::Wants(user) => {
                let waits_first = self.delayed.wait_of(&user).is_some() && own < from;
                if self.duplicates == DuplicateLogin::RefuseNew
                    && (waits_first || self.registry.since(&user, self.duplicates).is_some())
                {
                    tell(hub, &Said::Objection { to: from.to_string(), user });
                }
            }
            Said::Objection { to, user } if to == own.to_string() => self.objected(hub, &user, within),
            Said::Entered(user) => self.entered_there(hub, (own, from), user, within),
            Said::Logins(logins) => self.compare_logins(hub, (own, from), logins, within),
            Said::End { to, users } if to == own.to_string() => {
                for user in users.iter().take(USERS_MAX) {
                    self.end_user(hub, user, within);
                }
            }
            Said::Objection { .. } | Said::End { .. } => {}
        }
    }

    /// Refuses a login to which another host objects, or ends it if the objection came late.
    fn objected<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, user: &str, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        let question = self.delayed.wait_of(user).and_then(|number| self.delayed.take_wait(number));
        if let Some((conn, _)) = question.as_ref().and_then(Question::enters) {
            self.pass_on(hub, (conn, Answer::Connected), within);
        }
        self.end_user(hub, user, within);
    }

    /// Ends the login of a user that another host replaces.
    fn entered_there<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        (own, from): (HostId, HostId),
        user: String,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let Some(since) = self.registry.since(&user, self.duplicates) else { return };
        if self.duplicates != DuplicateLogin::ReplaceOld {
            return;
        }
        if hub.now().since(since) < CROSSED_WITHIN && own > from {
            // The other host may have been told of this login before its own began.
            return tell(hub, &Said::Entered(user));
        }
        self.end_user(hub, &user, within);
    }

    /// Ends the logins that do not stay, of users who are logged in here and on another host.
    fn compare_logins<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        (own, from): (HostId, HostId),
        logins: Vec<(String, u64)>,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        if self.duplicates == DuplicateLogin::KeepBoth {
            return;
        }
        let mut ended = Vec::new();
        for (user, age) in logins.into_iter().take(USERS_MAX) {
            let Some(since) = self.registry.since(&user, self.duplicates) else { continue };
            let here_stays = stays(self.duplicates, (age_of(hub, since), own), (age, from));
            if here_stays {
                ended.push(user);
            } else {
                self.end_user(hub, &user, within);
            }
        }
        if !ended.is_empty() {
            tell(hub, &Said::End { to: from.to_string(), users: ended });
        }
    }

    /// Ends the connections of a user on this host.
    fn end_user<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, user: &str, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        for conn in self.registry.remove_user(user) {
            self.pass_on(hub, (conn, Answer::Replaced), within);
        }
    }
}

/// Returns `true` if the first of two logins stays. Each has its age and its host.
fn stays(duplicates: DuplicateLogin, first: (u64, HostId), second: (u64, HostId)) -> bool {
    if duplicates == DuplicateLogin::RefuseNew { first > second } else { first < second }
}

fn age_of<C>(hub: &Hub<'_, C>, since: Time) -> u64 {
    whole_millis(hub.now().since(since))
}

fn tell<C>(hub: &mut Hub<'_, C>, said: &Said) {
    if let Ok(text) = serde_json::to_string(&(VERSION, said)) {
        hub.send_to_hosts(TOPIC, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_logins_exactly_one_stays() {
        let hosts = [1, 2].map(HostId::new);
        for duplicates in [DuplicateLogin::RefuseNew, DuplicateLogin::ReplaceOld] {
            for (first, second) in [(5, 5), (5, 6), (6, 5)] {
                let (first, second) = ((first, hosts[0]), (second, hosts[1]));
                assert_ne!(stays(duplicates, first, second), stays(duplicates, second, first));
            }
        }
        assert!(stays(DuplicateLogin::RefuseNew, (9, hosts[0]), (5, hosts[1])), "the older login stays");
        assert!(stays(DuplicateLogin::ReplaceOld, (5, hosts[0]), (9, hosts[1])), "the newer login stays");
    }
}
