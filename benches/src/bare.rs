//! A relay on a bare epoll loop, as a reference.
//!
//! In each turn it collects the input of all ready sockets in one buffer, and writes that to each
//! connection with one call. It closes a connection whose socket is full, so it needs clients that
//! read.

#![allow(unsafe_code, reason = "the loop calls the system directly, without a library in between")]

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

struct Connection {
    stream: TcpStream,
    partial: Vec<u8>,
    /// The part of the turn's batch that this connection sent itself.
    own: Option<std::ops::Range<usize>>,
}

/// Serves at an address for ever. Passes the address to `told` once it listens.
///
/// # Errors
/// If listening, accepting a connection or epoll fails.
///
/// # Panics
/// If epoll returns an invalid file descriptor.
pub fn serve(at: SocketAddr, told: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let (listener, epoll, mut ready) = listen(at)?;
    told(listener.local_addr()?);
    let mut connections = BTreeMap::<i32, Connection>::new();
    let (mut scratch, mut batch) = (vec![0; 1 << 16], Vec::new());
    loop {
        batch.clear();
        for fd in wait(epoll, &mut ready) {
            if fd == listener.as_raw_fd() {
                while let Some(stream) = accept(&listener, epoll)? {
                    connections.insert(stream.as_raw_fd(), Connection { stream, partial: Vec::new(), own: None });
                }
            } else if let Some(connection) = connections.get_mut(&fd)
                && !read(connection, &mut scratch, &mut batch)
            {
                connections.remove(&fd);
            }
        }
        if !batch.is_empty() {
            connections.retain(|_, connection| write(connection, &batch));
        }
    }
}

fn read(connection: &mut Connection, scratch: &mut [u8], batch: &mut Vec<u8>) -> bool {
    let Ok(bytes @ 1..) = connection.stream.read(scratch) else { return false };
    let start = batch.len();
    if let Some(end) = scratch[..bytes].iter().rposition(|&byte| byte == b'\n') {
        batch.append(&mut connection.partial);
        batch.extend_from_slice(&scratch[..=end]);
        connection.partial.extend_from_slice(&scratch[end + 1..bytes]);
        connection.own = Some(start..batch.len());
    } else {
        connection.partial.extend_from_slice(&scratch[..bytes]);
    }
    true
}

fn write(connection: &mut Connection, batch: &[u8]) -> bool {
    let (length, result) = match connection.own.take() {
        None => (batch.len(), connection.stream.write(batch)),
        Some(own) => {
            let around = [IoSlice::new(&batch[..own.start]), IoSlice::new(&batch[own.end..])];
            let length = batch.len() - own.len();
            (length, if length == 0 { Ok(0) } else { connection.stream.write_vectored(&around) })
        }
    };
    result.is_ok_and(|written| written == length)
}

/// Creates a listener, an event queue that has it, and the space for the queue's answers.
pub(crate) fn listen(at: SocketAddr) -> io::Result<(TcpListener, i32, Vec<libc::epoll_event>)> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    // SAFETY: the call takes no pointers.
    let epoll = unsafe { libc::epoll_create1(0) };
    add(epoll, listener.as_raw_fd())?;
    Ok((listener, epoll, vec![libc::epoll_event { events: 0, u64: 0 }; 1024]))
}

/// Accepts a connection and adds it to the event queue. Returns `None` if none is waiting.
pub(crate) fn accept(listener: &TcpListener, epoll: i32) -> io::Result<Option<TcpStream>> {
    let Ok((stream, _)) = listener.accept() else { return Ok(None) };
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    add(epoll, stream.as_raw_fd())?;
    Ok(Some(stream))
}

/// Waits until descriptors are ready.
pub(crate) fn wait(epoll: i32, ready: &mut [libc::epoll_event]) -> impl Iterator<Item = i32> {
    let most = i32::try_from(ready.len()).unwrap_or(i32::MAX);
    // SAFETY: the pointer and the count belong to the same slice.
    let count = unsafe { libc::epoll_wait(epoll, ready.as_mut_ptr(), most, -1) };
    let ready = &ready[..usize::try_from(count).unwrap_or(0)];
    ready.iter().map(|event| i32::try_from(event.u64).expect("a descriptor"))
}

fn add(epoll: i32, fd: i32) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: u64::try_from(fd).unwrap_or(0) };
    // SAFETY: the event outlives the call.
    if unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
