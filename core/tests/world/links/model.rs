//! The reference model of dials: which attempt must follow, when, and how each may end.

use super::app::Happened;
use super::server::{Lie, Secrecy, Speech, Step, Wrong};
use drupe_core::sim::Attempt;
use drupe_core::{AddressOrder, Backoff, Dial, Failure, Reason, Time, TlsFault};
use std::time::Duration;

/// The waits between attempts are at least this long.
const WAIT_MIN: Duration = Duration::from_millis(10);

/// The longest time that a closed connection lingers. It counts as up until it is gone.
const LINGER_MAX: Duration = Duration::from_secs(60);

/// A dial, with the state that its options and its history say it is in.
pub(crate) struct Model {
    dial: Dial,
    /// The addresses of the next round, in the order of their list.
    addresses: Vec<String>,
    /// The addresses that are left in this round.
    round: Vec<String>,
    /// The smallest and the largest possible number of failures in a row. It is uncertain because
    /// no event reports the end of a TLS handshake that was asked for.
    failures: (u32, u32),
    has_asked: bool,
    /// Whether the model does not know which address must follow.
    pub(crate) is_unsure: bool,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// An attempt is wanted from this time on.
    Due(Time),
    /// An attempt began at this time.
    Trying(Time),
    Open(Time),
    /// A connection ended, and it is not known yet whether the dial continues.
    Closed(Closed),
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Closed {
    opened: Time,
    at: Time,
    /// Whether it ended in the TLS handshake that was asked for.
    in_handshake: bool,
}

impl Model {
    pub(crate) fn new(dial: &Dial, now: Time) -> Self {
        let addresses: Vec<String> = std::iter::once(&dial.address).chain(&dial.others).cloned().collect();
        let round = addresses.clone();
        Self {
            dial: dial.clone(),
            addresses,
            round,
            failures: (0, 0),
            has_asked: false,
            is_unsure: false,
            state: State::Due(now),
        }
    }

    /// Returns `true` if an attempt must have begun before one can end at `now`.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        match self.state {
            State::Closed(closed) => closed.at < now,
            State::Due(_) => true,
            _ => false,
        }
    }

    /// Handles the begin of an attempt.
    pub(crate) fn tried(&mut self, attempt: &Attempt) -> Result<(), String> {
        if let State::Closed(closed) = self.state {
            let wait = self.connection_ends(closed).ok_or("an ended dial is tried again")?;
            self.state = State::Due(closed.at + wait.0);
        }
        let State::Due(due) = self.state else { return Err(format!("{attempt:?} begins in {:?}", self.state)) };
        let expected = match self.dial.order {
            AddressOrder::InOrder => self.round.first() == Some(&attempt.address),
            _ => self.round.contains(&attempt.address),
        };
        if !expected {
            return Err(format!("{attempt:?} begins, and the addresses of this round are {:?}", self.round));
        }
        if attempt.began < due {
            return Err(format!("{attempt:?} begins before {due}"));
        }
        let place = self.round.iter().position(|address| *address == attempt.address).unwrap_or(0);
        self.round.remove(place);
        self.state = State::Trying(attempt.began);
        Ok(())
    }

    /// Handles an event of the dial.
    pub(crate) fn happened(&mut self, now: Time, happened: &Happened) -> Result<(), String> {
        match (happened, &self.state) {
            (Happened::Addresses(addresses), state) => {
                self.addresses.clone_from(addresses);
                self.round = if matches!(state, State::Due(_)) { addresses.clone() } else { Vec::new() };
                // The attempt may be due, but the shell has not learned it yet.
                self.is_unsure |= matches!(state, State::Due(due) if *due <= now);
                Ok(())
            }
            (Happened::Opened(_), State::Trying(_)) => {
                (self.state, self.has_asked) = (State::Open(now), false);
                Ok(())
            }
            (Happened::Closed(_, _, in_handshake), State::Open(opened)) => {
                self.state = State::Closed(Closed { opened: *opened, at: now, in_handshake: *in_handshake });
                Ok(())
            }
            // The TLS that was asked for failed, so the attempt failed.
            (Happened::Failed(_, retry_at), State::Closed(closed)) => self.failed(closed.at, *retry_at),
            (Happened::Failed(_, retry_at), State::Trying(_)) => self.failed(now, *retry_at),
            (Happened::Ended, State::Closed(closed)) => {
                let closed = *closed;
                self.state = State::Over;
                match self.connection_ends(closed) {
                    Some(_) if self.may_be_last() => Ok(()),
                    Some(_) => Err("a dial with attempts left has ended".into()),
                    None => Ok(()),
                }
            }
            (Happened::Asked(_, answer), _) => {
                self.has_asked = answer.is_ok();
                Ok(())
            }
            (happened, state) => Err(format!("{happened:?} comes in {state:?}")),
        }
    }

    fn failed(&mut self, now: Time, retry_at: Option<Time>) -> Result<(), String> {
        let wait = self.attempt_ends();
        self.state = retry_at.map_or(State::Over, State::Due);
        let waited = retry_at.map(|at| at.since(now));
        let fits = match (wait, waited) {
            // Jitter is computed in whole percents.
            (Some((shortest, longest)), Some(waited)) => {
                waited + Duration::from_nanos(100) >= shortest && waited <= longest
            }
            (Some(_), None) => self.may_be_last(),
            (None, None) => true,
            (None, Some(_)) => false,
        };
        if fits { Ok(()) } else { Err(format!("the wait is {waited:?} and should be in {wait:?}")) }
    }

    /// Returns the shortest and the longest wait after an attempt, if another one follows.
    fn attempt_ends(&mut self) -> Option<(Duration, Duration)> {
        if !self.round.is_empty() {
            return Some((Duration::from_nanos(1), Duration::from_nanos(1)));
        }
        self.round_ends()
    }

    fn connection_ends(&mut self, closed: Closed) -> Option<(Duration, Duration)> {
        if closed.in_handshake {
            return self.attempt_ends();
        }
        let stable_after = self.dial.backoff.map(|backoff| backoff.stable_after);
        let up = closed.at.since(closed.opened);
        if stable_after.is_some_and(|least| up.saturating_add(LINGER_MAX) >= least) {
            let is_sure = !self.has_asked && stable_after.is_some_and(|least| up >= least);
            self.failures = (0, if is_sure { 0 } else { self.failures.1 });
        }
        self.round_ends()
    }

    /// Ends a round. Returns the shortest and the longest wait after it, if there is another round.
    fn round_ends(&mut self) -> Option<(Duration, Duration)> {
        self.round.clone_from(&self.addresses);
        let backoff = self.dial.backoff?;
        self.failures = (self.failures.0 + 1, self.failures.1 + 1);
        if backoff.attempts_max.is_some_and(|most| self.failures.0 >= most) {
            return None;
        }
        Some((waits(&backoff, self.failures.0).0, waits(&backoff, self.failures.1).1))
    }

    /// Returns `true` if the larger number of failures is the last allowed one.
    fn may_be_last(&self) -> bool {
        let most = self.dial.backoff.and_then(|backoff| backoff.attempts_max);
        self.round == self.addresses && most.is_some_and(|most| self.failures.1 >= most)
    }
}

fn waits(backoff: &Backoff, failures: u32) -> (Duration, Duration) {
    let mut longest = backoff.initial;
    for _ in 1..failures {
        longest = longest.saturating_mul(u32::from(backoff.factor.max(1))).min(backoff.cap);
    }
    let longest = longest.min(backoff.cap);
    let jitter = longest / 100 * u32::from(backoff.jitter_percent.min(100));
    (longest.saturating_sub(jitter).max(WAIT_MIN), longest.max(WAIT_MIN))
}

/// Returns `true` if an attempt may end with this failure: before the connection was open, or in
/// the TLS handshake that was asked for.
pub(crate) fn may_fail(speech: Speech, secrecy: Secrecy, lie: Lie, failure: Failure) -> bool {
    let Some((step, wrong)) = lie.filter(|(step, _)| *step != Step::Served) else {
        // It sometimes closes, perhaps before its last handshake message has arrived.
        return failure == Failure::Reset;
    };
    let in_tls = match secrecy {
        Secrecy::Plain => false,
        Secrecy::AtOnce => step == Step::Accepted || wrong == Wrong::OtherName,
        Secrecy::WhenAsked => step == Step::Tls || wrong == Wrong::Early,
    };
    let in_websocket = speech == Speech::WebSocket && !in_tls;
    if !in_tls && !in_websocket {
        return false;
    }
    let is_fault = matches!(failure, Failure::TlsHandshake(_) | Failure::Tls);
    match wrong {
        Wrong::Silent => failure == Failure::TimedOut,
        // It closes when it acts, which may be after the time limit.
        Wrong::Ends => matches!(failure, Failure::Handshake | Failure::TimedOut),
        Wrong::Resets => matches!(failure, Failure::Reset | Failure::TimedOut),
        Wrong::OtherName => failure == Failure::TlsHandshake(TlsFault::NameMismatch),
        Wrong::Early => failure == Failure::TlsHandshake(TlsFault::EarlyInput),
        Wrong::Random if in_tls => is_fault || failure == Failure::TimedOut,
        Wrong::Http(_) | Wrong::Huge | Wrong::Endless if in_tls => failure == Failure::TlsHandshake(TlsFault::NotTls),
        Wrong::Http(status) => failure == Failure::Rejected { status },
        // A few bytes may be the beginning of a response.
        Wrong::Random | Wrong::Huge => matches!(failure, Failure::Handshake | Failure::TimedOut),
        Wrong::Endless => failure == Failure::Handshake,
    }
}

/// Returns `true` if an open connection to a good or a bad server may end with this reason, if both
/// ends have a steady link.
pub(crate) fn may_close(speech: Speech, lie: Lie, reason: Reason) -> bool {
    // The application closes connections and cancels dials, and drains end both.
    if matches!(reason, Reason::Application | Reason::Shutdown) {
        return true;
    }
    let ends = matches!(reason, Reason::PeerClosed | Reason::Reset | Reason::Truncated);
    let is_wrong = matches!(reason, Reason::MalformedFrame | Reason::MessageTooLarge | Reason::InvalidUtf8);
    match lie {
        None | Some((_, Wrong::Silent | Wrong::Ends | Wrong::Resets | Wrong::OtherName | Wrong::Early)) => ends,
        // These bytes are not frames. On lines, most of them are text.
        Some((_, Wrong::Huge)) if speech == Speech::Frames => reason == Reason::MessageTooLarge,
        Some((_, Wrong::Huge)) if speech == Speech::WebSocket => is_wrong,
        Some(_) => ends || is_wrong || matches!(reason, Reason::MessageTimeout | Reason::TlsFailed),
    }
}
