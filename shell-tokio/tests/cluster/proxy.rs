//! A TCP proxy between a host and its broker, which swallows, delays and cuts.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

/// One way through the proxy.
#[derive(Debug)]
pub(crate) struct Way {
    /// Whether bytes are read and forgotten.
    pub(crate) swallows: AtomicBool,
    /// The delay of each piece, in milliseconds.
    pub(crate) delay: AtomicU64,
    /// After how many bytes the connection is cut. Negative: never.
    pub(crate) cut_after: AtomicI64,
}

impl Default for Way {
    fn default() -> Self {
        Self { swallows: AtomicBool::new(false), delay: AtomicU64::new(0), cut_after: AtomicI64::new(-1) }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ways {
    target: AtomicU16,
    pub(crate) to_broker: Way,
    pub(crate) to_host: Way,
    /// Number of connections that were cut.
    pub(crate) cuts: AtomicU64,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) ways: Arc<Ways>,
}

impl Proxy {
    /// Starts a proxy to a port. It ends with the test's process.
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let ways = Arc::new(Ways::default());
        ways.target.store(target, Ordering::Relaxed);
        let shared = Arc::clone(&ways);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let target = shared.target.load(Ordering::Relaxed);
                let Ok(far) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else { continue };
                let (there, back) = (Arc::clone(&shared), Arc::clone(&shared));
                std::thread::spawn(move || pass(near, far, &there, |ways| &ways.to_broker));
                std::thread::spawn(move || pass(far_again, near_again, &back, |ways| &ways.to_host));
            }
        });
        Self { port, ways }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends new connections to another port. Those that exist stay.
    pub(crate) fn aim(&self, target: u16) {
        self.ways.target.store(target, Ordering::Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, ways: &Ways, way: impl Fn(&Ways) -> &Way) {
    let (way, mut chunk) = (way(ways), vec![0; 16_384]);
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        let delay = way.delay.load(Ordering::Relaxed);
        if delay > 0 {
            std::thread::sleep(Duration::from_millis(delay));
        }
        if way.swallows.load(Ordering::Relaxed) {
            continue;
        }
        let piece = &chunk[..length];
        let left = way.cut_after.load(Ordering::Relaxed);
        if left >= 0 {
            let size = i64::try_from(length).expect("small");
            if left < size {
                way.cut_after.store(-1, Ordering::Relaxed);
                let _ = to.write_all(&piece[..usize::try_from(left).expect("positive")]);
                ways.cuts.fetch_add(1, Ordering::Relaxed);
                break;
            }
            way.cut_after.store(left - size, Ordering::Relaxed);
        }
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
