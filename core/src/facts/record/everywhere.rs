//! Text form of requests to all hosts of a cluster, and of their answers.

use super::words::{Quoted, Words};
use crate::base::Reason;
use crate::facts::{Claim, ClusterAnswer, EndTarget, EndedEverywhere};
use core::fmt;

/// A target, displayed as words of a line.
pub(super) struct Target<'a>(pub(super) &'a EndTarget);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            EndTarget::User(user) => write!(f, "user {}", Quoted(user.as_bytes())),
            EndTarget::Address(address) => write!(f, "address {address}"),
        }
    }
}

/// An answer, displayed as words of a line.
pub(super) struct Answer<'a>(pub(super) &'a ClusterAnswer);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ClusterAnswer::Ended(EndedEverywhere { connections, hosts, hosts_known }) => {
                write!(f, "ended {connections} {hosts} {hosts_known}")
            }
            ClusterAnswer::Claimed(claim) => write!(f, "claimed {}", claim.name()),
            ClusterAnswer::TooMany => f.write_str("too_many"),
        }
    }
}

impl Words<'_> {
    pub(super) fn target(&mut self) -> Result<EndTarget, &'static str> {
        match self.word() {
            "user" => Ok(EndTarget::User(self.text()?.into())),
            "address" => Ok(EndTarget::Address(self.parsed("an address")?)),
            _ => Err("user or address"),
        }
    }

    pub(super) fn cluster_answer(&mut self) -> Result<ClusterAnswer, &'static str> {
        match self.word() {
            "ended" => {
                let (connections, hosts) = (self.parsed("a count")?, self.parsed("a count")?);
                Ok(ClusterAnswer::Ended(EndedEverywhere::new(connections, hosts, self.parsed("a count")?)))
            }
            "claimed" => Claim::named(self.word()).map(ClusterAnswer::Claimed).ok_or("the name of a claim"),
            "too_many" => Ok(ClusterAnswer::TooMany),
            _ => Err("ended, claimed or too_many"),
        }
    }

    pub(super) fn reason(&mut self) -> Result<Reason, &'static str> {
        Reason::named(self.word()).ok_or("the name of a reason")
    }
}
