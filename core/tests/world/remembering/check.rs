//! Compares what members heard with the truth.

use super::desk::{Desk, Member};
use super::heard::Heard;
use super::truth::{Line, Step, Truth, text};
use super::{Room, Run};
use drupe_core::history::{Gap, Position, Recovery};
use drupe_core::{ConnId, PublishRefusal, Published, Reason, RoomAnswer};
use std::collections::{BTreeMap, BTreeSet};

/// What the checks of one world counted.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Messages that members received.
    pub(crate) messages: u64,
    /// Messages that members missed, and were told of.
    pub(crate) missed: u64,
    pub(crate) recovered: u64,
    pub(crate) gaps: BTreeMap<Gap, u64>,
    pub(crate) not_recovered: BTreeMap<Gap, u64>,
    /// Names in answers that agree with the members.
    pub(crate) present: u64,
    /// Names that applications rightly show.
    pub(crate) shown: u64,
    /// Changes of presence that shards were told.
    pub(crate) changes: u64,
    /// Members that missed messages, which epoch and offset alone do not show.
    pub(crate) deceived: u64,
    /// Worlds in which a member was deceived.
    pub(crate) deceiving: u64,
}

impl Found {
    pub(crate) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.missed += other.missed;
        self.recovered += other.recovered;
        self.deceived += other.deceived;
        self.deceiving += u64::from(other.deceived > 0);
        self.present += other.present;
        self.shown += other.shown;
        self.changes += other.changes;
        other.gaps.into_iter().for_each(|(gap, count)| *self.gaps.entry(gap).or_default() += count);
        other.not_recovered.into_iter().for_each(|(gap, count)| *self.not_recovered.entry(gap).or_default() += count);
    }

    /// Checks that the worlds reached each case. Otherwise they do not test it.
    pub(crate) fn assert_reached(&self) {
        let Self { messages, missed, recovered, gaps, not_recovered, present, shown, changes, .. } = self;
        assert!(*present > 100 && *shown > 100 && *changes > 1_000, "{self:?}");
        assert!(*messages > 1_000 && *missed > 0 && *recovered > 10, "{self:?}");
        for gap in [Gap::OtherEpoch, Gap::TooOld, Gap::Rewritten, Gap::TooMany, Gap::NoHistory] {
            assert!(not_recovered.contains_key(&gap), "nobody failed to return because of {gap}: {self:?}");
        }
        for gap in [Gap::Rewritten, Gap::TooSlow, Gap::NoHistory] {
            assert!(gaps.contains_key(&gap), "nobody was told of {gap}: {self:?}");
        }
    }
}

/// What one member heard between joining and leaving.
struct Story<'r> {
    member: &'r Member,
    heard: Vec<Heard<'r>>,
    /// Whether it stayed until the server was drained.
    stayed: bool,
}

/// Checks that each member got each message once, in the order of the home, or was told of a gap.
pub(crate) fn members(run: &Run) -> Found {
    let truth = Truth::new(run.world.numbered());
    let mut found = Found::default();
    let desks: Vec<&Desk> = run.world.handlers().collect();
    for peer in 0..run.peers {
        let sessions = run.world.actor(peer).sessions().iter().filter(|session| !session.was_refused);
        for (&conn, session) in run.world.connections(peer).iter().zip(sessions) {
            let desk = desks[usize::from(conn.shard())];
            let heard: Vec<Heard<'_>> = session.heard.iter().map(|text| Heard::parse(text)).collect();
            for story in stories(run, desk, conn, &heard) {
                check(run, &truth, &story, &mut found);
            }
        }
    }
    for desk in desks {
        assert!(desk.strays.is_empty(), "each event names a member or a request: {:?}", desk.strays);
        joined_once(run, desk);
        answered_once(&truth, desk);
    }
    found
}

/// Splits what a connection heard by its memberships.
fn stories<'r>(run: &'r Run, desk: &'r Desk, conn: ConnId, heard: &[Heard<'r>]) -> Vec<Story<'r>> {
    let (mut stories, mut open) = (Vec::<Story<'_>>::new(), BTreeMap::<&str, usize>::new());
    let is_drained = run.world.reason(conn) == Some(Reason::Shutdown);
    for item in heard {
        match item {
            Heard::Asked(number) => {
                // A join that was refused leads to no membership.
                let Some(member) = desk.members.get(*number).filter(|member| member.conn == conn) else { continue };
                open.insert(&member.room, stories.len());
                let stayed = is_drained && !member.has_left;
                stories.push(Story { member, heard: Vec::new(), stayed });
            }
            Heard::Left(number) => drop(open.remove(&*desk.members[*number].room)),
            Heard::Joined { room, .. } | Heard::Message { room, .. } | Heard::Gap { room, .. } => {
                let Some(&story) = open.get(room) else { panic!("{conn} is no member, and received {item:?}") };
                stories[story].heard.push(item.clone());
            }
            Heard::Other => {}
        }
    }
    stories
}

fn check(run: &Run, truth: &Truth<'_>, story: &Story<'_>, found: &mut Found) {
    let Story { member, heard, .. } = story;
    let about = || format!("{} in {}, {member:?}", member.conn, member.room);
    let line = truth.line(&member.room);
    let joined = member.joined.first().copied();
    recovery(run, line, story, found);
    let start = match joined {
        Some((_, Recovery::Recovered { .. })) => member.since,
        Some((position, _)) => position,
        None => None,
    };
    let mut steps = Steps { story, at: start, from: 0, latest: None, holes: Vec::new(), names: BTreeSet::new() };
    for (place, item) in heard.iter().enumerate() {
        match item {
            Heard::Message { name, position, .. } => {
                found.messages += 1;
                assert!(steps.names.insert(name), "{name} came twice to {}: {heard:?}", about());
                steps.message(run, line, place, name, *position, found);
            }
            Heard::Gap { why, position, .. } => {
                *found.gaps.entry(*why).or_default() += 1;
                if let Some(position) = position {
                    steps.gap(line, place, *position);
                }
            }
            _ => {}
        }
    }
    let can_end = story.stayed && joined.is_some() && run.has_home_at_end(&member.room);
    if let (true, Some(line), Some(at)) = (can_end, line, steps.at)
        // What the home has lost is nothing that the member could still get.
        && let Some(last) = line.all.iter().rposition(|numbered| !numbered.was_lost)
        && line.all[last].position != at
        && steps.latest.is_none_or(|latest| latest < last)
    {
        // A lost message of an earlier epoch is no later one.
        let is_later = steps.latest.is_some() || line.all[last].position.epoch == at.epoch;
        let step = line.step(member.conn, at, last);
        if is_later && step != Step::Whole && !(step == Step::Broken && run.loses) {
            steps.holes.push(Hole { from: steps.from, to: heard.len(), step });
        }
    }
    for hole in &steps.holes {
        found.missed += u64::from(matches!(hole.step, Step::Missing(_)));
        let is_told = is_told(run, story, *hole);
        assert!(is_told, "{hole:?}: nothing says that messages are missing: {heard:?} of {}", about());
    }
    causes(run, story, &steps.holes);
}

/// A place where messages are missing.
#[derive(Clone, Copy, Debug)]
struct Hole {
    /// The place behind the last numbered message before it.
    from: usize,
    /// The place of the first message after it.
    to: usize,
    step: Step,
}

/// Returns `true` if the member was told that messages are missing.
fn is_told(run: &Run, story: &Story<'_>, hole: Hole) -> bool {
    let gaps = &story.member.gaps;
    if !run.tells_gaps(&story.member.room) {
        return !gaps.is_empty();
    }
    let is_gap = |item: &Heard<'_>| matches!(item, Heard::Gap { .. });
    // Never later: a member that is cut off after the next message would return with its position.
    story.heard[hole.from..hole.to].iter().any(is_gap)
}

/// The messages of one member, in the order in which they came.
struct Steps<'s> {
    story: &'s Story<'s>,
    /// The position up to which the member has all messages, if it is known.
    at: Option<Position>,
    /// The number of the last message in the order of the home.
    latest: Option<usize>,
    /// The place behind the last message.
    from: usize,
    holes: Vec<Hole>,
    names: BTreeSet<&'s str>,
}

impl Steps<'_> {
    /// Goes on from the position in a notice: a member that is cut off now returns with it.
    fn gap(&mut self, line: Option<&Line<'_>>, place: usize, position: Position) {
        if let (Some(line), Some(at)) = (line, self.at) {
            let step = match line.between(at, position) {
                None => Step::Broken,
                Some(between) => line.missing(self.story.member.conn, &between),
            };
            if step != Step::Whole {
                self.holes.push(Hole { from: self.from, to: place + 1, step });
            }
        }
        self.latest = line.and_then(|line| line.place_at(position));
        (self.at, self.from) = (Some(position), place + 1);
    }

    fn message(
        &mut self,
        run: &Run,
        line: Option<&Line<'_>>,
        place: usize,
        name: &str,
        position: Option<Position>,
        found: &mut Found,
    ) {
        let Story { member, heard, .. } = self.story;
        let Some((line, number)) = line.and_then(|line| Some((line, line.place_of(name)?))) else {
            let may = run.reconfigures || run.room(&member.room).is_none();
            assert!(may && position.is_none(), "{name} came to {}, and no home has numbered it", member.conn);
            return;
        };
        let truth = line.all[number].position;
        assert!(position.is_none_or(|position| position == truth), "{name} is at {truth}, not {position:?}");
        assert!(
            self.latest.is_none_or(|latest| latest < number),
            "{name} came to {} in another order than that of its home: {heard:?}",
            member.conn
        );
        if let Some(at) = self.at {
            let step = line.step(member.conn, at, number);
            if step != Step::Whole {
                self.holes.push(Hole { from: self.from, to: place, step });
            }
            // What a member that compares epoch and offset alone believes.
            let seems_next = at.epoch == truth.epoch && at.offset.checked_add(1) == Some(truth.offset);
            found.deceived += u64::from(seems_next && step == Step::Broken);
        }
        (self.at, self.latest, self.from) = (Some(truth), Some(number), place + 1);
    }
}

/// Checks what a returning member was told about the time of its absence.
fn recovery(run: &Run, line: Option<&Line<'_>>, story: &Story<'_>, found: &mut Found) {
    let member = story.member;
    let Some(&(position, recovery)) = member.joined.first() else { return };
    let about = || format!("{} in {}, {member:?}", member.conn, member.room);
    let Some(since) = member.since else {
        assert!(recovery == Recovery::New || run.reconfigures, "nothing was asked for {}", about());
        return;
    };
    let between = position.and_then(|to| match line {
        Some(line) => line.between(since, to),
        None => (since == to).then(Vec::new),
    });
    match recovery {
        Recovery::New => panic!("a position was given for {}", about()),
        Recovery::Recovered { messages, .. } => {
            found.recovered += 1;
            let Some(between) = between else { panic!("a false recovery of {}", about()) };
            assert_eq!(messages, between.len(), "the missed messages of {}", about());
        }
        Recovery::NotRecovered(gap) => {
            *found.not_recovered.entry(gap).or_default() += 1;
            let is_same_epoch = position.is_some_and(|position| position.epoch == since.epoch);
            let count = between.as_ref().map(Vec::len);
            // Epoch and offset alone say that the room has gone on from there.
            let seems_whole = is_same_epoch && position.is_some_and(|position| position.offset >= since.offset);
            found.deceived += u64::from(gap == Gap::Rewritten && seems_whole && run.was_real(since));
            let is_so = match gap {
                Gap::OtherEpoch => !is_same_epoch,
                Gap::Rewritten => is_same_epoch && between.is_none(),
                Gap::TooOld => is_same_epoch && count != Some(0) && run.may_drop(&member.room, count),
                Gap::TooMany => count.is_some_and(|count| run.is_much(count)),
                Gap::NoHistory => position.is_none(),
                _ => false,
            };
            assert!(is_so, "{gap} is no reason for {}", about());
            let told = story.heard.iter().any(|item| matches!(item, Heard::Gap { why, .. } if *why == gap));
            let is_silent = !run.tells_gaps(&member.room) || !story.stayed;
            assert!(told || is_silent, "the notice of {gap} is missing for {}", about());
        }
        _ => panic!("an unknown recovery"),
    }
}

/// Checks that each gap that a member was told of has a cause.
fn causes(run: &Run, story: &Story<'_>, holes: &[Hole]) {
    let member = story.member;
    for (why, is_own) in &member.gaps {
        // If the queue has no place for it, also a returning member is told once it is slow no longer.
        let is_late = *is_own && member.joined.first().is_some_and(|(_, found)| *found == Recovery::NotRecovered(*why));
        let is_so = is_late
            || match why {
                Gap::TooSlow => *is_own && run.skips(),
                Gap::Rewritten | Gap::OtherEpoch => run.loses || run.reconfigures,
                Gap::NoHistory => run.reconfigures,
                _ => false,
            };
        assert!(is_so, "{why} has no cause for {} in {}", member.conn, member.room);
    }
    let slow = member.gaps.iter().filter(|(why, _)| *why == Gap::TooSlow).count();
    // With other gaps, what was skipped may have been their notice.
    let is_clear = story.stayed && !run.loses && !run.reconfigures;
    assert!(
        !is_clear || slow == 0 || !holes.is_empty(),
        "{} was told {slow} times that it missed messages in {}, and missed none: {:?}",
        member.conn,
        member.room,
        story.heard
    );
    let heard = story.heard.iter().filter(|item| matches!(item, Heard::Gap { why: Gap::TooSlow, .. })).count();
    let is_exact = story.stayed && run.tells_gaps(&member.room) && !run.reconfigures;
    assert!(!is_exact || heard == slow, "{} notices for {slow} gaps of {}: {:?}", heard, member.conn, story.heard);
}

/// Checks that each join led to exactly one event, unless the member left or its connection ended.
fn joined_once(run: &Run, desk: &Desk) {
    for member in &desk.members {
        let stayed = run.world.reason(member.conn) == Some(Reason::Shutdown) && !member.has_left;
        let count = member.joined.len();
        assert!(count <= 1 && (count == 1 || !stayed), "{count} times joined: {member:?}");
    }
}

/// Checks that each request was answered once, and truthfully.
fn answered_once(truth: &Truth<'_>, desk: &Desk) {
    for (number, request) in &desk.requests {
        let [answer] = &request.answers[..] else { panic!("request {number} has other than one answer: {request:?}") };
        let line = truth.line(&request.room);
        match (answer, &request.said) {
            (RoomAnswer::Published(Published::Kept { position, is_repeated, .. }), Some(said)) => {
                let line = line.unwrap_or_else(|| panic!("{request:?} was kept, and nothing was numbered"));
                let place = line.place_at(*position).unwrap_or_else(|| panic!("{position} is in no history"));
                let is_it = line.place_of(said) == Some(place);
                assert_ne!(is_it, *is_repeated, "{request:?} is at another position");
                assert!(!is_repeated || desk.said[said].key.is_some(), "{request:?} has no key");
            }
            (RoomAnswer::Published(Published::Refused(why)), Some(said)) => {
                let was_sent = line.and_then(|line| line.place_of(said)).is_some();
                assert!(!was_sent, "{said} was refused as {why}, and numbered");
                let said = &desk.said[said];
                let is_so = match why {
                    PublishRefusal::Message(_) => said.bytes > 0,
                    PublishRefusal::NoHome => true,
                    _ => false,
                };
                assert!(is_so, "{said:?} was refused as {why}");
            }
            (RoomAnswer::History(Ok(page)), None) => {
                let mut before = None;
                for (position, message) in page.messages.iter() {
                    let place = line.and_then(|line| line.place_at(*position));
                    let place = place.unwrap_or_else(|| panic!("{position} was never numbered"));
                    let line = line.expect("it has a message");
                    assert_eq!(*message, line.all[place].message, "the message at {position}");
                    let follows = before.is_none_or(|before| line.between(before, *position) == Some(vec![place]));
                    assert!(follows, "a page has a hole before {position}: {}", text(line.all[place]));
                    before = Some(*position);
                }
                let reaches = before.is_none_or(|last| page.has_more == (last != page.top));
                assert!(reaches, "whether more follow after {before:?}: {page:?}");
            }
            // A page may begin after a position that the history does not have.
            (
                RoomAnswer::History(Err(Gap::NoHistory | Gap::OtherEpoch | Gap::TooOld | Gap::Rewritten))
                | RoomAnswer::Present(_),
                None,
            )
            | (RoomAnswer::Unknown, _) => {}
            _ => panic!("{request:?} has the answer of another request"),
        }
    }
}

/// Checks that the homes have numbered all messages that could be numbered.
pub(crate) fn numbered(run: &Run) {
    let truth = Truth::new(run.world.numbered());
    for desk in run.world.handlers().filter(|_| !run.reconfigures) {
        for (name, said) in &desk.said {
            let line = truth.line(&said.room);
            let is_there = line.and_then(|line| line.place_of(name)).is_some();
            let may = match run.room(&said.room) {
                Some(Room { keep, .. }) => said.bytes <= keep.bytes.min(run.part()) as usize,
                None => false,
            };
            // Answers of those with a request are checked by themselves.
            assert!(said.request.is_some() || is_there == may, "{name} was numbered: {is_there}, {said:?}");
        }
    }
}
