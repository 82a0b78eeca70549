use super::{IAC, Verb};
use crate::base::work;
use alloc::vec::Vec;

/// Which options are on, on either side, and what is to be said about it: the Q method of RFC 1143.
///
/// Each option has a state for our side (what we said `WILL` of) and one for the peer's (what we asked it to
/// `DO`). The rule is that nothing is said but to change a state or to answer a wish to change it, and that an
/// answer is never answered; so two sides never loop, whatever they want and however their words cross.
///
/// Received, by state of the side it is about; "yes" is `WILL` about the peer's side and `DO` about ours, "no"
/// is `WONT` and `DONT`:
///
/// | state | yes | no |
/// |---|---|---|
/// | `No` | allowed: say yes, `Yes`; else: say no | |
/// | `Yes` | | say no, `No` |
/// | `WantNo` | `No` (the peer erred) | `No` |
/// | `WantNo`, but yes | `Yes` (the peer erred) | say yes, `WantYes` |
/// | `WantYes` | `Yes` | `No` |
/// | `WantYes`, but no | say no, `WantNo` | `No` |
///
/// Asked for by the application:
///
/// | state | on | off |
/// |---|---|---|
/// | `No` | say yes, `WantYes` | |
/// | `Yes` | | say no, `WantNo` |
/// | `WantNo` | `WantNo`, but yes | |
/// | `WantNo`, but yes | | `WantNo` |
/// | `WantYes` | | `WantYes`, but no |
/// | `WantYes`, but no | `WantYes` | |
///
/// A peer that switches an option on and off for ever is answered only so often: once it has asked for an option
/// [`CHANGES_MAX`](Self::CHANGES_MAX) times, the option stays off without a word.
#[derive(Debug)]
pub struct Options {
    /// Options that a peer has touched, or the application, in order; most often few of the 256.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    option: u8,
    us: Party,
    him: Party,
}

/// One side of one option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Party {
    state: State,
    allowed: bool,
    /// How often the peer asked for it.
    changes: u8,
}

/// The states of RFC 1143 section 7, with the queue bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    No,
    Yes,
    WantNo { but_yes: bool },
    WantYes { but_no: bool },
}

/// Whose side of an option: it may be on for one and off for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Ours: `WILL` and `WONT` by us, `DO` and `DONT` by the peer.
    Us,
    /// The peer's: `WILL` and `WONT` by it, `DO` and `DONT` by us.
    Him,
}

/// An option that went on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Which.
    pub option: u8,
    /// On which side.
    pub side: Side,
    /// Whether it is on now.
    pub on: bool,
}

/// What came of a negotiation that was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// What to say, if anything.
    pub say: Option<[u8; 3]>,
    /// What changed, if anything.
    pub change: Option<Change>,
}

impl Options {
    /// How often a peer is answered that asks for one side of one option.
    pub const CHANGES_MAX: u8 = 16;

    /// Everything off, and nothing allowed.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Lets the peer switch an option on: `WILL` about its side, or `DO` about ours, is agreed to from now on.
    pub fn allow(&mut self, side: Side, option: u8) {
        self.party(side, option).allowed = true;
    }

    /// Asks for an option; what to say, if anything. It is on once the peer agrees.
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

    /// Asks for an option to be off, and allows it no more; what to say, if anything. It is off once the peer
    /// has heard of it, which it can't refuse.
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

    /// The peer said something about an option.
    pub fn received(&mut self, verb: Verb, option: u8) -> Answer {
        let (side, yes) = match verb {
            Verb::Will => (Side::Him, true),
            Verb::Wont => (Side::Him, false),
            Verb::Do => (Side::Us, true),
            Verb::Dont => (Side::Us, false),
        };
        let party = self.party(side, option);
        // What we took back is off once the peer has heard of it.
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

    /// Whether an option is on: both sides have agreed.
    #[must_use]
    pub fn is_on(&self, side: Side, option: u8) -> bool {
        self.find(option).is_some_and(|entry| entry.party(side).state == State::Yes)
    }

    /// Whether a request of ours for an option waits for its answer.
    #[must_use]
    pub fn is_pending(&self, side: Side, option: u8) -> bool {
        let pending = |entry: &Entry| matches!(entry.party(side).state, State::WantNo { .. } | State::WantYes { .. });
        self.find(option).is_some_and(pending)
    }

    /// What is on: `WILL` for our side and `DO` for the peer's, and the option.
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
