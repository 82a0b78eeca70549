//! How long it takes after a cut of the link until the members of all rooms have what they missed.

use crate::processes::{Broker, Process, free_address};
use crate::samples::Samples;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

const CLIENTS: usize = 100;
const ROOMS_OF_CLIENT: usize = 100;
/// Rooms whose messages are published at once.
const BATCH: usize = 200;

pub(super) fn measure(out: &mut impl Write, repetitions: usize) -> io::Result<()> {
    let redis = Process::redis()?;
    let proxy = Proxy::start(redis.address)?;
    let (host, other) =
        (Process::host(1, Some(Broker::Redis(proxy.address)))?, Process::host(1, Some(Broker::Redis(redis.address)))?);
    let rooms: Vec<String> = (0..CLIENTS * ROOMS_OF_CLIENT).map(|number| format!("kept-{number:05}")).collect();
    let mut members = Vec::new();
    for rooms in rooms.chunks(ROOMS_OF_CLIENT) {
        let mut member = host.connect()?;
        member.join_all(rooms)?;
        members.push(member);
    }
    let mut sender = other.connect()?;
    sender.join("kept")?;
    let (mut from_link, mut from_network, mut of_redis, mut of_host) =
        <(Samples, Samples, Samples, Samples)>::default();
    for _ in 0..repetitions {
        proxy.cut();
        for rooms in rooms.chunks(BATCH) {
            let lines: String = rooms.iter().map(|room| format!("k {room} x\n")).collect();
            sender.send(lines.as_bytes())?;
            sender.read_all(b'k', 2 * rooms.len())?;
        }
        let (before, own) = (redis.cpu(), host.cpu());
        let restored = Instant::now();
        proxy.restore();
        for member in &mut members {
            member.read_all(b'x', 2 * ROOMS_OF_CLIENT)?;
        }
        let linked = proxy.linked_at().unwrap_or(restored);
        from_link.add(linked.elapsed().as_secs_f64());
        from_network.add(restored.elapsed().as_secs_f64());
        of_redis.add(redis.cpu() - before);
        of_host.add(host.cpu() - own);
    }
    writeln!(
        out,
        "\nRepair of {} rooms that each missed one message, {repetitions} cuts of the link, in seconds:\n",
        rooms.len()
    )?;
    writeln!(
        out,
        "| from the new connection | from the end of the cut | processor, host | processor, Redis |\n|---|---|---|---|"
    )?;
    let [link, network, host, redis] = [from_link, from_network, of_host, of_redis].map(|samples| samples.text(1.0, 2));
    writeln!(out, "| {link} | {network} | {host} | {redis} |")
}

/// A proxy for the link, which can be cut.
struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    streams: Vec<TcpStream>,
    linked_at: Option<Instant>,
}

impl Proxy {
    fn start(to: SocketAddr) -> io::Result<Self> {
        let address = free_address();
        let (listener, state) = (TcpListener::bind(address)?, Arc::new(Mutex::new(State::default())));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if state.is_cut {
                    continue;
                }
                let Ok(server) = TcpStream::connect(to) else { continue };
                state.linked_at = Some(Instant::now());
                for (from, to) in [(&stream, &server), (&server, &stream)] {
                    if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                        std::thread::spawn(move || copy(from, to));
                    }
                }
                state.streams.extend([stream, server]);
            }
        });
        Ok(Self { address, state })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the link, and accepts no other one for the moment.
    fn cut(&self) {
        let mut state = self.state();
        state.is_cut = true;
        for stream in state.streams.drain(..) {
            // The other end may have closed it.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    fn restore(&self) {
        let mut state = self.state();
        (state.is_cut, state.linked_at) = (false, None);
    }

    fn linked_at(&self) -> Option<Instant> {
        self.state().linked_at
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    // The ends decide themselves when they write.
    drop(to.set_nodelay(true));
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
    // A reset of one direction must reach the other one.
    drop(from.shutdown(Shutdown::Both));
}
