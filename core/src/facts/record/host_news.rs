//! Text form of the messages between the machines of several hosts.
//!
//! The first word is the version. A machine ignores messages of other versions, and words that follow those it knows.

use super::everywhere::Target;
use super::words::{Quoted, Words};
use crate::facts::{HostNews, HostReport};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// The version of these messages. Change it if an older machine would understand a message otherwise.
const VERSION: &str = "1";

/// Writes a message to other hosts.
pub(crate) fn write_host_news(news: &HostNews) -> String {
    let mut out = String::from(VERSION);
    out.push(' ');
    // Writing to a string cannot fail.
    let _ = write(&mut out, news);
    out
}

fn write(out: &mut String, news: &HostNews) -> fmt::Result {
    match news {
        HostNews::Report(report) => {
            out.write_str("report ")?;
            write_report(out, report)
        }
        HostNews::End { number, target, reason } => write!(out, "end {number} {} {}", reason.name(), Target(target)),
        HostNews::Ended { to, number, connections } => write!(out, "ended {to} {number} {connections}"),
        HostNews::Quarantined { addresses, ends_list } => {
            write!(out, "quarantined {ends_list}")?;
            addresses.iter().try_for_each(|(address, millis)| write!(out, " {address} {millis}"))
        }
        HostNews::Released(address) => write!(out, "released {address}"),
        HostNews::ListQuarantine { to } => write!(out, "list_quarantine {to}"),
    }
}

/// Writes a report as words of a line.
pub(super) fn write_report(out: &mut String, report: &HostReport) -> fmt::Result {
    write!(out, "{} {}", Quoted(report.name.as_bytes()), Quoted(report.version.as_bytes()))?;
    report.numbers().into_iter().try_for_each(|number| write!(out, " {number}"))
}

pub(super) fn parse_report(words: &mut Words<'_>) -> Result<HostReport, &'static str> {
    let (name, version) = (words.text()?.into(), words.text()?.into());
    let mut report = HostReport { name, version, ..HostReport::default() };
    for number in report.numbers_mut() {
        *number = words.parsed("a count")?;
    }
    Ok(report)
}

/// Parses a message of another host. Returns `None` if it is of another version, or longer than allowed.
pub(crate) fn parse_host_news(text: &str) -> Option<HostNews> {
    let mut words = Words { rest: text };
    if words.word() != VERSION {
        return None;
    }
    parse(&mut words).ok()
}

fn parse(words: &mut Words<'_>) -> Result<HostNews, &'static str> {
    const COUNT: &str = "a count";
    Ok(match words.word() {
        "report" => {
            let report = parse_report(words)?;
            if report.name.len().max(report.version.len()) > HostReport::TEXT_MAX {
                return Err("a shorter text");
            }
            HostNews::Report(report)
        }
        "end" => {
            let (number, reason) = (words.parsed(COUNT)?, words.reason()?);
            HostNews::End { number, target: words.target()?, reason }
        }
        "ended" => {
            let (to, number) = (words.parsed("a host")?, words.parsed(COUNT)?);
            HostNews::Ended { to, number, connections: words.parsed(COUNT)? }
        }
        "quarantined" => {
            let ends_list = words.parsed("true or false")?;
            let mut addresses = Vec::new();
            while !words.rest.is_empty() && addresses.len() < HostNews::ADDRESSES_MAX {
                addresses.push((words.parsed("an address")?, words.parsed("a number of milliseconds")?));
            }
            HostNews::Quarantined { addresses, ends_list }
        }
        "released" => HostNews::Released(words.parsed("an address")?),
        "list_quarantine" => HostNews::ListQuarantine { to: words.parsed("a host")? },
        _ => return Err("the name of a message"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{HostId, Reason};
    use crate::facts::record::cluster_strategies::{report, target};
    use proptest::prelude::*;

    fn all() -> impl Strategy<Value = HostNews> {
        let host = || any::<u64>().prop_map(HostId::new);
        prop_oneof![
            report().prop_map(HostNews::Report),
            (any::<u64>(), target()).prop_map(|(number, target)| HostNews::End {
                number,
                target,
                reason: Reason::Kicked
            }),
            (host(), any::<u64>(), any::<u64>()).prop_map(|(to, number, connections)| HostNews::Ended {
                to,
                number,
                connections
            }),
            (prop::collection::vec(any::<(core::net::IpAddr, u64)>(), 0..9), any::<bool>())
                .prop_map(|(addresses, ends_list)| HostNews::Quarantined { addresses, ends_list }),
            any::<core::net::IpAddr>().prop_map(HostNews::Released),
            host().prop_map(|to| HostNews::ListQuarantine { to }),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_back_and_those_of_other_versions_are_not_read(news in all()) {
            let text = write_host_news(&news);
            prop_assert_eq!(parse_host_news(&text), Some(news));
            let other = alloc::format!("2{}", &text[1..]);
            prop_assert_eq!(parse_host_news(&other), None);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|1 [a-z_]{1,12}( [0-9a-f\"]{0,17}){0,6}") {
            let _ = parse_host_news(&text);
        }
    }

    #[test]
    fn parts_that_a_later_machine_adds_are_ignored() {
        let text = write_host_news(&HostNews::Report(HostReport::default())) + " 7 more";
        assert_eq!(parse_host_news(&text), Some(HostNews::Report(HostReport::default())));
    }

    #[test]
    fn a_message_has_a_bounded_number_of_addresses() {
        let text = String::from("1 quarantined false") + &" 192.0.2.1 5".repeat(600);
        let Some(HostNews::Quarantined { addresses, .. }) = parse_host_news(&text) else { panic!("it is read") };
        assert_eq!(addresses.len(), HostNews::ADDRESSES_MAX);
    }
}
