//! Authentication with a private key or an agent.

use super::LinkError;
use drupe_core::files;
use drupe_core::tunnel::{Ssh, TunnelFailure};
use russh::client::{AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

/// Maximum number of an agent's keys that are tried.
///
/// OpenSSH's server ends the connection after this many attempts by default (`MaxAuthTries`).
const AGENT_KEYS_MAX: usize = 6;

pub(super) enum Identity {
    Key(Box<Key>),
    /// The path of an agent's socket. The agent's keys are used.
    Agent(PathBuf),
}

/// A private key, and its certificate if it has one.
pub(super) struct Key {
    path: PathBuf,
    key: Arc<PrivateKey>,
    certificate: Option<Certificate>,
}

impl Identity {
    /// Reads and decrypts the configured key, or finds the agent. Decryption may take a moment.
    pub(super) fn load(ssh: &Ssh) -> Result<Self, LinkError> {
        let wrong = |words: String| LinkError::new(TunnelFailure::PrivateKey, words);
        let Some(key_path) = &ssh.key_path else {
            let socket = ssh.agent_socket.as_ref().map(|socket| expand(socket));
            let socket = socket.or_else(|| env::var_os("SSH_AUTH_SOCK").map(PathBuf::from));
            let none = "no key: set ssh_key_path, or ssh_agent_socket, or start an agent (SSH_AUTH_SOCK)";
            return socket.map(Self::Agent).ok_or_else(|| wrong(none.into()));
        };
        let path = expand(key_path);
        let shown = path.display();
        let text = files::read_text(&path).map_err(|error| wrong(format!("the key {shown} can't be read: {error}")))?;
        let mode = fs::metadata(&path).map_or(0, |found| found.permissions().mode());
        if ssh.check_key_permissions && mode & 0o077 != 0 {
            let mode = mode & 0o777;
            return Err(wrong(format!(
                "the key {shown} is accessible to others (its mode is {mode:04o}): chmod 600 {shown}, or set check_key_permissions to false"
            )));
        }
        let passphrase = ssh.key_passphrase.as_ref().map(|passphrase| passphrase.0.as_str());
        let key = russh::keys::decode_secret_key(&text, passphrase).map_err(|error| {
            wrong(match (error, passphrase) {
                (russh::keys::Error::KeyIsEncrypted, _) => {
                    format!("the key {shown} is encrypted: set ssh_key_passphrase_file")
                }
                (error, Some(_)) => format!("the key {shown} can't be decrypted with this passphrase: {error}"),
                (error, None) => format!("{shown} is not a private key in OpenSSH's format: {error}"),
            })
        })?;
        if matches!(key.algorithm(), Algorithm::Rsa { .. }) {
            let words = "is an RSA key, which is not supported: create one with ssh-keygen -t ed25519";
            return Err(wrong(format!("the key {shown} {words}")));
        }
        Ok(Self::Key(Box::new(Key { certificate: certificate(ssh, &path)?, path, key: Arc::new(key) })))
    }

    /// Authenticates as `user` to an SSH server.
    pub(super) async fn prove<H: Handler>(
        &self,
        handle: &mut Handle<H>,
        user: &str,
        host: &str,
    ) -> Result<(), LinkError> {
        match self {
            Self::Key(key) => key.prove(handle, user, host).await,
            Self::Agent(socket) => prove_with_agent(handle, user, host, socket).await,
        }
    }
}

impl Key {
    async fn prove<H: Handler>(&self, handle: &mut Handle<H>, user: &str, host: &str) -> Result<(), LinkError> {
        let Self { path, key, certificate } = self;
        let path = path.display();
        let (shown, result) = if let Some(certificate) = certificate {
            let result = handle.authenticate_openssh_cert(user, Arc::clone(key), certificate.clone()).await;
            (format!("the certificate {:?} of the key {path}", certificate.key_id()), result)
        } else {
            let with_hash = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
            let result = handle.authenticate_publickey(user, with_hash).await;
            (format!("the key {path} ({})", key.public_key().fingerprint(HashAlg::Sha256)), result)
        };
        match result {
            Ok(AuthResult::Success) => Ok(()),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                let methods: Vec<String> = remaining_methods.iter().map(Into::into).collect();
                let methods = methods.join(", ");
                let takes = if partial_success { "The server also requires" } else { "The server accepts" };
                Err(refused(host, user, &format!("{shown}. {takes} {methods}; is the key in authorized_keys?")))
            }
            Err(error) => Err(LinkError::new(TunnelFailure::Disconnected, format!("{host}: {error}"))),
        }
    }
}

fn refused(host: &str, user: &str, words: &str) -> LinkError {
    LinkError::new(TunnelFailure::Authentication, format!("{host} rejected {user} with {words}"))
}

async fn prove_with_agent<H: Handler>(
    handle: &mut Handle<H>,
    user: &str,
    host: &str,
    socket: &Path,
) -> Result<(), LinkError> {
    let shown = socket.display();
    let wrong = |error: &dyn std::fmt::Display| {
        LinkError::new(TunnelFailure::PrivateKey, format!("the agent at {shown} returned no keys: {error}"))
    };
    let mut agent = AgentClient::connect_uds(socket).await.map_err(|error| wrong(&error))?;
    let identities = agent.request_identities().await.map_err(|error| wrong(&error))?;
    if identities.is_empty() {
        return Err(wrong(&"it holds none; add one with ssh-add"));
    }
    let mut tried = Vec::new();
    for identity in identities.into_iter().take(AGENT_KEYS_MAX) {
        let result = match &identity {
            AgentIdentity::Certificate { certificate, .. } => {
                handle.authenticate_certificate_with(user, certificate.clone(), None, &mut agent).await
            }
            AgentIdentity::PublicKey { key, .. } => {
                // For RSA keys the server chooses the hash. Other kinds have only one.
                let is_rsa = matches!(key.algorithm(), Algorithm::Rsa { .. });
                let hash = if is_rsa { handle.best_supported_rsa_hash().await.ok().flatten().flatten() } else { None };
                handle.authenticate_publickey_with(user, key.clone(), hash, &mut agent).await
            }
        };
        match result {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure { .. }) if handle.is_closed() => break,
            Ok(AuthResult::Failure { .. }) => tried.push(identity.comment().to_owned()),
            Err(error) => tried.push(format!("{} ({error})", identity.comment())),
        }
    }
    Err(refused(host, user, &format!("every key of the agent at {shown}; tried: {}", tried.join(", "))))
}

/// Reads the configured certificate, or the one beside the key file, if any.
fn certificate(ssh: &Ssh, key: &Path) -> Result<Option<Certificate>, LinkError> {
    let beside = || {
        let mut name = key.as_os_str().to_owned();
        name.push("-cert.pub");
        Some(PathBuf::from(name)).filter(|path| path.exists())
    };
    let Some(path) = ssh.certificate_path.as_ref().map(|path| expand(path)).or_else(beside) else { return Ok(None) };
    let wrong = |error: String| {
        let words = format!("the certificate {} can't be used: {error}", path.display());
        LinkError::new(TunnelFailure::PrivateKey, words)
    };
    let text = files::read_text(&path).map_err(|error| wrong(error.to_string()))?;
    Certificate::from_openssh(&text).map(Some).map_err(|error| wrong(error.to_string()))
}

/// Replaces `~` at the start of a path with the home directory.
pub(super) fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.into(),
    }
}
