//! What is simulated, and what a broker and a host can do.

use std::fmt::Write;

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Number of hosts.
    pub hosts: u64,
    /// Number of connections, on all hosts together.
    pub connections: u64,
    /// Number of shared rooms.
    pub rooms: u64,
    /// Number of members of each room, on all hosts together.
    pub members: u64,
    /// Messages per second that members publish in the first step, in all rooms together.
    pub rate: u64,
    /// By how many percent the rate rises from step to step.
    pub growth: u64,
    /// Number of steps, unless the run goes on until something breaks.
    pub steps: u64,
    /// Whether steps follow until a limit is passed.
    pub until_it_breaks: bool,
    /// Length of a message, in bytes.
    pub bytes: u64,
    /// Number of messages that the broker keeps of each room.
    pub keep: u64,
    /// Seed of all random choices.
    pub seed: u64,
    /// Virtual duration of a step before the restart of the broker, in seconds.
    pub seconds: u64,
    /// Virtual time without messages before the first step, in seconds. Hosts check quiet rooms after 30 s.
    pub quiet_seconds: u64,
    /// How long the broker is away when it restarts, in virtual milliseconds.
    pub outage_ms: u64,
    /// Time from a host to the broker, and back again, in microseconds. It is also the step of the virtual clock.
    pub one_way_us: u64,
    /// Number of threads that compute. It changes no result.
    pub threads: u64,
    /// What the parts can do.
    pub figures: Figures,
}

/// What the parts of a cluster can do. The defaults are measured: see `docs/cluster.md` of `drupe-tokio`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Messages per second that the broker numbers and keeps, without subscribers.
    pub broker_kept: u64,
    /// Messages per second that the broker numbers without keeping them, without subscribers.
    pub broker_plain: u64,
    /// Messages per second that the broker sends to subscribers.
    pub broker_deliveries: u64,
    /// Histories per second that the broker reads.
    pub broker_reads: u64,
    /// Other commands per second that the broker carries out.
    pub broker_commands: u64,
    /// Bytes per second that the network carries from the broker.
    pub broker_network: u64,
    /// Number of bytes for one host above which the broker closes the link.
    pub broker_unread: u64,
    /// Messages per second that one core of a host sends to members.
    pub core_deliveries: u64,
    /// Number of cores of a host that send to members.
    pub cores: u64,
    /// Bytes per second that the network carries from a host, and to it.
    pub host_network: u64,
    /// Longest time between two renewals of a lease, in milliseconds.
    pub lease_ms: u64,
    /// Longest time until all rooms are live after a restart of the broker, in seconds.
    pub repair_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hosts: 100,
            connections: 1_000_000,
            rooms: 10_000,
            members: 100,
            rate: 1_000,
            growth: 100,
            steps: 1,
            until_it_breaks: false,
            bytes: 256,
            keep: 100,
            seed: 1,
            seconds: 2,
            quiet_seconds: 35,
            outage_ms: 1_000,
            one_way_us: 500,
            threads: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            figures: Figures::default(),
        }
    }
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            broker_kept: 88_000,
            broker_plain: 125_000,
            broker_deliveries: 4_000_000,
            broker_reads: 97_000,
            broker_commands: 1_200_000,
            broker_network: 1_250_000_000,
            broker_unread: 256 << 20,
            core_deliveries: 400_000,
            cores: 1,
            host_network: 1_250_000_000,
            lease_ms: 15_000,
            repair_seconds: 60,
        }
    }
}

/// The options on the command line, and what they are.
const NAMES: [(&str, &str); 27] = [
    ("hosts", "number of hosts"),
    ("connections", "number of connections, on all hosts together"),
    ("rooms", "number of shared rooms"),
    ("members", "members of each room, on all hosts together"),
    ("rate", "messages per second in the first step, in all rooms together"),
    ("growth", "by how many percent the rate rises from step to step"),
    ("steps", "number of steps, without --until-it-breaks"),
    ("bytes", "length of a message, in bytes"),
    ("keep", "messages that the broker keeps of each room"),
    ("seed", "seed of all random choices"),
    ("seconds", "virtual seconds of each step"),
    ("quiet-seconds", "virtual seconds without messages before the first step"),
    ("outage-ms", "virtual milliseconds for which the broker is away"),
    ("one-way-us", "microseconds from a host to the broker"),
    ("threads", "threads that compute"),
    ("broker-kept", "messages per second that the broker numbers and keeps"),
    ("broker-plain", "messages per second that it numbers without keeping them"),
    ("broker-deliveries", "messages per second that it sends to subscribers"),
    ("broker-reads", "histories per second that it reads"),
    ("broker-commands", "other commands per second that it carries out"),
    ("broker-network", "bytes per second that leave it"),
    ("broker-unread", "bytes for one host above which it closes the link"),
    ("core-deliveries", "messages per second that a core of a host sends to members"),
    ("cores", "cores of a host that send to members"),
    ("host-network", "bytes per second to a host, and from it"),
    ("lease-ms", "longest milliseconds between two renewals of a lease"),
    ("repair-seconds", "longest seconds until all rooms are live after a restart"),
];

impl Options {
    /// Parses a command line without the name of the program.
    ///
    /// # Errors
    /// Returns the help if it is asked for, and otherwise what is wrong, in words for people.
    pub fn parse<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.into_iter().map(Into::into);
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("{word} is no option; --help lists them"))?;
            match name {
                "until-it-breaks" => options.until_it_breaks = true,
                "help" => return Err(Self::help()),
                _ => {
                    let value = words.next().ok_or_else(|| format!("--{name} needs a number"))?;
                    let place =
                        options.number(name).ok_or_else(|| format!("--{name} is no option; --help lists them"))?;
                    *place = value.replace('_', "").parse().map_err(|_| format!("--{name} {value} is no number"))?;
                }
            }
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), String> {
        let Self { hosts, connections, rooms, members, rate, one_way_us, seconds, threads, .. } = *self;
        for (name, value) in [
            ("hosts", hosts),
            ("connections", connections),
            ("rooms", rooms),
            ("members", members),
            ("rate", rate),
            ("one-way-us", one_way_us),
            ("seconds", seconds),
            ("threads", threads),
        ] {
            if value == 0 {
                return Err(format!("--{name} must be at least 1"));
            }
        }
        if members > connections {
            return Err("--members must not be above --connections".into());
        }
        let Figures { broker_kept, broker_plain, broker_deliveries, broker_reads, broker_commands, .. } = self.figures;
        if [broker_kept, broker_plain, broker_deliveries, broker_reads, broker_commands].contains(&0) {
            return Err("what the broker can do must be at least 1 per second".into());
        }
        Ok(())
    }

    fn number(&mut self, name: &str) -> Option<&mut u64> {
        let figures = &mut self.figures;
        Some(match name {
            "hosts" => &mut self.hosts,
            "connections" => &mut self.connections,
            "rooms" => &mut self.rooms,
            "members" => &mut self.members,
            "rate" => &mut self.rate,
            "growth" => &mut self.growth,
            "steps" => &mut self.steps,
            "bytes" => &mut self.bytes,
            "keep" => &mut self.keep,
            "seed" => &mut self.seed,
            "seconds" => &mut self.seconds,
            "quiet-seconds" => &mut self.quiet_seconds,
            "outage-ms" => &mut self.outage_ms,
            "one-way-us" => &mut self.one_way_us,
            "threads" => &mut self.threads,
            "broker-kept" => &mut figures.broker_kept,
            "broker-plain" => &mut figures.broker_plain,
            "broker-deliveries" => &mut figures.broker_deliveries,
            "broker-reads" => &mut figures.broker_reads,
            "broker-commands" => &mut figures.broker_commands,
            "broker-network" => &mut figures.broker_network,
            "broker-unread" => &mut figures.broker_unread,
            "core-deliveries" => &mut figures.core_deliveries,
            "cores" => &mut figures.cores,
            "host-network" => &mut figures.host_network,
            "lease-ms" => &mut figures.lease_ms,
            "repair-seconds" => &mut figures.repair_seconds,
            _ => return None,
        })
    }

    fn help() -> String {
        let mut defaults = Self::default();
        let mut text = String::from("--until-it-breaks      steps follow until a limit is passed\n");
        for (name, help) in NAMES {
            let value = defaults.number(name).copied().unwrap_or_default();
            let option = format!("--{name}");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{option:<22} {help} ({value})");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{NAMES, Options};

    #[test]
    fn each_option_of_the_help_is_an_option() {
        let mut options = Options::default();
        for (name, _) in NAMES {
            *options.number(name).unwrap_or_else(|| panic!("{name} is an option")) = 7;
        }
        assert_eq!(options.figures.repair_seconds, 7);
    }

    #[test]
    fn mistakes_are_reported_in_words() {
        for (words, error) in [
            ("--hosts", "--hosts needs a number"),
            ("--hosts many", "--hosts many is no number"),
            ("--speed 3", "--speed is no option; --help lists them"),
            ("hosts", "hosts is no option; --help lists them"),
            ("--hosts 0", "--hosts must be at least 1"),
            ("--members 3 --connections 2", "--members must not be above --connections"),
            ("--broker-reads 0", "what the broker can do must be at least 1 per second"),
        ] {
            assert_eq!(Options::parse(words.split(' ')), Err(error.into()), "{words}");
        }
        let options = Options::parse(["--connections", "1_000", "--until-it-breaks"]).expect("well formed");
        assert_eq!((options.connections, options.until_it_breaks), (1_000, true));
    }
}
