use super::{IAC, Verb};
use crate::base::work;
use alloc::vec::Vec;

/// Negotiation state of the telnet options on both sides, using the Q method of RFC 1143.
///
/// Each option has a state for our side (what we sent `WILL` for) and one for the peer's side (what
/// we sent `DO` for). A message is sent only to change a state or to answer a request to change it,
/// and an answer is never answered. So two sides never loop, even if their messages cross.
///
/// Messages that are received, by the state of the side that they are about. "Yes" is `WILL` for
/// the peer's side and `DO` for ours; "no" is `WONT` and `DONT`:
///
/// | state | yes | no |
/// |---|---|---|
/// | `No` | allowed: send yes, `Yes`; else: send no | |
/// | `Yes` | | send no, `No` |
/// | `WantNo` | `No` (the peer erred) | `No` |
/// | `WantNo`, but yes | `Yes` (the peer erred) | send yes, `WantYes` |
/// | `WantYes` | `Yes` | `No` |
/// | `WantYes`, but no | send no, `WantNo` | `No` |
///
/// Requests of the application:
///
/// | state | on | off |
/// |---|---|---|
/// | `No` | send yes, `WantYes` | |
/// | `Yes` | | send no, `WantNo` |
/// | `WantNo` | `WantNo`, but yes | |
/// | `WantNo`, but yes | | `WantNo` |
/// | `WantYes` | | `WantYes`, but no |
/// | `WantYes`, but no | `WantYes` | |
///
/// After [`CHANGES_MAX`](Self::CHANGES_MAX) requests of the peer for one side of an option, further
/// requests are ignored and the option stays off. This bounds the answers to a peer that switches
/// an option on and off for ever.
#[derive(Debug)]
pub struct Options {
    /// One entry for each option that a call or message has named so far, sorted by number.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    option: u8,
    us: Party,
    him: Party,
}

/// Negotiation state of one side of one option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Party {
    state: State,
    allowed: bool,
    /// Number of requests by the peer to switch the option on while it was off.
    changes: u8,
}

/// State of one side of an option (RFC 1143 section 7), with the queue bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    No,
    Yes,
    WantNo { but_yes: bool },
    WantYes { but_no: bool },
}

/// A side of the connection; a telnet option is switched on or off for each side separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two sides")]
pub enum Side {
    /// Our side: we send `WILL` and `WONT`, the peer sends `DO` and `DONT`.
    Us,
    /// The peer's side: the peer sends `WILL` and `WONT`, we send `DO` and `DONT`.
    Him,
}

/// The change of a telnet option to on or off, on one side of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The option's number.
    pub option: u8,
    /// The side on which the option was switched on or off.
    pub side: Side,
    /// Whether the option is on now.
    pub on: bool,
}

/// The result of handling a negotiation message from the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The message to send to the peer, if any.
    pub say: Option<[u8; 3]>,
    /// The change of an option to on or off that the message caused, if any.
    pub change: Option<Change>,
}

impl Options {
    /// Limit on the peer's requests to switch an option on, per side. Further requests are ignored.
    pub const CHANGES_MAX: u8 = 16;

    /// Creates the initial state: all options are off and none is allowed.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Allows the peer to switch an option on for the given side.
    ///
    /// From now on its `WILL` for its own side, or its `DO` for ours, is accepted.
    pub fn allow(&mut self, side: Side, option: u8) {
        self.party(side, option).allowed = true;
    }

    /// Requests an option and allows it. Returns the message to send, if any.
    ///
    /// The option is on once the peer agrees.
    pub fn enable(&mut self, side: Side, option: u8) -> Option<[u8; 3]> {
        let party = self.party(side, option);
        party.allowed = true;
        let (next, says) = match party.state {
            State::No => (State::WantYes { but_no: false }, true),
            State::WantNo { .. } => (State::WantNo { but_yes: true }, false),
            State::WantYes { .. } => (State::WantYes { but_no: false }, false),
            State::Yes => (State::Yes, false),
        };
        party.state = next;
        says.then(|| words(side, true, option))
    }

    /// Switches an option off and no longer allows it. Returns the message to send, if any.
    ///
    /// The peer cannot refuse. [`is_on`](Self::is_on) returns `false` at once, and
    /// [`received`](Self::received) returns the change when the peer confirms.
    pub fn disable(&mut self, side: Side, option: u8) -> Option<[u8; 3]> {
        let party = self.party(side, option);
        party.allowed = false;
        let (next, says) = match party.state {
            State::Yes => (State::WantNo { but_yes: false }, true),
            State::WantNo { .. } => (State::WantNo { but_yes: false }, false),
            State::WantYes { .. } => (State::WantYes { but_no: true }, false),
            State::No => (State::No, false),
        };
        party.state = next;
        says.then(|| words(side, false, option))
    }

    /// Handles a negotiation message from the peer and returns the answer.
    pub fn received(&mut self, verb: Verb, option: u8) -> Answer {
        let (side, yes) = match verb {
            Verb::Will => (Side::Him, true),
            Verb::Wont => (Side::Him, false),
            Verb::Do => (Side::Us, true),
            Verb::Dont => (Side::Us, false),
        };
        let party = self.party(side, option);
        // An option that we switched off is reported as off only when the peer confirms.
        let was_on = matches!(party.state, State::Yes | State::WantNo { .. });
        let asked_too_often = party.changes >= Self::CHANGES_MAX;
        let (next, says) = match (party.state, yes) {
            (State::No, true) if asked_too_often => (State::No, None),
            (State::No, true) => {
                party.changes += 1;
                if party.allowed { (State::Yes, Some(true)) } else { (State::No, Some(false)) }
            }
            (State::Yes, false) => (State::No, Some(false)),
            (State::Yes | State::WantNo { but_yes: true } | State::WantYes { but_no: false }, true) => {
                (State::Yes, None)
            }
            (State::WantNo { but_yes: true }, false) => (State::WantYes { but_no: false }, Some(true)),
            (State::WantYes { but_no: true }, true) => (State::WantNo { but_yes: false }, Some(false)),
            (State::No | State::WantYes { .. }, false) | (State::WantNo { but_yes: false }, _) => (State::No, None),
        };
        party.state = next;
        let is_on = next == State::Yes;
        Answer {
            say: says.map(|yes| words(side, yes, option)),
            change: (was_on != is_on).then_some(Change { option, side, on: is_on }),
        }
    }

    /// Returns `true` if an option is on for the given side, that is, if both parties have agreed.
    #[must_use]
    pub fn is_on(&self, side: Side, option: u8) -> bool {
        self.find(option).is_some_and(|entry| entry.party(side).state == State::Yes)
    }

    /// Returns `true` if our request to switch an option on or off awaits the peer's answer.
    #[must_use]
    pub fn is_pending(&self, side: Side, option: u8) -> bool {
        let pending = |entry: &Entry| matches!(entry.party(side).state, State::WantNo { .. } | State::WantYes { .. });
        self.find(option).is_some_and(pending)
    }

    /// Returns the options that are on, with `WILL` for our side and `DO` for the peer's.
    pub fn on(&self) -> impl Iterator<Item = (Verb, u8)> {
        self.entries.iter().flat_map(|entry| {
            let ours = (entry.us.state == State::Yes).then_some((Verb::Will, entry.option));
            let his = (entry.him.state == State::Yes).then_some((Verb::Do, entry.option));
            [ours, his].into_iter().flatten()
        })
    }

    fn find(&self, option: u8) -> Option<&Entry> {
        work::step(1);
        self.entries.binary_search_by_key(&option, |entry| entry.option).ok().map(|place| &self.entries[place])
    }

    fn party(&mut self, side: Side, option: u8) -> &mut Party {
        const OFF: Party = Party { state: State::No, allowed: false, changes: 0 };
        work::step(1);
        let place = self.entries.binary_search_by_key(&option, |entry| entry.option).unwrap_or_else(|place| {
            if self.entries.len() == self.entries.capacity() {
                // There are few, and they stay as long as the connection.
                self.entries.reserve_exact(4);
            }
            self.entries.insert(place, Entry { option, us: OFF, him: OFF });
            place
        });
        let entry = &mut self.entries[place];
        match side {
            Side::Us => &mut entry.us,
            Side::Him => &mut entry.him,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    const fn party(&self, side: Side) -> Party {
        match side {
            Side::Us => self.us,
            Side::Him => self.him,
        }
    }
}

const fn words(side: Side, yes: bool, option: u8) -> [u8; 3] {
    let verb = match (side, yes) {
        (Side::Us, true) => Verb::Will,
        (Side::Us, false) => Verb::Wont,
        (Side::Him, true) => Verb::Do,
        (Side::Him, false) => Verb::Dont,
    };
    [IAC, verb.byte(), option]
}
