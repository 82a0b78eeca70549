//! SOCKS version 5 (RFC 1928), with user name and password (RFC 1929).

use super::options::Credentials;
use super::progress::{HandshakeProgress, Step};
use super::target::Target;
use crate::base::ProxyFault;
use alloc::vec::Vec;
use core::net::IpAddr;

/// The state of the handshake, with the part of the current answer that was received.
pub(super) struct Socks {
    stage: Stage,
    /// The current answer, at most 262 bytes: the longest reply (RFC 1928 section 6).
    held: Vec<u8>,
    /// The request to connect.
    request: Vec<u8>,
    /// The message with the credentials, if there are any.
    login: Option<Vec<u8>>,
}

/// The answer that is expected next.
#[derive(Clone, Copy)]
enum Stage {
    /// The method of authentication: version, method.
    Method,
    /// The outcome of the authentication: version, status.
    Login,
    /// The reply to the request: version, reply, reserved, address, port.
    Reply,
}

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xFF;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

impl Socks {
    /// Returns the state, and the greeting with the methods of authentication.
    pub(super) fn begin(target: Target<'_>, credentials: Option<&Credentials>) -> (Self, Vec<u8>) {
        let login = credentials.map(|Credentials { user, password }| {
            let mut login = [1].to_vec();
            put_short(&mut login, user.as_bytes());
            put_short(&mut login, password.as_bytes());
            login
        });
        let greeting = match &login {
            None => [VERSION, 1, NO_AUTHENTICATION].to_vec(),
            Some(_) => [VERSION, 2, NO_AUTHENTICATION, PASSWORD].to_vec(),
        };
        (Self { stage: Stage::Method, held: Vec::new(), request: request(target), login }, greeting)
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) -> Step {
        let mut output = Vec::new();
        for (&byte, used) in bytes.iter().zip(1..) {
            self.held.push(byte);
            match self.step() {
                Ok(Next::Unclear) => {}
                Ok(Next::Send(message)) => output.extend_from_slice(&message),
                Ok(Next::Done) => return Step { used, progress: HandshakeProgress::Done, output },
                Err(fault) => return Step::failed(fault),
            }
        }
        Step { output, ..Step::reading() }
    }

    fn step(&mut self) -> Result<Next, ProxyFault> {
        let stage = self.stage;
        let next = match (stage, self.held.as_slice()) {
            // Servers send different versions here, and other clients ignore them.
            (Stage::Login, [_, 0]) => self.send_request(),
            (Stage::Login, [_, _, ..]) => return Err(ProxyFault::CredentialsRefused),
            (Stage::Login, _) => Next::Unclear,
            (_, [version, ..]) if *version != VERSION => return Err(ProxyFault::NotProxy),
            (Stage::Method, [_, NO_AUTHENTICATION]) => self.send_request(),
            (Stage::Method, [_, PASSWORD]) => {
                self.stage = Stage::Login;
                Next::Send(self.login.take().ok_or(ProxyFault::NotProxy)?)
            }
            (Stage::Method, [_, NONE_ACCEPTABLE]) if self.login.is_some() => {
                return Err(ProxyFault::CredentialsRefused);
            }
            (Stage::Method, [_, NONE_ACCEPTABLE]) => return Err(ProxyFault::AuthenticationRequired),
            (Stage::Method, [_, _, ..]) => return Err(ProxyFault::NotProxy),
            (Stage::Reply, reply) => return parse_reply(reply),
            (Stage::Method, _) => Next::Unclear,
        };
        if matches!(next, Next::Send(_)) {
            self.held.clear();
        }
        Ok(next)
    }

    fn send_request(&mut self) -> Next {
        self.stage = Stage::Reply;
        Next::Send(core::mem::take(&mut self.request))
    }
}

/// The next step after a byte of an answer.
enum Next {
    /// The answer is incomplete.
    Unclear,
    /// The next message to the proxy.
    Send(Vec<u8>),
    /// The proxy has connected.
    Done,
}

/// Parses the reply to the request (RFC 1928 section 6). A failure needs only its first two bytes.
fn parse_reply(reply: &[u8]) -> Result<Next, ProxyFault> {
    if let Some(fault) = reply.get(1).and_then(|reply| fault_of(*reply)) {
        return Err(fault);
    }
    let address = match (reply.get(3), reply.get(4)) {
        (Some(&IPV4), _) => 4,
        (Some(&IPV6), _) => 16,
        (Some(&NAME), Some(&length)) => 1 + usize::from(length),
        (Some(&NAME) | None, _) => return Ok(Next::Unclear),
        _ => return Err(ProxyFault::NotProxy),
    };
    // The address and the port from which the proxy connects are not used.
    Ok(if reply.len() < 4 + address + 2 { Next::Unclear } else { Next::Done })
}

const fn fault_of(reply: u8) -> Option<ProxyFault> {
    Some(match reply {
        0 => return None,
        2 => ProxyFault::Forbidden,
        3 | 4 | 6 => ProxyFault::TargetUnreachable,
        5 => ProxyFault::TargetRefused,
        7 | 8 => ProxyFault::Unsupported,
        _ => ProxyFault::General,
    })
}

/// Returns the request to connect. The proxy resolves names.
fn request(target: Target<'_>) -> Vec<u8> {
    let mut request = [VERSION, CONNECT, 0].to_vec();
    match target.host {
        Ok(IpAddr::V4(ip)) => {
            request.push(IPV4);
            request.extend_from_slice(&ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            request.push(IPV6);
            request.extend_from_slice(&ip.octets());
        }
        Err(name) => {
            request.push(NAME);
            put_short(&mut request, name.as_bytes());
        }
    }
    request.extend_from_slice(&target.port.to_be_bytes());
    request
}

/// Appends the number of bytes, then the bytes: at most 255, which was checked before.
fn put_short(message: &mut Vec<u8>, bytes: &[u8]) {
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    message.push(length);
    message.extend(bytes.iter().take(length.into()));
}
