//! A chat server without an operating system: the machine on smoltcp, a TCP stack for bare metal.
//!
//! `Server` and `Stack` use only `core` and `alloc`, as on a microcontroller. There, a network card takes the place of the
//! loopback device, a hardware timer that of the variable `now`, and the loop sleeps between its turns. `std` only prints.
//!
//! Run `cargo run -p drupe-core --example smoltcp`. Two peers chat over the loopback device, in virtual time.

#![no_std]

extern crate alloc;
extern crate std;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use drupe_core::app::Chat;
use drupe_core::{Accepting, Config, ConnId, End, Failure, Listen, ListenerId, Machine, Time};
use smoltcp::iface::{self, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Loopback, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

const DOOR: ListenerId = ListenerId::new(0);
const PORT: u16 = 7000;
/// Size of each of the two buffers of a socket, in bytes.
const BUFFER: usize = 2048;
/// Maximum number of connections. With the sockets that listen, it bounds the memory of the buffers.
const CONNECTIONS_MAX: u32 = 16;
/// Number of peers that may connect in one turn. Each needs a socket that listens already.
const BACKLOG: usize = 4;

/// The network card and the TCP stack.
struct Stack {
    device: Loopback,
    interface: Interface,
    sockets: SocketSet<'static>,
}

impl Stack {
    fn new() -> Self {
        let mut device = Loopback::new(Medium::Ip);
        let mut interface = Interface::new(iface::Config::new(HardwareAddress::Ip), &mut device, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // There is room for one address.
            let _ = addresses.push(IpCidr::new(IpAddress::v4(127, 0, 0, 1), 8));
        });
        Self { device, interface, sockets: SocketSet::new(Vec::new()) }
    }

    /// Adds a socket that is not connected.
    fn add(&mut self) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        self.sockets.add(Socket::new(buffer(), buffer()))
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Sends and receives packets.
    fn poll(&mut self, now: Time) {
        self.interface.poll(instant(now), &mut self.device, &mut self.sockets);
    }
}

fn instant(now: Time) -> Instant {
    Instant::from_micros(i64::try_from(now.since(Time::START).as_micros()).unwrap_or(i64::MAX))
}

/// A shell: it owns the sockets, and the machine decides.
struct Server {
    machine: Machine<Chat>,
    /// The sockets that listen. Each becomes the socket of the peer that connects to it.
    listening: Vec<SocketHandle>,
    sockets: BTreeMap<ConnId, SocketHandle>,
    /// The sockets that the machine has given up, and that still send their last bytes.
    leaving: Vec<SocketHandle>,
}

impl Server {
    fn new(stack: &mut Stack, seed: u64) -> Self {
        let listen = Listen::lines(SocketAddr::from(([127, 0, 0, 1], PORT))).connections_max(Some(CONNECTIONS_MAX));
        let mut machine = Machine::new(Config::listening([listen]).seed(Some(seed)), Chat::default());
        machine.started(Time::START);
        let listening = (0..BACKLOG).map(|_| stack.add()).collect();
        Self { machine, listening, sockets: BTreeMap::new(), leaving: Vec::new() }
    }

    /// Runs one turn. Returns how long the processor may sleep if no packet arrives, or `None` for ever.
    fn turn(&mut self, stack: &mut Stack, now: Time) -> Option<Duration> {
        stack.poll(now);
        self.accept(stack, now);
        self.read(stack, now);
        self.machine.elapsed(now);
        self.write(stack, now);
        stack.poll(now);
        self.forget(stack);
        let of_machine = self.machine.deadline().map(|deadline| deadline.at.since(now));
        let of_stack = stack.interface.poll_delay(instant(now), &stack.sockets).map(Duration::from);
        of_machine.into_iter().chain(of_stack).min()
    }

    fn accept(&mut self, stack: &mut Stack, now: Time) {
        for slot in &mut self.listening {
            let is_wanted = self.machine.accepting(DOOR) == Accepting::Now;
            let socket = stack.socket(*slot);
            if is_wanted && !socket.is_open() {
                // The address is valid, and the socket is closed: this cannot fail.
                let _ = socket.listen(PORT);
            }
            // It may have received bytes, and the peer may even have ended its half.
            let is_connected = matches!(socket.state(), State::Established | State::CloseWait);
            let Some(peer) = socket.remote_endpoint().filter(|_| is_wanted && is_connected) else { continue };
            let peer = SocketAddr::new(peer.addr.into(), peer.port);
            match self.machine.accepted(now, DOOR, peer.into()) {
                Ok(conn) => drop(self.sockets.insert(conn, *slot)),
                Err(refusal) => {
                    let _ = socket.send_slice(&refusal.farewell);
                    socket.close();
                    self.leaving.push(*slot);
                }
            }
            *slot = stack.add();
        }
    }

    fn read(&mut self, stack: &mut Stack, now: Time) {
        let machine = &mut self.machine;
        for (&conn, &handle) in &self.sockets {
            let socket = stack.socket(handle);
            // The machine decodes the bytes in the buffer of the stack: nothing is copied.
            while machine.intent(conn).is_some_and(|intent| intent.read) && socket.can_recv() {
                let _ = socket.recv(|bytes| {
                    machine.received(now, conn, bytes);
                    (bytes.len(), ())
                });
            }
            if !machine.intent(conn).is_some_and(|intent| intent.read) || socket.may_recv() {
                continue;
            }
            match socket.state() {
                State::Closed => machine.failed(now, conn, Failure::Reset),
                _ => machine.ended(now, conn),
            }
        }
    }

    /// Writes to each connection whose intent changed, or whose socket had no room the last time.
    ///
    /// A server with few connections visits all of them, which is simpler than to remember the latter.
    fn write(&mut self, stack: &mut Stack, now: Time) {
        let machine = &mut self.machine;
        while machine.next_changed().is_some() {}
        self.sockets.retain(|&conn, &mut handle| {
            let socket = stack.socket(handle);
            while let Some(intent) = machine.intent(conn) {
                let bytes = intent.transmit.first();
                if bytes.is_empty() {
                    if intent.end == End::Shutdown {
                        socket.close();
                    }
                    return true;
                }
                match socket.send_slice(bytes) {
                    Ok(0) => {
                        machine.blocked(now, conn);
                        return true;
                    }
                    Ok(count) => machine.wrote(now, conn, count),
                    Err(_) => machine.failed(now, conn, Failure::Reset),
                }
            }
            socket.close();
            self.leaving.push(handle);
            false
        });
        machine.turn_ended(now);
    }

    /// Removes the sockets whose last bytes have arrived.
    fn forget(&mut self, stack: &mut Stack) {
        self.leaving.retain(|&handle| {
            let is_over = matches!(stack.socket(handle).state(), State::Closed | State::TimeWait);
            if is_over {
                drop(stack.sockets.remove(handle));
            }
            !is_over
        });
    }
}

/// A peer on the other side of the loopback device.
struct Client {
    handle: SocketHandle,
    received: String,
}

impl Client {
    fn connect(stack: &mut Stack, port: u16) -> Self {
        let handle = stack.add();
        let context = stack.interface.context();
        // The socket is new and the addresses are valid: this cannot fail.
        let _ = stack.sockets.get_mut::<Socket<'_>>(handle).connect(context, (IpAddress::v4(127, 0, 0, 1), PORT), port);
        Self { handle, received: String::new() }
    }

    /// Sends a line if the socket is connected and has room for it.
    fn send(&self, stack: &mut Stack, line: &str) -> bool {
        let socket = stack.socket(self.handle);
        socket.send_capacity() - socket.send_queue() >= line.len() && socket.send_slice(line.as_bytes()).is_ok()
    }

    fn receive(&mut self, stack: &mut Stack) {
        let socket = stack.socket(self.handle);
        while socket.can_recv() {
            let text = socket.recv(|bytes| (bytes.len(), String::from_utf8_lossy(bytes).into_owned()));
            self.received.extend(text);
        }
    }
}

/// The server, its network and the time, which passes only when there is nothing else to do.
struct World {
    stack: Stack,
    server: Server,
    clients: Vec<Client>,
    now: Time,
}

impl World {
    fn new() -> Self {
        let mut stack = Stack::new();
        // A microcontroller has a source of entropy for the seed.
        let server = Server::new(&mut stack, 1);
        Self { stack, server, clients: Vec::new(), now: Time::START }
    }

    fn connect(&mut self) {
        let port = 49152 + u16::try_from(self.clients.len()).unwrap_or_default();
        self.clients.push(Client::connect(&mut self.stack, port));
    }

    /// Runs turns until `is_done` returns `true`. Returns `false` if that takes more than 10,000 turns.
    fn run_until(&mut self, mut is_done: impl FnMut(&mut Self) -> bool) -> bool {
        (0..10_000).any(|_| {
            let sleep = self.server.turn(&mut self.stack, self.now);
            for client in &mut self.clients {
                client.receive(&mut self.stack);
            }
            // At least something, as a real clock does.
            self.now = self.now + sleep.unwrap_or_default().clamp(Duration::from_micros(10), Duration::from_millis(10));
            is_done(self)
        })
    }

    fn says(&mut self, client: usize, line: &str) -> bool {
        self.run_until(|world| world.clients.get(client).is_some_and(|client| client.send(&mut world.stack, line)))
    }

    fn hears(&mut self, client: usize, text: &str) -> bool {
        self.run_until(|world| world.clients.get(client).is_some_and(|client| client.received.contains(text)))
    }
}

/// Lets two peers chat. Returns what each received, or `None` if something did not happen.
fn chat() -> Option<[String; 2]> {
    let mut world = World::new();
    world.connect();
    world.connect();
    let is_done = world.says(0, "/nick ann\n")
        && world.hears(1, "is now ann")
        && world.says(1, "hello, Ann\n")
        && world.hears(0, "hello, Ann")
        && world.hears(1, "hello, Ann");
    let mut received = world.clients.into_iter().map(|client| client.received);
    Some([received.next()?, received.next()?]).filter(|_| is_done)
}

fn main() {
    use std::io::{Write, stdout};
    for (number, received) in chat().into_iter().flatten().enumerate() {
        // Without a reader of the output, there is nothing to do.
        let _ = writeln!(stdout(), "peer {} received:\n{received}", number + 1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

    use super::*;
    use drupe_core::{Command, Reason};

    #[test]
    fn peers_chat_over_a_stack_without_an_operating_system() {
        let [ann, guest] = chat().expect("it happens");
        assert!(ann.contains("welcome") && ann.contains("hello, Ann\n"), "{ann}");
        assert!(guest.contains("is now ann\n"), "{guest}");
        assert_eq!(chat(), Some([ann, guest]), "the same in each run");
    }

    #[test]
    fn peer_that_does_not_read_holds_up_nobody_and_gets_everything_later() {
        let mut world = World::new();
        (0..2).for_each(|_| world.connect());
        assert!(world.hears(1, "welcome"));
        // Client 0 receives in `run_until`, so this one stands beside the clients.
        let slow = Client::connect(&mut world.stack, 50_000);
        assert!(world.hears(0, "guest3 came"));
        for number in 0..200 {
            let line = alloc::format!("a line that fills the buffers of the one who does not read: {number}\n");
            assert!(world.says(0, &line) && world.hears(1, &line), "{number}");
        }
        let queued = world.server.machine.metrics().queued_bytes;
        assert!(queued > 0, "it waits in the machine");
        world.clients.push(slow);
        assert!(world.hears(2, "who does not read: 199\n"));
        let count = world.clients.last().map(|slow| slow.received.matches("who does not read").count());
        assert_eq!(count, Some(200));
    }

    #[test]
    fn sockets_of_ended_connections_are_freed_and_refused_peers_learn_why() {
        let mut world = World::new();
        let max = usize::try_from(CONNECTIONS_MAX).expect("small");
        for client in 0..max {
            world.connect();
            assert!(world.hears(client, "welcome"), "{client}");
        }
        world.connect();
        assert!(world.hears(max, "closing ("), "one too many");
        let handles: Vec<_> = world.clients.iter().map(|client| client.handle).collect();
        handles.into_iter().for_each(|handle| world.stack.socket(handle).close());
        assert!(world.run_until(|world| world.server.sockets.is_empty() && world.server.leaving.is_empty()));
        assert_eq!(world.server.machine.metrics().ended.get(Reason::PeerClosed), u64::from(CONNECTIONS_MAX));
        // Those of the clients, and those that listen.
        assert_eq!(world.stack.sockets.iter().count(), world.clients.len() + BACKLOG);
    }

    #[test]
    fn drain_tells_peers_and_ends() {
        let mut world = World::new();
        world.connect();
        assert!(world.hears(0, "welcome"));
        world.server.machine.command(world.now, &Command::Drain);
        assert!(world.hears(0, "closing (shutdown)"));
        assert!(world.run_until(|world| world.server.machine.is_drained()));
    }
}
