//! Brokers, hosts of a cluster and relays, each as a process of its own.

use crate::Hub;
use crate::cluster::Client;
use drupe_core::Cluster;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long a process may need until it accepts connections.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// The address of a broker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broker {
    Redis(SocketAddr),
    Nats(SocketAddr),
}

/// A process that listens on a port of the loopback interface. It is ended when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts a Redis server without data on the disk.
    pub(crate) fn redis() -> io::Result<Self> {
        let address = free_address();
        let mut command = Command::new("redis-server");
        command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--daemonize", "no", "--client-output-buffer-limit", "pubsub 256mb 64mb 60"]);
        Self::start(command, address)
    }

    /// Starts a nats-server with JetStream, which keeps its files in a directory.
    pub(crate) fn nats(directory: &Path) -> io::Result<Self> {
        let address = free_address();
        let mut command = Command::new("nats-server");
        command.args(["-js", "-a", "127.0.0.1", "-p", &address.port().to_string(), "-sd"]).arg(directory);
        command.arg("-l").arg(directory.join("log"));
        Self::start(command, address)
    }

    /// Starts a host with this number of workers, and a link to a broker.
    pub(crate) fn host(workers: u8, broker: Option<Broker>) -> io::Result<Self> {
        let address = free_address();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", &address.to_string(), &workers.to_string()]);
        command.args(broker.map(Broker::to_argument));
        Self::start(command, address)
    }

    /// Starts a relay. The program must call [`Hub::serve_if_asked`].
    ///
    /// # Errors
    /// If it does not start within 20 s.
    pub fn hub(hub: Hub) -> io::Result<Self> {
        let address = free_address();
        let mut command = Command::new(std::env::current_exe()?);
        command.args([Hub::SERVE, hub.name(), &address.to_string()]);
        Self::start(command, address)
    }

    /// Starts a process that listens at an address.
    pub(crate) fn start(mut command: Command, address: SocketAddr) -> io::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let process = Self { child, address };
        let began = Instant::now();
        while let Err(error) = TcpStream::connect(address) {
            if began.elapsed() > STARTS_WITHIN {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(process)
    }

    /// Connects to a host.
    pub(crate) fn connect(&self) -> io::Result<Client> {
        Client::connect(self.address)
    }

    /// Returns the address at which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the time that all threads have used the processor, in seconds.
    #[must_use]
    pub fn cpu(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let each =
            threads.into_iter().flatten().flatten().filter_map(|thread| cpu_in(&thread.path().join("schedstat")));
        each.sum()
    }

    /// Returns the memory that belongs to the process alone, and all that it has in use, in bytes.
    #[must_use]
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kilobytes.unwrap_or(0) * 1024
        };
        (field("RssAnon:"), field("VmRSS:"))
    }
}

impl Broker {
    /// Writes the broker as an argument of a host.
    fn to_argument(self) -> String {
        match self {
            Self::Redis(address) => format!("redis {address}"),
            Self::Nats(address) => format!("nats {address}"),
        }
    }

    /// Reads the argument of a host.
    pub(crate) fn from_argument(text: &str) -> Option<Self> {
        let (kind, address) = text.split_once(' ')?;
        let address = address.parse().ok()?;
        match kind {
            "redis" => Some(Self::Redis(address)),
            "nats" => Some(Self::Nats(address)),
            _ => None,
        }
    }

    pub(crate) fn cluster(self) -> Cluster {
        match self {
            Self::Redis(address) => Cluster::redis(address.to_string()),
            Self::Nats(address) => Cluster::nats(address.to_string()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the time that this thread has used the processor, in seconds.
///
/// # Panics
/// If the system has no such clock.
#[must_use]
#[allow(unsafe_code, reason = "files of the system are not as precise")]
pub fn own_cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is that of a variable.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "Linux has this clock");
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(nanos).unwrap_or_default())
        .as_secs_f64()
}

fn cpu_in(path: &std::path::Path) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.split_whitespace().next()?.parse().ok().map(|nanos| Duration::from_nanos(nanos).as_secs_f64())
}

/// Returns an address with a free port. The port is below those that the system gives to clients.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port < 32_000, "no port is free");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
