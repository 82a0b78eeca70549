//! The scripts that run at the Redis server. Each does one thing in one step.

use alloc::string::String;
use core::fmt::Write;
use sha1::{Digest, Sha1};

/// A script at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    Publish,
    Open,
    Read,
    Renew,
    Present,
}

impl Script {
    pub(crate) const ALL: [Self; 5] = [Self::Publish, Self::Open, Self::Read, Self::Renew, Self::Present];

    /// Returns the text of the script.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Publish => include_str!("publish.lua"),
            Self::Open => include_str!("open.lua"),
            Self::Read => include_str!("read.lua"),
            Self::Renew => include_str!("renew.lua"),
            Self::Present => include_str!("present.lua"),
        }
    }

    /// Returns the hash by which the server knows the script: SHA-1 in hexadecimal digits.
    pub(crate) fn hash(self) -> String {
        let mut text = String::with_capacity(40);
        for byte in Sha1::digest(self.text()) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}
