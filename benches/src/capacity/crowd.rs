//! The members of rooms, and the application that they use.

use super::options::Options;
use drupe_core::{ConnId, Event, Handler, Hub, NoNote, Origin};
use std::collections::BTreeMap;

/// Which connection is on which host, and a member of which rooms.
///
/// Connections are spread over the hosts in turn, and the members of a room are connections that follow each other. So
/// a room has members on as many hosts as it can.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    hosts: u64,
    connections: u64,
    rooms: u64,
    members: u64,
}

impl Plan {
    pub(super) const fn new(options: &Options) -> Self {
        let Options { hosts, connections, rooms, members, .. } = *options;
        Self { hosts, connections, rooms, members }
    }

    /// Returns the number of connections on a host.
    pub(super) const fn connections_of(&self, host: u64) -> u64 {
        (self.connections + self.hosts - 1 - host) / self.hosts
    }

    /// Returns the host of a connection, and its number there.
    pub(super) const fn place(&self, connection: u64) -> (u64, u64) {
        (connection % self.hosts, connection / self.hosts)
    }

    /// Returns the connection of a member of a room.
    pub(super) const fn member(&self, room: u64, member: u64) -> u64 {
        (room * self.members + member) % self.connections
    }

    /// Returns the rooms of a connection.
    pub(super) fn rooms_of(self, host: u64, number: u64) -> impl Iterator<Item = u64> {
        let first = number * self.hosts + host;
        (first..self.rooms * self.members)
            .step_by(usize::try_from(self.connections).unwrap_or(usize::MAX))
            .map(move |membership| membership / self.members)
    }

    pub(super) const fn rooms(&self) -> u64 {
        self.rooms
    }

    pub(super) const fn members(&self) -> u64 {
        self.members
    }
}

/// The application on one host: connections join their rooms, and publish to the room that a line begins with.
#[derive(Debug)]
pub(super) struct Crowd {
    plan: Plan,
    host: u64,
    opened: u64,
    /// Number of gaps that members received, for each reason.
    pub(super) gaps: BTreeMap<&'static str, u64>,
    /// Number of connections that ended.
    pub(super) closed: u64,
}

impl Crowd {
    pub(super) const fn new(plan: Plan, host: u64) -> Self {
        Self { plan, host, opened: 0, gaps: BTreeMap::new(), closed: 0 }
    }

    fn join(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId) {
        for room in self.plan.rooms_of(self.host, self.opened) {
            hub.join(conn, &name(room)).expect("the limits leave room for all");
        }
        self.opened += 1;
    }
}

/// Returns the line with which a member publishes a message of this length to a room.
pub(super) fn line(room: u64, bytes: u64) -> Vec<u8> {
    let mut line = format!("{} ", name(room)).into_bytes();
    line.resize(line.len() + usize::try_from(bytes).unwrap_or(0), b'x');
    line.push(b'\n');
    line
}

fn name(room: u64) -> String {
    format!("room-{room}")
}

impl Handler for Crowd {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, origin: Origin::Listener(_), .. } => self.join(hub, conn),
            Event::Message { payload, .. } => {
                if let Some((room, text)) = payload.as_str().and_then(|line| line.split_once(' ')) {
                    hub.publish(room, text);
                }
            }
            Event::RoomGap(gap) => *self.gaps.entry(gap.why.name()).or_default() += 1,
            Event::Closed { .. } => self.closed += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, Plan};

    #[test]
    fn each_room_has_its_members_on_as_many_hosts_as_possible() {
        for words in
            ["--hosts 3 --connections 10 --rooms 7 --members 4", "--hosts 4 --connections 9 --rooms 2 --members 2"]
        {
            let options = Options::parse(words.split(' ')).expect("well formed");
            let plan = Plan::new(&options);
            let counted: u64 = (0..options.hosts).map(|host| plan.connections_of(host)).sum();
            assert_eq!(counted, options.connections);
            let mut members = vec![Vec::new(); usize::try_from(options.rooms).expect("small")];
            for host in 0..options.hosts {
                for number in 0..plan.connections_of(host) {
                    for room in plan.rooms_of(host, number) {
                        members[usize::try_from(room).expect("small")].push((host, number));
                    }
                }
            }
            for (room, mut found) in (0..).zip(members) {
                let mut expected: Vec<_> =
                    (0..options.members).map(|member| plan.place(plan.member(room, member))).collect();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected);
                expected.dedup_by_key(|(host, _)| *host);
                assert_eq!(expected.len() as u64, options.members.min(options.hosts));
            }
        }
    }
}
