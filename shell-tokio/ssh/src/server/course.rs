//! The course of an SSH connection, from the key exchange to the end of its session: what it may do, and how it ends.
//!
//! This file does no I/O and uses nothing else of this crate, because the fuzz target `ssh_course` compiles it as well.

use drupe_core::wire::ssh::SshFault;
use std::cmp::Ordering;

/// Maximum number of refused requests of one connection that are logged.
const LOGGED_MAX: u32 = 8;
/// Maximum number of refused requests of one connection, after which it ends.
const REFUSED_MAX: u32 = 64;

/// What a connection has done so far.
#[derive(Debug)]
pub(super) struct Course {
    attempts_max: u32,
    step: Step,
    /// Number of failed attempts to authenticate.
    failures: u32,
    /// Number of refused requests.
    refused: u32,
    /// The number of the channel of the session.
    channel: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// The key exchange.
    Begun,
    /// An attempt to authenticate has failed.
    Refused,
    /// The peer has logged in.
    Admitted,
    /// The session has begun.
    Session,
}

/// What to do about a request that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Log,
    /// As `Log`. No more are logged.
    LogLast,
    Ignore,
    /// The connection ends.
    End(SshFault),
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nothing has failed.
    Done,
    /// A limit of this server.
    Limit(SshFault),
    /// The peer has disconnected, or has closed its socket in order.
    HungUp,
    /// The socket has failed.
    Socket,
    /// The peer has not answered questions whether it is alive.
    Silent,
    /// The first line is not an SSH version.
    Version,
    KeyExchange,
    /// Anything else that breaks the protocol.
    Protocol,
}

/// What the machine hears of the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The input of the session has ended.
    Input,
    /// The connection of the session has failed.
    Broken,
    /// The connection of the session has timed out.
    TimedOut,
    Fault(SshFault),
}

impl Course {
    /// Begins a connection with a limit on its failed attempts.
    pub(super) const fn new(attempts_max: u32) -> Self {
        Self { attempts_max, step: Step::Begun, failures: 0, refused: 0, channel: None }
    }

    /// Counts a failed attempt to authenticate.
    ///
    /// # Errors
    /// The fault with which the connection ends, if there were too many.
    pub(super) fn fail(&mut self) -> Result<(), SshFault> {
        self.failures = self.failures.saturating_add(1);
        self.reach(Step::Refused);
        // russh tells the client one attempt later that there were too many.
        if self.failures > self.attempts_max { Err(SshFault::Refused) } else { Ok(()) }
    }

    pub(super) fn admit(&mut self) {
        self.reach(Step::Admitted);
    }

    /// Counts a request that is refused.
    pub(super) fn refuse(&mut self) -> Refusal {
        self.refused = self.refused.saturating_add(1);
        match self.refused.cmp(&LOGGED_MAX) {
            Ordering::Less => Refusal::Log,
            Ordering::Equal => Refusal::LogLast,
            Ordering::Greater if self.refused <= REFUSED_MAX => Refusal::Ignore,
            Ordering::Greater => Refusal::End(SshFault::NoSession),
        }
    }

    /// Opens the channel of the session. Returns `false` if it may not be opened.
    pub(super) fn open(&mut self, channel: u32) -> bool {
        let may_open = self.step == Step::Admitted && self.channel.is_none();
        if may_open {
            self.channel = Some(channel);
        }
        may_open
    }

    /// Begins the session. Returns `false` if the channel is another one, or the session has begun before.
    pub(super) fn begin(&mut self, channel: u32) -> bool {
        let may_begin = self.step == Step::Admitted && self.is_own(channel);
        if may_begin {
            self.step = Step::Session;
        }
        may_begin
    }

    /// Returns `true` for the channel of the session, which may not have begun yet.
    pub(super) fn is_own(&self, channel: u32) -> bool {
        self.channel == Some(channel)
    }

    /// Returns `true` for the channel of the session, once it has begun.
    pub(super) fn is_session(&self, channel: u32) -> bool {
        self.step == Step::Session && self.is_own(channel)
    }

    /// Returns what the machine hears of the end.
    pub(super) const fn end(&self, cause: Cause) -> End {
        match (self.step, cause) {
            (Step::Session, Cause::Done | Cause::HungUp) => End::Input,
            (Step::Session, Cause::Socket) => End::Broken,
            (Step::Session, Cause::Silent) => End::TimedOut,
            (Step::Session, _) | (_, Cause::Silent | Cause::Protocol) => End::Fault(SshFault::Protocol),
            (_, Cause::Limit(fault)) => End::Fault(fault),
            // The client hung up instead of saying so.
            (Step::Admitted, Cause::Done | Cause::HungUp) => End::Fault(SshFault::NoSession),
            (Step::Refused, Cause::Done | Cause::HungUp) => End::Fault(SshFault::Refused),
            (Step::Begun, Cause::Done | Cause::HungUp) => End::Fault(SshFault::Closed),
            (_, Cause::Socket) => End::Fault(SshFault::Reset),
            (_, Cause::Version) => End::Fault(SshFault::NotSsh),
            (_, Cause::KeyExchange) => End::Fault(SshFault::KeyExchange),
        }
    }

    fn reach(&mut self, step: Step) {
        self.step = self.step.max(step);
    }
}
