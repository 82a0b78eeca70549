//! Rates of messages and bytes, and the penalties of the [ladder](crate::limit::Ladder).

use super::{Ending, Notice, State};
use crate::base::Reason;
use crate::config::{Action, Gcra, Rate};

impl State {
    /// Charges received messages and bytes to a connection's rates, and penalizes an excess.
    ///
    /// Returns the action of the ladder, or [`Action::Serve`] without an excess or in a dry run.
    pub(crate) fn charge(&mut self, index: u32, messages: u64, bytes: u64) -> Action {
        let Some(rates) = self.conns.at(index).map(|conn| self.limits_of(conn).rates) else { return Action::Serve };
        if rates.messages.is_none() && rates.bytes.is_none() {
            return Action::Serve;
        }
        let now = self.now;
        let Some(conn) = self.conns.at_mut(index) else { return Action::Serve };
        let (mut by_message, mut by_byte) = (conn.messages, conn.bytes);
        let over = |meter: &mut Gcra, units, rate: Option<Rate>| {
            rate.is_some_and(|rate| units > 0 && meter.try_charge(now, units, rate).is_err())
        };
        let too_many = over(&mut by_message, messages, rates.messages);
        let too_long = over(&mut by_byte, bytes, rates.bytes);
        if !too_many && !too_long {
            (conn.messages, conn.bytes) = (by_message, by_byte);
            return Action::Serve;
        }
        self.metrics.rate_exceeded += 1;
        if self.config.dry_run {
            return Action::Serve;
        }
        let Some(conn) = self.conns.at_mut(index) else { return Action::Serve };
        let strikes = conn.faults.strikes.add(now, rates.ladder.forgive_after);
        let action = rates.ladder.action(strikes);
        if action.serves() {
            let debt = |meter: &mut Gcra, units, rate: Option<Rate>| {
                let rate = rate?;
                meter.charge(now, units, rate).map(|until| until + rate.rest())
            };
            let until =
                debt(&mut conn.messages, messages, rates.messages).max(debt(&mut conn.bytes, bytes, rates.bytes));
            if action == Action::Pause {
                conn.rate_pause = until;
                self.outbound.changed.insert(index);
                // Nothing else may wake it before the end of the pause.
                self.schedule(index);
            }
        }
        if rates.ladder.tells(strikes) {
            self.notice(
                index,
                Notice::Warning(match action {
                    Action::Pause => "too many messages or bytes; your input is slowed down",
                    Action::Drop => "too many messages or bytes; excess messages are discarded",
                    _ => "too many messages or bytes; please slow down",
                }),
            );
        }
        match action {
            Action::Close => self.end(index, Reason::RateLimited, Ending::Flush),
            Action::Quarantine => {
                if let Some(peer) = self.conns.at(index).map(|conn| conn.peer) {
                    self.quarantine(peer);
                }
                self.end(index, Reason::Quarantined, Ending::Flush);
            }
            Action::Serve | Action::Pause | Action::Drop => {}
        }
        action
    }
}
