use core::fmt;
use core::str::FromStr;

/// Identifier of a host of a [cluster](crate::Cluster): a random number, which is new with each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u64);

impl HostId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The error returned when a text is not the identifier of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host is written as 16 hexadecimal digits")]
#[non_exhaustive]
pub struct HostIdError;

impl FromStr for HostId {
    type Err = HostIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_host = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = if is_host { u64::from_str_radix(text, 16).ok() } else { None };
        number.map(Self).ok_or(HostIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn host_comes_back_from_its_text() {
        for number in [0, 7, u64::MAX] {
            assert_eq!(HostId::new(number).to_string().parse(), Ok(HostId::new(number)));
        }
        for text in ["", "7", "+000000000000007", "00000000000000000", "000000000000000g"] {
            assert_eq!(text.parse::<HostId>(), Err(HostIdError), "{text:?}");
        }
    }
}
