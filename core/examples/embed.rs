//! Drives the machine without a shell: a loop over nonblocking `std` sockets and `poll(2)`.
//!
//! Run `cargo run -p drupe-core --example embed -- 127.0.0.1:7000`, then `nc 127.0.0.1 7000` in two
//! terminals. The module `embedding` explains it step by step.

use drupe_core::app::Chat;
use drupe_core::{AcceptFailure, Accepting, Command, Config, ConnId, End, Failure, Listen, ListenerId, Machine, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind::Interrupted, ErrorKind::WouldBlock, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Instant;

const DOOR: ListenerId = ListenerId::new(0);

struct Loop {
    machine: Machine<Chat>,
    listener: TcpListener,
    sockets: BTreeMap<ConnId, TcpStream>,
    buffer: Vec<u8>,
    started: Instant,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).unwrap_or("127.0.0.1:7000".into()).parse()?;
    let listener = TcpListener::bind(address)?;
    writeln!(io::stdout(), "listening on {}; press Enter to stop", listener.local_addr()?)?;
    Ok(serve(listener, &io::stdin())?)
}

/// Serves until `stop` is readable or closed, then drains.
pub(crate) fn serve(listener: TcpListener, stop: &impl AsFd) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let machine = Machine::new(Config::listening([Listen::lines(listener.local_addr()?)]), Chat::default());
    let (buffer, started) = (vec![0; 64 << 10], Instant::now());
    let mut it = Loop { machine, listener, sockets: BTreeMap::new(), buffer, started };
    it.machine.started(Time::START);
    let mut stop = Some(stop);
    while !it.machine.is_drained() {
        let (accepts, ready, stopped) = it.wait(stop)?;
        if stopped {
            stop = None;
            it.machine.command(it.now(), &Command::Drain);
        }
        if accepts {
            it.accept();
        }
        ready.into_iter().for_each(|id| it.read(id));
        it.machine.elapsed(it.now());
        it.write();
    }
    Ok(())
}

impl Loop {
    fn now(&self) -> Time {
        Time::START + self.started.elapsed()
    }

    /// Waits until a socket is ready for what the machine wants, or until the machine's deadline.
    ///
    /// Returns whether a peer waits to be accepted, the connections that are readable or writable,
    /// and whether the server is to stop.
    fn wait(&self, stop: Option<&impl AsFd>) -> io::Result<(bool, Vec<ConnId>, bool)> {
        let (mut ids, mut wanted) = (Vec::new(), Vec::new());
        for (&id, socket) in &self.sockets {
            let Some(intent) = self.machine.intent(id) else { continue };
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, intent.read);
            flags.set(PollFlags::OUT, !intent.transmit.is_empty());
            ids.push(id);
            wanted.push(PollFd::new(socket, flags));
        }
        let accepting = self.machine.accepting(DOOR) == Accepting::Now;
        wanted.push(PollFd::new(&self.listener, if accepting { PollFlags::IN } else { PollFlags::empty() }));
        wanted.extend(stop.map(|stop| PollFd::new(stop, PollFlags::IN)));
        let until = self.machine.deadline().map(|deadline| deadline.at.since(self.now()));
        match poll(&mut wanted, until.and_then(|until| Timespec::try_from(until).ok()).as_ref()) {
            Err(error) if error != Errno::INTR => return Err(error.into()),
            _ => {}
        }
        let possible = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let ready = ids.iter().zip(&wanted).filter(|(_, fd)| possible(fd)).map(|(&id, _)| id).collect();
        Ok((accepting && possible(&wanted[ids.len()]), ready, wanted.get(ids.len() + 1).is_some_and(possible)))
    }

    fn accept(&mut self) {
        match self.listener.accept() {
            Err(error) if matches!(error.kind(), WouldBlock | Interrupted) => {}
            Err(error) => self.machine.accept_failed(self.now(), DOOR, AcceptFailure::from(&error)),
            Ok((mut socket, peer)) => match self.machine.accepted(self.now(), DOOR, peer.into()) {
                Ok(id) if socket.set_nonblocking(true).is_ok() => drop(self.sockets.insert(id, socket)),
                Ok(id) => self.machine.failed(self.now(), id, Failure::Other),
                Err(refusal) => drop(socket.write(&refusal.farewell)),
            },
        }
    }

    fn read(&mut self, id: ConnId) {
        let now = self.now();
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        if self.machine.intent(id).is_some_and(|intent| intent.read) {
            match socket.read(&mut self.buffer) {
                Ok(0) => self.machine.ended(now, id),
                Ok(bytes) => self.machine.received(now, id, &mut self.buffer[..bytes]),
                Err(error) if matches!(error.kind(), WouldBlock | Interrupted) => {}
                Err(error) => self.machine.failed(now, id, Failure::from(&error)),
            }
        }
    }

    /// Writes to every socket until it blocks, and drops the sockets of closed connections.
    fn write(&mut self) {
        let now = self.now();
        let machine = &mut self.machine;
        self.sockets.retain(|&id, socket| {
            while let Some(intent) = machine.intent(id) {
                if intent.transmit.is_empty() {
                    // A second shutdown has no effect.
                    let _ = if intent.end == End::Shutdown { socket.shutdown(Shutdown::Write) } else { Ok(()) };
                    return true;
                }
                match socket.write(intent.transmit.first()) {
                    Ok(bytes) => machine.wrote(now, id, bytes),
                    Err(error) if error.kind() == Interrupted => {}
                    Err(error) if error.kind() == WouldBlock => {
                        machine.blocked(now, id);
                        return true;
                    }
                    Err(error) => machine.failed(now, id, Failure::from(&error)),
                }
            }
            false
        });
        while machine.next_changed().is_some() {}
        machine.turn_ended(now);
    }
}
