use super::everywhere::Target;
use super::shard_messages::{parse_shard_message, write_shard_message};
use super::words::{Message, Quoted, Words};
use crate::base::{Time, UnixTime};
use crate::config::Config;
use crate::facts::{Command, Fact, Input};
use crate::metrics::ProcessMetrics;
use crate::tls::Secured;
use crate::tunnel::{LinkId, TunnelReport};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::str::FromStr;

/// Name of the fact that reports a new configuration. A trace omits the configuration itself.
const RECONFIGURED: &str = "reconfigured";
/// Formats a time and a fact as one line of a trace, including the line feed.
#[must_use]
pub fn line<N: fmt::Display>(now: Time, input: &Input<N>) -> String {
    let mut line = String::new();
    let _ = write_fact(&mut line, now, &input.as_fact(), N::to_string);
    line
}

/// Parses a trace without reloads into its facts, each with its time.
///
/// # Errors
/// The first line that is not a fact, and what was expected there; or the first reload.
pub fn parse<N: FromStr>(text: &str) -> Result<Vec<(Time, Input<N>)>, TraceError> {
    parse_with(text, [])
}

/// Parses a trace that may contain reloads. `reloads` are their configurations, in order.
///
/// # Errors
/// As [`parse`], or the first reload for which there is no configuration.
pub fn parse_with<N: FromStr>(
    text: &str,
    reloads: impl IntoIterator<Item = Config>,
) -> Result<Vec<(Time, Input<N>)>, TraceError> {
    let means_nothing = |line: &str| line.is_empty() || line.starts_with('#') || line.starts_with("seed ");
    let lines = text.lines().zip(1..).filter(|(line, _)| !means_nothing(line));
    let mut reloads = reloads.into_iter();
    let mut parse = |line| parse_line(line, &mut reloads);
    lines.map(|(line, number)| parse(line).map_err(|expected| TraceError { line: number, expected })).collect()
}

/// Returns the seed that the trace contains, or `None` if it contains none.
///
/// To replay the trace, set the seed in the [`Config`](crate::Config) of the machine.
#[must_use]
pub fn seed(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("seed ")?.parse().ok())
}

/// The error for a line of a trace that is not a fact, or a reload without configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the trace: expected {expected}")]
#[non_exhaustive]
pub struct TraceError {
    /// Line number, from 1.
    pub line: u32,
    /// What the parser expected in the line.
    pub expected: &'static str,
}

pub(super) fn write_fact<N>(out: &mut String, now: Time, fact: &Fact<'_, N>, note: fn(&N) -> String) -> fmt::Result {
    write!(out, "{} ", now.as_nanos())?;
    match fact {
        Fact::Started => writeln!(out, "started"),
        Fact::Accepted { listener, peer } => writeln!(out, "accepted {} {peer}", listener.0),
        Fact::AcceptFailed { listener, failure } => writeln!(out, "accept_failed {} {failure}", listener.0),
        Fact::Received { conn, bytes } => writeln!(out, "received {conn} {}", Quoted(bytes)),
        Fact::Secured { conn, secured } => writeln!(out, "secured {conn} {}", Agreed(secured)),
        Fact::Sealed { conn, bytes } => writeln!(out, "sealed {conn} {bytes}"),
        Fact::Wrote { conn, bytes } => writeln!(out, "wrote {conn} {bytes}"),
        Fact::Blocked { conn } => writeln!(out, "blocked {conn}"),
        Fact::TurnEnded => writeln!(out, "turn_ended"),
        Fact::Ended { conn } => writeln!(out, "ended {conn}"),
        Fact::Truncated { conn } => writeln!(out, "truncated {conn}"),
        Fact::Failed { conn, failure } => writeln!(out, "failed {conn} {failure}"),
        Fact::Elapsed => writeln!(out, "elapsed"),
        Fact::Dialed { dial, peer } => writeln!(out, "dialed {} {peer}", dial.0),
        Fact::DialFailed { dial, failure } => writeln!(out, "dial_failed {} {failure}", dial.0),
        Fact::TunnelReported { link, report } => write_report(out, *link, report),
        Fact::Noted(content) => writeln!(out, "noted {}", Quoted(note(content).as_bytes())),
        Fact::Dispatched { listener, peer } => writeln!(out, "dispatched {} {peer}", listener.0),
        Fact::Adopted { listener, peer } => writeln!(out, "adopted {} {peer}", listener.0),
        Fact::ShardMessageReceived(message) => write_shard_message(out, message),
        Fact::HeldBack(held) => writeln!(out, "held_back {held}"),
        Fact::TakesJobs => writeln!(out, "takes_jobs"),
        Fact::JobDone { conn, outcome } => writeln!(out, "job_done {conn} {outcome}"),
        Fact::ClockSet(unix) => writeln!(out, "clock_set {}", unix.as_millis()),
        Fact::Command(Command::Kick { conn }) => writeln!(out, "kick {conn}"),
        Fact::Command(Command::KickEverywhere { target }) => writeln!(out, "kick_everywhere {}", Target(target)),
        Fact::Command(Command::Drain) => writeln!(out, "drain"),
        Fact::Command(Command::Quarantine { address }) => writeln!(out, "quarantine_address {address}"),
        Fact::Command(Command::Release { address }) => writeln!(out, "release {address}"),
        Fact::Command(Command::ResetMetrics) => writeln!(out, "reset_metrics"),
        Fact::Command(Command::ReloadFailed) => writeln!(out, "reload_failed"),
        Fact::Command(Command::LogLoss { left_out, lost }) => writeln!(out, "log_loss {left_out} {lost}"),
        Fact::Command(Command::ProcessUsage(process)) => {
            write!(out, "process_usage")?;
            process.numbers().iter().try_for_each(|number| write!(out, " {number}"))?;
            writeln!(out)
        }
        Fact::Command(Command::KeySetFetched { succeeded: true }) => writeln!(out, "key_set_fetched"),
        Fact::Command(Command::KeySetFetched { succeeded: false }) => writeln!(out, "key_set_fetch_failed"),
        Fact::Reconfigured => writeln!(out, "{RECONFIGURED}"),
        Fact::Command(Command::Publish { room, payload }) => {
            writeln!(out, "publish {} {}", Quoted(room.as_bytes()), Message(payload))
        }
        Fact::Command(Command::Send { conn, payload }) => writeln!(out, "send {conn} {}", Message(payload)),
    }
}

fn write_report(out: &mut String, LinkId { tunnel, attempt }: LinkId, report: &TunnelReport) -> fmt::Result {
    write!(out, "tunnel {} {attempt} ", tunnel.0)?;
    match report {
        TunnelReport::Connected => writeln!(out, "connected"),
        TunnelReport::Failed { failure, words } => writeln!(out, "failed {failure} {}", Quoted(words.as_bytes())),
        TunnelReport::Bound { listener, port } => writeln!(out, "bound {} {port}", listener.0),
        TunnelReport::Refused { listener } => writeln!(out, "refused {}", listener.0),
        TunnelReport::Answered(number) => writeln!(out, "answered {number}"),
        TunnelReport::ChannelRefused { words } => writeln!(out, "channel_refused {}", Quoted(words.as_bytes())),
        TunnelReport::Closed => writeln!(out, "closed"),
    }
}

/// TLS parameters, displayed as text with `-` for missing ones.
struct Agreed<'a>(&'a Secured);

impl fmt::Display for Agreed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Secured { version, server_name, protocol, user, resumed } = self.0;
        write!(f, "{} {resumed}", Quoted(version.as_bytes()))?;
        [server_name, protocol, user].into_iter().try_for_each(|text| match text {
            Some(text) => write!(f, " {}", Quoted(text.as_bytes())),
            None => f.write_str(" -"),
        })
    }
}

fn parse_line<N: FromStr>(
    line: &str,
    reloads: &mut impl Iterator<Item = Config>,
) -> Result<(Time, Input<N>), &'static str> {
    let mut words = Words { rest: line };
    let now = Time::from_nanos(words.parsed("a time in nanoseconds")?);
    let input = match words.word() {
        "started" => Input::Started,
        "accepted" => Input::Accepted { listener: words.listener()?, peer: words.parsed("a peer's address")? },
        "accept_failed" => {
            Input::AcceptFailed { listener: words.listener()?, failure: words.parsed("exhausted or transient")? }
        }
        "received" => Input::Received { conn: words.conn()?, bytes: words.received()? },
        "secured" => Input::Secured { conn: words.conn()?, secured: words.secured()?.into() },
        "sealed" => Input::Sealed { conn: words.conn()?, bytes: words.parsed("a number of bytes")? },
        "wrote" => Input::Wrote { conn: words.conn()?, bytes: words.parsed("a number of bytes")? },
        "blocked" => Input::Blocked { conn: words.conn()? },
        "turn_ended" => Input::TurnEnded,
        "ended" => Input::Ended { conn: words.conn()? },
        "truncated" => Input::Truncated { conn: words.conn()? },
        "failed" => Input::Failed { conn: words.conn()?, failure: words.failure()? },
        "elapsed" => Input::Elapsed,
        "dialed" => Input::Dialed { dial: words.dial()?, peer: words.parsed("a peer's address")? },
        "dial_failed" => Input::DialFailed { dial: words.dial()?, failure: words.failure()? },
        "tunnel" => Input::TunnelReported { link: words.link()?, report: words.report()? },
        "noted" => Input::Noted(words.text()?.parse().map_err(|_| "a note of this application")?),
        "publish" => {
            let room = words.text()?;
            Input::Command(Command::Publish { room, payload: words.outgoing()? })
        }
        "send" => Input::Command(Command::Send { conn: words.conn()?, payload: words.outgoing()? }),
        "dispatched" => Input::Dispatched { listener: words.listener()?, peer: words.parsed("a peer's address")? },
        "adopted" => Input::Adopted { listener: words.listener()?, peer: words.parsed("a peer's address")? },
        "takes_jobs" => Input::TakesJobs,
        "job_done" => Input::JobDone { conn: words.conn()?, outcome: words.parsed("true or false")? },
        "held_back" => Input::HeldBack(words.parsed("true or false")?),
        "clock_set" => Input::ClockSet(UnixTime::from_millis(words.parsed("milliseconds since 1970-01-01T00:00:00Z")?)),
        "kick" => Input::Command(Command::Kick { conn: words.conn()? }),
        "kick_everywhere" => Input::Command(Command::KickEverywhere { target: words.target()? }),
        "drain" => Input::Command(Command::Drain),
        "quarantine_address" => Input::Command(Command::Quarantine { address: words.parsed("an address")? }),
        "release" => Input::Command(Command::Release { address: words.parsed("an address")? }),
        "reset_metrics" => Input::Command(Command::ResetMetrics),
        "reload_failed" => Input::Command(Command::ReloadFailed),
        "key_set_fetched" => Input::Command(Command::KeySetFetched { succeeded: true }),
        "key_set_fetch_failed" => Input::Command(Command::KeySetFetched { succeeded: false }),
        "log_loss" => Input::Command(Command::LogLoss {
            left_out: words.parsed("how many lines were left out")?,
            lost: words.parsed("how many lines were lost")?,
        }),
        "process_usage" => {
            let mut numbers = [0; 6];
            for number in &mut numbers {
                *number = words.parsed("a number")?;
            }
            Input::Command(Command::ProcessUsage(ProcessMetrics::from_numbers(numbers)))
        }
        RECONFIGURED => {
            let config = reloads.next().ok_or("no reload, or the configuration of each to be given with the trace")?;
            Input::Reconfigured(config.into())
        }
        name => Input::ShardMessageReceived(parse_shard_message(name, &mut words)?),
    };
    if words.rest.trim().is_empty() { Ok((now, input)) } else { Err("the end of the line") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::HostId;
    use crate::base::Reason;
    use crate::base::{AcceptFailure, ConnId, DialId, Failure, ListenerId, OutgoingBuf, PayloadBuf};
    use crate::facts::ShardMessage;
    use crate::facts::record::cluster_strategies::{cluster_messages, target};
    use crate::facts::record::room_strategies::room_messages;
    use proptest::prelude::*;

    fn inputs() -> impl Strategy<Value = Input<String>> {
        let conn =
            || (0..3u8, 0..9u32, 1..9u32).prop_map(|(shard, index, generation)| ConnId::new(shard, index, generation));
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        let failure = || prop_oneof![Just(Failure::Reset), Just(Failure::TimedOut), Just(Failure::Other)];
        let peer = || prop_oneof![Just("127.0.0.1:80"), Just("[2001:db8::1]:9"), Just("local")];
        prop_oneof![
            (0..3u32, peer()).prop_map(|(listener, peer)| Input::Accepted {
                listener: ListenerId(listener),
                peer: peer.parse().expect(peer)
            }),
            Just(Input::AcceptFailed { listener: ListenerId(1), failure: AcceptFailure::Exhausted }),
            (conn(), bytes()).prop_map(|(conn, bytes)| Input::Received { conn, bytes }),
            (conn(), any::<usize>()).prop_map(|(conn, bytes)| Input::Wrote { conn, bytes }),
            conn().prop_map(|conn| Input::Ended { conn }),
            conn().prop_map(|conn| Input::Truncated { conn }),
            (conn(), failure()).prop_map(|(conn, failure)| Input::Failed { conn, failure }),
            Just(Input::Elapsed),
            (peer(), any::<u32>())
                .prop_map(|(peer, dial)| Input::Dialed { dial: DialId(dial), peer: peer.parse().expect(peer) }),
            (failure(), any::<u32>()).prop_map(|(failure, dial)| Input::DialFailed { dial: DialId(dial), failure }),
            conn().prop_map(|conn| Input::Blocked { conn }),
            (conn(), any::<usize>()).prop_map(|(conn, bytes)| Input::Sealed { conn, bytes }),
            (conn(), any::<String>(), any::<Option<String>>(), any::<Option<String>>(), any::<bool>()).prop_map(
                |(conn, version, server_name, user, resumed)| {
                    let secured = Secured { version, server_name, protocol: None, user, resumed };
                    Input::Secured { conn, secured: secured.into() }
                }
            ),
            Just(Input::ShardMessageReceived(ShardMessage::Authenticated)),
            (conn(), peer()).prop_map(|(conn, peer)| {
                let peer = peer.parse().expect(peer);
                Input::ShardMessageReceived(ShardMessage::Arrived { conn, listener: ListenerId(3), peer })
            }),
            (conn(), peer(), any::<bool>()).prop_map(|(conn, peer, refused)| {
                let (peer, refused) = (peer.parse().expect(peer), refused.then_some(Reason::AddressFull));
                Input::ShardMessageReceived(ShardMessage::Admission { conn, peer, refused })
            }),
            any::<core::net::IpAddr>().prop_map(|address| Input::Command(Command::Quarantine { address })),
            any::<core::net::IpAddr>().prop_map(|address| Input::Command(Command::Release { address })),
            any::<bool>().prop_map(|starts| if starts { Input::Started } else { Input::TurnEnded }),
            any::<String>().prop_map(Input::Noted),
            (any::<String>(), any::<String>())
                .prop_map(|(room, text)| Input::Command(Command::Publish { room, payload: text.into() })),
            (any::<String>(), bytes()).prop_map(|(room, bytes)| Input::Command(Command::Publish {
                room,
                payload: PayloadBuf::Binary(bytes.into()).into()
            })),
            (conn(), any::<String>())
                .prop_map(|(conn, text)| Input::Command(Command::Send { conn, payload: text.into() })),
            (conn(), any::<String>(), any::<String>()).prop_map(|(conn, json, text)| {
                let payload = OutgoingBuf::Negotiated { json: json.into(), text: text.into() };
                Input::Command(Command::Send { conn, payload })
            }),
            conn().prop_map(|conn| Input::Command(Command::Kick { conn })),
            (any::<String>(), any::<String>(), prop::collection::vec(conn(), 0..3)).prop_map(|(room, text, except)| {
                let (room, except, message) = (room.as_str().into(), except.into(), text.into());
                Input::ShardMessageReceived(ShardMessage::Publish { room, except, message })
            }),
            (any::<String>(), any::<String>(), conn()).prop_map(|(json, text, conn)| {
                let message = OutgoingBuf::Negotiated { json: json.into(), text: text.into() };
                Input::ShardMessageReceived(ShardMessage::Publish { room: "r".into(), except: [conn].into(), message })
            }),
            (peer(), 0..9u8, any::<bool>()).prop_map(|(peer, shard, accepted)| {
                let (listener, peer) = (accepted.then_some(ListenerId(7)), peer.parse().expect(peer));
                Input::ShardMessageReceived(ShardMessage::Left { listener, peer, shard })
            }),
            about_peers().prop_map(Input::ShardMessageReceived),
            prop::collection::vec(any::<u64>(), 0..9)
                .prop_map(|numbers| ShardMessage::Counted { shard: 1, numbers: numbers.into() })
                .prop_map(Input::ShardMessageReceived),
            peer().prop_map(|peer| Input::Dispatched { listener: ListenerId(1), peer: peer.parse().expect(peer) }),
            peer().prop_map(|peer| Input::Adopted { listener: ListenerId(1), peer: peer.parse().expect(peer) }),
            prop::sample::select(vec![Command::Drain, Command::ReloadFailed, Command::ResetMetrics])
                .prop_map(Input::Command),
            any::<bool>().prop_map(|succeeded| Input::Command(Command::KeySetFetched { succeeded })),
            any::<(u64, u64)>().prop_map(|(left_out, lost)| Input::Command(Command::LogLoss { left_out, lost })),
            any::<[u64; 6]>()
                .prop_map(|numbers| Input::Command(Command::ProcessUsage(ProcessMetrics::from_numbers(numbers)))),
            any::<bool>().prop_map(Input::HeldBack),
            any::<(String, bool)>().prop_map(|(room, opens)| {
                let room = room.into();
                let message = if opens { ShardMessage::RoomOpened { room } } else { ShardMessage::RoomClosed { room } };
                Input::ShardMessageReceived(message)
            }),
            any::<u32>().prop_map(|rooms| Input::ShardMessageReceived(ShardMessage::RoomsCounted { rooms })),
            of_applications().prop_map(Input::ShardMessageReceived),
            cluster_messages().prop_map(Input::ShardMessageReceived),
            target().prop_map(|target| Input::Command(Command::KickEverywhere { target })),
            room_messages().prop_map(ShardMessage::Room).prop_map(Input::ShardMessageReceived),
            Just(Input::TakesJobs),
            (conn(), any::<bool>()).prop_map(|(conn, outcome)| Input::JobDone { conn, outcome }),
            any::<u64>().prop_map(|millis| Input::ClockSet(UnixTime::from_millis(millis))),
        ]
    }

    /// Messages of applications to other shards and hosts.
    fn of_applications() -> impl Strategy<Value = ShardMessage> {
        (0..3_u8, any::<u8>(), any::<String>(), any::<String>()).prop_map(|(kind, from, topic, content)| {
            let (topic, content) = (topic.into(), content.into());
            match kind {
                0 => ShardMessage::Handler { from, topic, content },
                1 => ShardMessage::FromHost { from: HostId::new(from.into()), topic, content },
                _ => ShardMessage::ToHosts { topic, content },
            }
        })
    }

    /// Messages between shards that hold only the address of a peer.
    fn about_peers() -> impl Strategy<Value = ShardMessage> {
        let peer = prop::sample::select(vec!["127.0.0.1:80", "[2001:db8::1]:9", "local"]);
        (peer, 0..3u8).prop_map(|(peer, kind)| {
            let peer = peer.parse().expect(peer);
            match kind {
                0 => ShardMessage::Dialed { peer },
                1 => ShardMessage::Quarantine { peer },
                _ => ShardMessage::Gone { peer },
            }
        })
    }

    proptest! {
        #[test]
        fn trace_facts_round_trip_through_text(facts in prop::collection::vec((any::<u64>(), inputs()), 0..20)) {
            let facts: Vec<_> = facts.into_iter().map(|(now, input)| (Time::from_nanos(now), input)).collect();
            let text: String = facts.iter().map(|(now, input)| line(*now, input)).collect();
            prop_assert_eq!(parse(&text), Ok(facts));
        }

        #[test]
        fn trace_parser_never_panics(text in "[0-9a-z_\\\\\"x. ]{0,60}") {
            let _ = parse::<String>(&text);
        }
    }

    #[test]
    fn trace_errors_name_the_line_and_the_expectation() {
        for (text, message) in [
            ("# fine\n\nx elapsed", "line 3 of the trace: expected a time in nanoseconds"),
            ("0 slept", "line 1 of the trace: expected the name of a fact"),
            ("0 received 1 \"\"", "line 1 of the trace: expected a connection, INDEX.GENERATION"),
            ("0 received 1.1 \"a", "line 1 of the trace: expected a closing double quote"),
            ("0 received 1.1 \"\\x4\"", "line 1 of the trace: expected two hexadecimal digits after \\x"),
            ("0 elapsed now", "line 1 of the trace: expected the end of the line"),
        ] {
            assert_eq!(parse::<String>(text).expect_err(text).to_string(), message);
        }
    }
}
