//! A relay as in a tokio tutorial: a broadcast channel, and a task for each connection.
//!
//! The task sends the lines of its peer to the channel, and writes what it receives from there.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, Sender};

pub(crate) async fn serve(at: SocketAddr, told: impl FnOnce(SocketAddr)) {
    let listener = TcpListener::bind(at).await.expect("a port");
    told(listener.local_addr().expect("an address"));
    let (sender, _) = broadcast::channel(1 << 16);
    for number in 0_u64.. {
        if let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("it is TCP");
            tokio::spawn(connection(number, stream, sender.clone()));
        }
    }
}

async fn connection(number: u64, stream: TcpStream, sender: Sender<(u64, Arc<str>)>) {
    let mut receiver = sender.subscribe();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => drop(sender.send((number, (line + "\n").into()))),
                _ => return,
            },
            message = receiver.recv() => match message {
                Ok((from, text)) if from != number => if write.write_all(text.as_bytes()).await.is_err() { return },
                Ok(_) => {}
                Err(_) => return,
            },
        }
    }
}
