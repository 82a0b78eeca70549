//! Validation of listeners, and their conversion to those of the machine.

mod web;

use super::plan::limits::{networks, peer_limits};
use super::plan::problems::Problems;
use super::tree::{
    AccessChoice, CertificateSettings, ClientsChoice, EndingChoice, LineSettings, ListenerSettings, ModeChoice,
    ProtocolName, Settings,
};
use super::wires::{self, invalid};
use super::words::quoted;
use crate::base::Network;
use crate::config::{Address, Listen, SocketAccess};
use crate::tls::{CertificateFiles, ClientCertificates, Tls, TlsFiles};
use crate::tunnel::RemoteBind;
use crate::wire::http::{Credential, Http};
use crate::wire::telnet::{Charset, InputMode, Telnet};
use crate::wire::{Auto, Custom, LengthPrefix, LengthPrefixed, LineEnding, Lines, Protocol, Proxies, Wire};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

/// Maximum length in bytes of a Unix socket path on all systems (`sun_path` without its NUL).
const UNIX_PATH_MAX_BYTES: usize = 103;

pub(super) fn plan(
    settings: &Settings,
    credentials: Credentials<'_>,
    codecs: &[Custom],
    problems: &mut Problems<'_>,
) -> (Vec<Listen>, Vec<Option<TlsFiles>>) {
    let (mut listeners, mut tls): (Vec<Listen>, Vec<Option<TlsFiles>>) = (Vec::new(), Vec::new());
    for (name, listener) in &settings.listeners {
        let key = format!("listeners.{name}");
        problems.check_name(&key, name);
        let view = View { key: &key, settings, listener, credentials, codecs };
        let mut listen = view.listen(name, problems);
        let same = |other: &&Listen| other.address == listen.address && !listen.has_any_port();
        if let Some(other) = listeners.iter().find(same) {
            problems.add(&format!("{key}.address"), format!("listeners.{} has the same address", other.name));
        }
        tls.push(view.tls(problems));
        listen.tls = listener.tls.as_ref().map(|tls| Tls::pending(tls.handshake_timeout.0));
        listeners.push(listen);
    }
    let web = || settings.listeners.values().filter_map(|listener| listener.websocket.as_ref());
    let has_own = !settings.monitor.metrics_credential.is_empty();
    let (serves_monitor, asks_for_metrics) =
        (web().any(|web| web.monitor), web().any(|web| web.metrics == Some(AccessChoice::Credential)));
    if credentials.api.is_some() && !web().any(|web| web.api) {
        problems.add("api.key", "no listener uses it; set websocket.api of one");
    }
    if credentials.monitor.is_some() && !serves_monitor && (has_own || !asks_for_metrics) {
        let words = "no listener uses it; set websocket.monitor of one, or websocket.metrics to credential";
        problems.add("monitor.credential", words);
    }
    if has_own && !asks_for_metrics {
        problems.add("monitor.metrics_credential", "no listener uses it; set websocket.metrics of one to credential");
    }
    (listeners, tls)
}

impl Listen {
    fn has_any_port(&self) -> bool {
        match &self.address {
            Address::Tcp(address) => address.port() == 0,
            Address::Forwarded(forward) => matches!(forward.bind, RemoteBind::Tcp { port: 0, .. }),
            Address::Unix(_) | Address::Inherited(_) | Address::Mounted(_) => false,
        }
    }
}

/// The credentials for parts of listeners. `None`: the settings do not set it.
#[derive(Clone, Copy)]
pub(super) struct Credentials<'a> {
    pub(super) monitor: Option<&'a Credential>,
    pub(super) metrics: Option<&'a Credential>,
    pub(super) api: Option<&'a Credential>,
}

/// A listener, with the other settings that its checks need.
struct View<'a> {
    key: &'a str,
    settings: &'a Settings,
    listener: &'a ListenerSettings,
    credentials: Credentials<'a>,
    /// The codecs that the program has registered.
    codecs: &'a [Custom],
}

impl View<'_> {
    fn listen(&self, name: &str, problems: &mut Problems<'_>) -> Listen {
        let listener = self.listener;
        let address = self.address(problems);
        self.check_parts(problems);
        let protocol = self.protocol(&address, problems);
        let mut listen = Listen::new(address, protocol);
        listen.name = name.to_string();
        listen.app.clone_from(&listener.app);
        listen.socket = self.socket(&listen.address, problems);
        listen.connections_max = listener.connections_max.0.map(NonZeroU32::get);
        listen.welcome.clone_from(&listener.welcome);
        listen.prompt.clone_from(&listener.prompt);
        listen.half_open = listener.half_open;
        listen.notices = listener.notices.unwrap_or(listen.notices || listener.protocol == ProtocolName::WsTelnet);
        listen.refuses_http = listener.refuse_http.unwrap_or(listen.refuses_http);
        listen.allow = networks(&listener.allow);
        listen.deny = networks(&listener.deny);
        listen.limits = listener.limits.as_ref().map(|peer| {
            let limits = peer_limits(&format!("{}.limits", self.key), peer, problems);
            self.check_silence(limits.silence, &format!("{}.limits.silence", self.key), problems);
            limits
        });
        if listen.limits.is_none() {
            let silence = self.settings.limits.peer.silence.0.map(|span| span.0);
            self.check_silence(silence, "limits.peer.silence", problems);
        }
        listen.proxies = listener.proxy_protocol.as_ref().map(|proxies| {
            let trusted = self.trusted("proxy_protocol.trusted", &networks(&proxies.trusted), problems);
            Proxies { trusted, timeout: proxies.timeout.0 }
        });
        let has_metrics = listener.websocket.as_ref().is_some_and(|web| web.metrics.is_some());
        let metrics = listen.metrics_by_default();
        if let (Protocol::Http(http), false) = (&mut listen.protocol, has_metrics) {
            Arc::make_mut(http).metrics = metrics;
        }
        self.check_secrets(&listen, problems);
        listen
    }

    fn add(&self, key: &str, words: impl Into<String>, problems: &mut Problems<'_>) {
        problems.add(&format!("{}.{key}", self.key), words);
    }

    fn address(&self, problems: &mut Problems<'_>) -> Address {
        let text = &self.listener.address;
        if let Some(forward) = &self.listener.forward {
            if !text.is_empty() {
                self.add("address", "forward is set as well; set only one of them", problems);
            }
            return super::tunnels::forward(self.key, forward, self.settings, problems);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path == "@" {
                self.add("address", "a Unix socket needs a path, such as unix:/run/drupe.sock", problems);
            }
            if path.len() > UNIX_PATH_MAX_BYTES {
                let words = format!("the path of a Unix socket has at most {UNIX_PATH_MAX_BYTES} bytes");
                self.add("address", words, problems);
            }
            return Address::Unix(path.to_string());
        }
        if let Some(name) = text.strip_prefix("inherited:") {
            return Address::Inherited(name.to_string());
        }
        if let Some(name) = text.strip_prefix("mounted:") {
            if let Err(problem) = Address::check_mount(name) {
                self.add("address", problem, problems);
            }
            if self.listener.tls.is_some() || self.listener.proxy_protocol.is_some() {
                let words = "the other server of a mount has already handled TLS and the PROXY protocol; remove tls and \
                             proxy_protocol";
                self.add("address", words, problems);
            }
            return Address::Mounted(name.to_string());
        }
        match format!("tcp://{text}").parse::<Listen>() {
            Ok(listen) if !text.contains('?') => listen.address,
            _ => {
                let words = format!(
                    "{} is not an address and a port, such as 127.0.0.1:7000 or [::1]:7000, nor unix:PATH, inherited:NAME or mounted:NAME",
                    quoted(text)
                );
                self.add("address", words, problems);
                Address::Inherited(String::new())
            }
        }
    }

    fn socket(&self, address: &Address, problems: &mut Problems<'_>) -> SocketAccess {
        let Some(socket) = &self.listener.socket else { return SocketAccess::default() };
        if !matches!(address, Address::Unix(path) if !path.starts_with('@')) {
            self.add(
                "socket",
                "it has no effect on this address: it is for socket files, such as unix:/run/drupe.sock",
                problems,
            );
        }
        SocketAccess {
            mode: socket.mode.map(|mode| mode.0),
            group: Some(socket.group.clone()).filter(|group| !group.is_empty()),
        }
    }

    /// Adds an error for each option that the protocol does not use, or that a Unix socket cannot.
    fn check_parts(&self, problems: &mut Problems<'_>) {
        use ProtocolName::{Auto, Custom, Delimited, Length, Raw, Ssh, Tcp, Telnet, WebSocket, WsTelnet};
        let listener = self.listener;
        for (name, is_there, protocols) in [
            ("lines", listener.lines.is_some(), &[Tcp, Auto][..]),
            ("length", listener.length.is_some(), &[Length, Auto]),
            ("raw", listener.raw.is_some(), &[Raw]),
            ("delimited", listener.delimited.is_some(), &[Delimited]),
            ("codec", !listener.codec.is_empty(), &[Custom]),
            ("telnet", listener.telnet.is_some(), &[Telnet, WsTelnet, Auto]),
            ("ssh", listener.ssh.is_some(), &[Ssh]),
            ("websocket", listener.websocket.is_some(), &[WebSocket, WsTelnet]),
            ("forwarded", listener.forwarded.is_some(), &[WebSocket, WsTelnet]),
            ("wait", listener.wait.is_some(), &[Auto]),
            ("refuse_http", listener.refuse_http.is_some(), &[Tcp, Telnet, Length, Raw, Delimited, Custom, Auto]),
        ] {
            if is_there && !protocols.contains(&listener.protocol) {
                let known: Vec<_> = protocols.iter().map(|protocol| protocol.name()).collect();
                self.add(
                    name,
                    format!("it has no effect on {}: it is for {}", listener.protocol.name(), known.join(", ")),
                    problems,
                );
            }
        }
        let forward = listener.forward.as_ref();
        let is_unix = forward.map_or(listener.address.starts_with("unix:"), |to| !to.remote_bind_path.is_empty());
        for (name, networks) in [("allow", &listener.allow), ("deny", &listener.deny)] {
            if is_unix && !networks.is_empty() {
                self.add(name, "it has no effect on a Unix socket, whose peers have no address", problems);
            }
        }
    }

    /// Adds an error if the interval of pings is not shorter than the silence timeout.
    ///
    /// Otherwise the server would close idle but live peers.
    fn check_silence(&self, silence: Option<Duration>, key: &str, problems: &mut Problems<'_>) {
        let listener = self.listener;
        let web = listener.websocket.clone().unwrap_or_default();
        let asked = match listener.protocol {
            ProtocolName::WebSocket | ProtocolName::WsTelnet => web.ping.0,
            _ => None,
        };
        if let (Some(silence), Some(asked)) = (silence, asked)
            && asked.0 >= silence
        {
            let ping = format!("{}.websocket.ping", self.key);
            let words = format!("a peer must be pinged before it is closed as silent: {ping} must be less than {key}");
            problems.add_chosen(&[&ping, key], words);
        }
    }

    fn protocol(&self, address: &Address, problems: &mut Problems<'_>) -> Protocol {
        let listener = self.listener;
        match listener.protocol {
            ProtocolName::Tcp => Wire::Lines(lines(&listener.lines.clone().unwrap_or_default())).into(),
            ProtocolName::Telnet => Wire::Telnet(self.telnet(problems)).into(),
            ProtocolName::Length => {
                let prefix = self.prefix(&LengthPrefix::ALL, problems).unwrap_or(LengthPrefix::U32Be);
                Wire::LengthPrefixed(LengthPrefixed { prefix }).into()
            }
            ProtocolName::Raw => Wire::Raw(wires::raw(listener)).into(),
            ProtocolName::Ssh => Protocol::Ssh(Arc::new(wires::ssh(listener))),
            ProtocolName::Custom => wires::custom(self.key, listener, self.codecs, problems),
            ProtocolName::Delimited => Wire::Delimited(wires::delimited(self.key, listener, problems)).into(),
            ProtocolName::Auto => {
                let defaults = Auto::default();
                let prefixes = [LengthPrefix::U32Be, LengthPrefix::U64Be];
                Protocol::Auto(Auto {
                    telnet: self.telnet(problems),
                    lines: listener.lines.as_ref().map_or(defaults.lines, lines),
                    prefix: listener.length.as_ref().and_then(|_| self.prefix(&prefixes, problems)),
                    wait: listener.wait.map_or(defaults.wait, |wait| wait.0),
                })
            }
            ProtocolName::WebSocket => Protocol::Http(Arc::new(self.http(address, problems))),
            ProtocolName::WsTelnet => {
                let telnet = Some(self.telnet(problems));
                Protocol::Http(Arc::new(Http { telnet, ..self.http(address, problems) }))
            }
        }
    }

    fn prefix(&self, choices: &[LengthPrefix], problems: &mut Problems<'_>) -> Option<LengthPrefix> {
        let name = self.listener.length.clone().unwrap_or_default().prefix;
        let found = choices.iter().find(|prefix| prefix.name() == name).copied();
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|prefix| prefix.name()).collect();
            self.add("length.prefix", format!("{} is not one of {}", quoted(&name), names.join(", ")), problems);
        }
        found
    }

    fn telnet(&self, problems: &mut Problems<'_>) -> Telnet {
        let telnet = self.listener.telnet.clone().unwrap_or_default();
        let charset = Charset::named(&telnet.charset)
            .ok_or_else(|| format!("{} is not one of utf-8, iso-8859-1, ibm437, us-ascii", quoted(&telnet.charset)));
        Telnet {
            mode: match telnet.mode {
                ModeChoice::Line => InputMode::Line,
                ModeChoice::Character => InputMode::Character,
                ModeChoice::Keys => InputMode::Keys,
            },
            charset: problems.or(&format!("{}.telnet.charset", self.key), charset, Charset::default()),
            invalid_utf8: invalid(telnet.invalid),
            probe: telnet.probe,
            gmcp: telnet.gmcp,
            msdp: telnet.msdp,
            compress: telnet.compress,
            keep_alive: telnet.keep_alive.0.map(|span| span.0),
        }
    }

    fn trusted(&self, key: &str, networks: &[Network], problems: &mut Problems<'_>) -> Vec<Network> {
        if networks.is_empty() {
            self.add(key, "no proxy is trusted: list the networks of the proxies", problems);
        }
        if networks.iter().any(|network| network.to_string().ends_with("/0")) {
            self.add(key, "any peer could claim any address: list the networks of the proxies", problems);
        }
        networks.to_vec()
    }

    fn tls(&self, problems: &mut Problems<'_>) -> Option<TlsFiles> {
        let tls = self.listener.tls.as_ref()?;
        if tls.certificates.is_empty() {
            self.add("tls.certificates", "TLS needs a certificate: `- { certificate: FILE, key: FILE }`", problems);
        }
        for (number, files) in tls.certificates.iter().enumerate() {
            if files.certificate.is_empty() || files.key.is_empty() {
                self.add(&format!("tls.certificates[{number}]"), "it takes two files: certificate and key", problems);
            }
        }
        let authorities = &tls.authorities;
        if (tls.clients == ClientsChoice::None) != authorities.is_empty() {
            let words =
                "set both clients and authorities, or neither: certificates of peers need authorities to verify them";
            self.add("tls.authorities", words, problems);
        }
        let is_web = matches!(self.listener.protocol, ProtocolName::WebSocket | ProtocolName::WsTelnet);
        let web = || if is_web { ["http/1.1".to_string()].into() } else { Vec::new() };
        let files = TlsFiles {
            certificates: tls.certificates.iter().map(certificate).collect(),
            clients: match tls.clients {
                ClientsChoice::None => ClientCertificates::None,
                ClientsChoice::Optional => ClientCertificates::Optional(authorities.into()),
                ClientsChoice::Required => ClientCertificates::Required(authorities.into()),
            },
            protocols: tls.protocols.clone().unwrap_or_else(web),
            only_1_3: tls.only_1_3,
        };
        Some(files)
    }

    /// Adds an error if secrets would cross a network in the clear without `allow_plaintext`.
    fn check_secrets(&self, listen: &Listen, problems: &mut Problems<'_>) {
        let place = if self.listener.forward.is_some() { "forward" } else { "address" };
        let has_tls = self.listener.tls.is_some();
        let is_clear = !listen.is_local() && !has_tls && !listen.is_encrypted();
        if !is_clear || self.settings.authentication.allow_plaintext {
            return;
        }
        if let Some(words) = secrets_in_the_clear(self.settings, &format!("{}.tls", self.key)) {
            self.add(place, words, problems);
        }
        let web = self.listener.websocket.clone().unwrap_or_default();
        let uses = [
            ("websocket.monitor", web.monitor),
            ("websocket.metrics", web.metrics == Some(AccessChoice::Credential)),
            ("websocket.api", web.api),
        ];
        if let Some((part, _)) = uses.iter().find(|(_, is_used)| *is_used) {
            let words = format!(
                "a credential would cross the network in the clear: set {}.tls, or use a listener on loopback",
                self.key
            );
            self.add(part, words, problems);
        }
    }
}

/// Returns the error text for authentication in the clear, or `None` if peers send no secrets.
pub(super) fn secrets_in_the_clear(settings: &Settings, tls: &str) -> Option<String> {
    let auth = &settings.authentication;
    let what = match (auth.enabled, auth.dialogue, &auth.tokens) {
        (true, true, _) => "passwords",
        (true, false, Some(_)) => "tokens",
        _ => return None,
    };
    Some(format!(
        "{what} would cross the network in the clear: set {tls}, listen on loopback behind a proxy, or set \
         authentication.allow_plaintext"
    ))
}

fn certificate(files: &CertificateSettings) -> CertificateFiles {
    CertificateFiles { certificate: (&files.certificate).into(), key: (&files.key).into() }
}

fn lines(lines: &LineSettings) -> Lines {
    let ending = match lines.ending {
        EndingChoice::Lf => LineEnding::Lf,
        EndingChoice::CrLf => LineEnding::CrLf,
    };
    Lines { ending, invalid_utf8: invalid(lines.invalid) }
}
