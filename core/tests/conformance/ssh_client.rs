//! An SSH client, which runs on a thread of its own.

use super::PATIENCE;
use russh::client::{AuthResult, Config, Handle, Handler, Msg, connect};
use russh::keys::{PrivateKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle as RuntimeHandle};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The thread of a client. Once it is dropped, the sockets of the client are closed.
struct Worker {
    handle: RuntimeHandle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || drop(runtime.block_on(stopped)));
        Self { handle, stop: Some(stop), thread: Some(thread) }
    }

    /// Waits for something, but no longer than [`PATIENCE`].
    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(async { timeout(PATIENCE, work).await.expect("the server answers") })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().into_iter().for_each(|thread| thread.join().expect("no panic"));
    }
}

/// A connection that has exchanged keys with the server.
pub(super) struct SshClient {
    // Stopped first, so that the client says no goodbye.
    worker: Worker,
    handle: Handle<Trusting>,
}

/// Accepts each host key.
struct Trusting;

impl Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

impl SshClient {
    pub(super) fn connect(address: &str) -> Self {
        let address = address.split_once("://").expect("a scheme").1;
        let worker = Worker::start();
        // What a session does not look at stays in these buffers.
        let config = Config { window_size: 64 << 10, channel_buffer_size: 1, ..Config::default() };
        let handle = worker.wait(connect(Arc::new(config), address, Trusting)).expect("an SSH server");
        Self { worker, handle }
    }

    /// Logs in without a proof. Returns whether the server accepts it.
    pub(super) fn log_in(&mut self, user: &str) -> bool {
        Self::is_success(self.worker.wait(self.handle.authenticate_none(user)))
    }

    pub(super) fn log_in_with_password(&mut self, user: &str, password: &str) -> bool {
        Self::is_success(self.worker.wait(self.handle.authenticate_password(user, password)))
    }

    pub(super) fn log_in_with_key(&mut self, user: &str, key: PrivateKey) -> bool {
        let key = russh::keys::PrivateKeyWithHashAlg::new(Arc::new(key), None);
        Self::is_success(self.worker.wait(self.handle.authenticate_publickey(user, key)))
    }

    fn is_success(result: Result<AuthResult, russh::Error>) -> bool {
        result.expect("it is connected").success()
    }

    /// Begins a session. `size`: columns and rows of a terminal; without it, the session has lines.
    pub(super) fn session(self, size: Option<(u32, u32)>) -> SshSession {
        let channel = self.worker.wait(async {
            let mut channel = self.handle.channel_open_session().await.expect("it is logged in");
            if let Some((columns, rows)) = size {
                channel.request_pty(false, "xterm", columns, rows, 0, 0, &[]).await.expect("it is open");
            }
            channel.request_shell(true).await.expect("it is open");
            while !matches!(channel.wait().await.expect("it is open"), ChannelMsg::Success) {}
            channel
        });
        SshSession { channel, client: self, heard: String::new() }
    }
}

/// A session.
pub(super) struct SshSession {
    channel: Channel<Msg>,
    client: SshClient,
    /// What the test has not looked at yet.
    heard: String,
}

impl SshSession {
    pub(super) fn say(&mut self, text: &str) {
        self.client.worker.wait(self.channel.data_bytes(text.as_bytes().to_vec())).expect("it is open");
    }

    pub(super) fn resize(&mut self, columns: u32, rows: u32) {
        self.client.worker.wait(self.channel.window_change(columns, rows, 0, 0)).expect("it is open");
    }

    /// Reads until these words have come. Returns everything up to their end.
    pub(super) fn hear(&mut self, words: &str) -> String {
        loop {
            if let Some(at) = self.heard.find(words) {
                let rest = self.heard.split_off(at + words.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            match self.client.worker.wait(self.channel.wait()) {
                Some(ChannelMsg::Data { data }) => self.heard.push_str(&String::from_utf8_lossy(&data)),
                Some(ChannelMsg::Close) | None => panic!("the session ended before {words:?}: {:?}", self.heard),
                Some(_) => {}
            }
        }
    }

    /// Reads until the server has closed the session. Returns what came, and the exit status.
    pub(super) fn rest(mut self) -> (String, Option<u32>) {
        let mut status = None;
        loop {
            match self.client.worker.wait(self.channel.wait()) {
                Some(ChannelMsg::Data { data }) => self.heard.push_str(&String::from_utf8_lossy(&data)),
                Some(ChannelMsg::ExitStatus { exit_status }) => status = Some(exit_status),
                Some(ChannelMsg::Close) | None => return (self.heard, status),
                Some(_) => {}
            }
        }
    }
}
