//! SSH servers to go through: OpenSSH's where there is one, and russh's in this process. Both can be taken down and brought
//! back at the same address.

use crate::skip;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// An SSH server, and what somebody needs to get in.
pub(crate) struct SshServer {
    pub(crate) directory: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    kind: Kind,
}

enum Kind {
    Open(OpenSsh),
    Russh(Option<RusshServer>),
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl SshServer {
    /// OpenSSH's, started for each connection as `inetd` does; `None`, with a word about it, where there is none.
    pub(crate) fn open(options: &str) -> Option<Self> {
        let sshd = Path::new("/usr/sbin/sshd");
        let is_root = text_of("id", &["-u"]) == "0";
        if is_root {
            // Its place for privilege separation, which the system makes when it starts the service.
            let _ = fs::create_dir_all("/run/sshd");
        }
        if !sshd.exists() || !Path::new("/run/sshd").exists() {
            skip("there is no OpenSSH server on this machine");
            return None;
        }
        let (directory, listener) = prepare();
        let address = listener.local_addr().expect("bound");
        let show = |name: &str| directory.join(name).display().to_string();
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nTrustedUserCAKeys {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             AllowTcpForwarding yes\nAllowStreamLocalForwarding yes\nStreamLocalBindUnlink yes\nMaxStartups 100\nMaxSessions 100\nPidFile none\n{options}\n",
            show("host"),
            show("authorized_keys"),
            show("ca.pub"),
        );
        fs::write(directory.join("sshd_config"), config).expect("written");
        let user = text_of("id", &["-un"]);
        let kind = Kind::Open(OpenSsh::start(listener, &directory));
        Some(Self { directory, address, user, kind })
    }

    /// russh's, in this process.
    pub(crate) fn russh() -> Self {
        let (directory, listener) = prepare();
        let address = listener.local_addr().expect("bound");
        let kind = Kind::Russh(Some(RusshServer::start(listener, &directory)));
        Self { directory, address, user: "anybody".into(), kind }
    }

    /// Both, or the one there is.
    pub(crate) fn each() -> Vec<Self> {
        Self::open("").into_iter().chain([Self::russh()]).collect()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// It is killed, with all that go through it, and nobody listens.
    pub(crate) fn take_down(&mut self) {
        match &mut self.kind {
            Kind::Open(sshd) => sshd.stop(),
            Kind::Russh(server) => drop(server.take()),
        }
    }

    /// It listens again where it was.
    pub(crate) fn bring_back(&mut self) {
        let listener = bind_again(self.address);
        match &mut self.kind {
            Kind::Open(sshd) => *sshd = OpenSsh::start(listener, &self.directory),
            Kind::Russh(server) => *server = Some(RusshServer::start(listener, &self.directory)),
        }
    }

    /// Sends a signal to every process of it, and says how many that were.
    pub(crate) fn signal(&self, name: &str) -> usize {
        let Kind::Open(sshd) = &self.kind else { return 0 };
        sshd.signal(name)
    }

    /// What the SSH server of this process is to do.
    pub(crate) fn mischief(&self) -> &Mischief {
        match &self.kind {
            Kind::Russh(Some(server)) => &server.mischief,
            _ => unreachable!("it is one of russh"),
        }
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.take_down();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Binds an address that was in use until now.
///
/// A process that another test starts at this moment has a copy of the old listener until it executes its program.
fn bind_again(address: SocketAddr) -> TcpListener {
    let mut tries = 0;
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && tries < 6_000 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result.expect("loopback is a whole network"),
        }
    }
}

/// A directory with keys and known hosts, and a listener at an address that nobody else has.
fn prepare() -> (PathBuf, TcpListener) {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("drupe-ssh-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    for name in ["host", "id", "other", "ca"] {
        write_key(&directory, name);
    }
    let public = |name: &str| fs::read_to_string(directory.join(name)).expect("written");
    fs::write(directory.join("authorized_keys"), public("id.pub")).expect("written");
    let [a, b] = std::process::id().to_be_bytes()[2..] else { unreachable!() };
    // A test that takes a port away and gets it back must be the only one that wants it.
    let ip = Ipv4Addr::new(127, a.max(1), b, u8::try_from(number % 250).expect("small") + 1);
    let listener = TcpListener::bind((ip, 0)).expect("loopback is a whole network");
    let address = listener.local_addr().expect("bound");
    let known = format!("[{}]:{} {}", address.ip(), address.port(), public("host.pub"));
    fs::write(directory.join("known_hosts"), known).expect("written");
    (directory, listener)
}

pub(crate) fn write_key(directory: &Path, name: &str) {
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("randomness");
    key.write_openssh_file(directory.join(name), LineEnding::LF).expect("written");
    fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o600)).expect("ours");
    let public = key.public_key().to_openssh().expect("encodable") + "\n";
    fs::write(directory.join(format!("{name}.pub")), public).expect("written");
}

fn text_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it is everywhere");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Accepts, and starts an `sshd -i` for each connection.
struct OpenSsh {
    stopped: Arc<AtomicBool>,
    children: Arc<Mutex<Vec<Child>>>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl OpenSsh {
    fn start(listener: TcpListener, directory: &Path) -> Self {
        let (stopped, children) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let address = listener.local_addr().expect("bound");
        let thread = std::thread::spawn({
            let (stopped, children, directory) = (Arc::clone(&stopped), Arc::clone(&children), directory.to_owned());
            move || {
                for stream in listener.incoming() {
                    if stopped.load(Ordering::Acquire) {
                        return;
                    }
                    let stream = OwnedFd::from(stream.expect("accepted"));
                    let log = fs::File::options().create(true).append(true).open(directory.join("sshd.log"));
                    let child = Command::new("/usr/sbin/sshd")
                        .args(["-i", "-e", "-f"])
                        .arg(directory.join("sshd_config"))
                        .stdin(Stdio::from(stream.try_clone().expect("descriptors")))
                        .stdout(Stdio::from(stream))
                        .stderr(log.expect("writable"))
                        .spawn()
                        .expect("it is there");
                    lock(&children).push(child);
                }
            }
        });
        Self { stopped, children, address, thread: Some(thread) }
    }

    /// The processes that were started, and theirs.
    fn processes(&self) -> BTreeSet<u32> {
        let mut found: BTreeSet<u32> = lock(&self.children).iter().map(Child::id).collect();
        loop {
            let parents: Vec<_> = found.iter().map(u32::to_string).collect();
            let children = text_of("pgrep", &["-P", &parents.join(",")]);
            let before = found.len();
            found.extend(children.lines().filter_map(|line| line.parse::<u32>().ok()));
            if found.len() == before {
                return found;
            }
        }
    }

    fn signal(&self, name: &str) -> usize {
        let processes = self.processes();
        for process in &processes {
            // It may have ended meanwhile.
            let _ = Command::new("kill").args([name, &process.to_string()]).stderr(Stdio::null()).status();
        }
        processes.len()
    }

    fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stopped.store(true, Ordering::Release);
        // It waits for somebody.
        let _ = std::net::TcpStream::connect(self.address);
        thread.join().expect("no panic");
        self.signal("-KILL");
        for mut child in lock(&self.children).drain(..) {
            child.wait().expect("it was started");
        }
    }
}

impl Drop for OpenSsh {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) use russh_server::Mischief;
use russh_server::RusshServer;

mod russh_server {
    use super::{Arc, JoinHandle, Mutex, Path, PathBuf, PrivateKey, TcpListener, fs, lock};
    use russh::keys::PublicKey;
    use russh::server::Msg;
    use russh::server::{Auth, Config, Handle, Handler, Session, VerifiedPublicKey, run_stream};
    use russh::{Channel, ChannelMsg};
    use std::collections::HashMap;
    use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinSet;

    pub(super) struct RusshServer {
        stop: Option<oneshot::Sender<()>>,
        thread: Option<JoinHandle<()>>,
        pub(super) mischief: Mischief,
    }

    /// The connections of a server of this process: to have it do what no good server does.
    #[derive(Clone, Default)]
    pub(crate) struct Mischief(Arc<Mutex<Vec<Handle>>>);

    impl Mischief {
        /// The latest connection.
        pub(crate) fn handle(&self) -> Handle {
            lock(&self.0).last().expect("somebody is connected").clone()
        }
    }

    impl RusshServer {
        pub(super) fn start(listener: TcpListener, directory: &Path) -> Self {
            let host = PrivateKey::read_openssh_file(directory.join("host")).expect("written");
            let known = directory.join("authorized_keys");
            let config = Config {
                keys: vec![host],
                auth_rejection_time: std::time::Duration::ZERO,
                inactivity_timeout: None,
                ..Config::default()
            };
            let config = Arc::new(config);
            let mischief = Mischief::default();
            let (stop, stopped) = oneshot::channel::<()>();
            let thread = std::thread::spawn({
                let mischief = mischief.clone();
                move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                    let accept = async {
                        listener.set_nonblocking(true).expect("a socket");
                        let listener = tokio::net::TcpListener::from_std(listener).expect("a reactor");
                        while let Ok((stream, _)) = listener.accept().await {
                            let handler =
                                Speaker { known: known.clone(), mischief: mischief.clone(), ..Speaker::default() };
                            let config = Arc::clone(&config);
                            tokio::spawn(async move {
                                if let Ok(session) = run_stream(config, stream, handler).await {
                                    let _ = session.await;
                                }
                            });
                        }
                    };
                    runtime.block_on(async {
                        tokio::select! { () = accept => {}, _ = stopped => {} }
                    });
                    // All that it does ends here, in the middle.
                    runtime.shutdown_background();
                }
            });
            Self { stop: Some(stop), thread: Some(thread), mischief }
        }
    }

    impl Drop for RusshServer {
        fn drop(&mut self) {
            drop(self.stop.take());
            if let Some(thread) = self.thread.take() {
                thread.join().expect("no panic");
            }
        }
    }

    /// Both ways, until both halves are over or the channel is closed, as OpenSSH does it.
    async fn carry(stream: impl AsyncRead + AsyncWrite, channel: Channel<Msg>) {
        let (mut from_peer, mut to_peer) = tokio::io::split(stream);
        let (mut from_channel, to_channel) = channel.split();
        let up = async {
            let _ = tokio::io::copy(&mut from_peer, &mut to_channel.make_writer()).await;
            let _ = to_channel.eof().await;
        };
        let down = async {
            while let Some(message) = from_channel.wait().await {
                match message {
                    ChannelMsg::Data { data } if to_peer.write_all(&data).await.is_ok() => {}
                    ChannelMsg::Eof => drop(to_peer.shutdown().await),
                    ChannelMsg::Data { .. } | ChannelMsg::Close => return,
                    _ => {}
                }
            }
        };
        tokio::pin!(down);
        tokio::select! {
            () = &mut down => {}
            () = up => down.await,
        }
        let _ = to_channel.close().await;
    }

    #[derive(Default)]
    struct Speaker {
        /// The file of the keys that it lets in.
        known: PathBuf,
        mischief: Mischief,
        /// What listens for it, by its place.
        forwards: HashMap<String, JoinSet<()>>,
    }

    impl Handler for Speaker {
        type Error = russh::Error;

        async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
            let known = fs::read_to_string(&self.known).expect("written");
            let known = known.lines().map(|line| PublicKey::from_openssh(line).expect("a key"));
            let is_known = known.into_iter().any(|known| known.key_data() == key.public_key.key_data());
            Ok(if is_known { Auth::Accept } else { Auth::reject() })
        }

        async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), russh::Error> {
            lock(&self.mischief.0).push(session.handle());
            Ok(())
        }

        async fn channel_open_direct_tcpip(
            &mut self,
            channel: russh::Channel<russh::server::Msg>,
            host: &str,
            port: u32,
            _: &str,
            _: u32,
            reply: russh::server::ChannelOpenHandle,
            _: &mut Session,
        ) -> Result<(), russh::Error> {
            let target = (host.to_owned(), u16::try_from(port).expect("a port"));
            tokio::spawn(async move {
                // A reply that is dropped is a no.
                if let Ok(stream) = tokio::net::TcpStream::connect(target).await {
                    reply.accept().await;
                    carry(stream, channel).await;
                }
            });
            Ok(())
        }

        async fn tcpip_forward(
            &mut self,
            address: &str,
            port: &mut u32,
            session: &mut Session,
        ) -> Result<bool, russh::Error> {
            let place = (address.to_owned(), u16::try_from(*port).expect("a port"));
            let Ok(listener) = tokio::net::TcpListener::bind(place).await else { return Ok(false) };
            let bound = listener.local_addr().expect("bound").port();
            *port = bound.into();
            let (handle, address) = (session.handle(), address.to_owned());
            let place = format!("{address}:{bound}");
            let mut forward = JoinSet::new();
            forward.spawn(async move {
                while let Ok((stream, peer)) = listener.accept().await {
                    let (handle, address) = (handle.clone(), address.clone());
                    tokio::spawn(async move {
                        let (ip, port) = (peer.ip().to_string(), u32::from(peer.port()));
                        let opened = handle.channel_open_forwarded_tcpip(address, bound.into(), ip, port).await;
                        if let Ok(channel) = opened {
                            carry(stream, channel).await;
                        }
                    });
                }
            });
            self.forwards.insert(place, forward);
            Ok(true)
        }

        async fn streamlocal_forward(&mut self, path: &str, session: &mut Session) -> Result<bool, russh::Error> {
            let _ = fs::remove_file(path);
            let Ok(listener) = tokio::net::UnixListener::bind(path) else { return Ok(false) };
            let (handle, path) = (session.handle(), path.to_owned());
            let place = path.clone();
            let mut forward = JoinSet::new();
            forward.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (handle, path) = (handle.clone(), path.clone());
                    tokio::spawn(async move {
                        if let Ok(channel) = handle.channel_open_forwarded_streamlocal(path).await {
                            carry(stream, channel).await;
                        }
                    });
                }
            });
            self.forwards.insert(place, forward);
            Ok(true)
        }

        async fn cancel_tcpip_forward(
            &mut self,
            address: &str,
            port: u32,
            _: &mut Session,
        ) -> Result<bool, russh::Error> {
            Ok(self.forwards.remove(&format!("{address}:{port}")).is_some())
        }

        async fn cancel_streamlocal_forward(&mut self, path: &str, _: &mut Session) -> Result<bool, russh::Error> {
            Ok(self.forwards.remove(path).is_some())
        }
    }
}
