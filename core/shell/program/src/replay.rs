//! The command `replay`: shows what a recording has, and runs it again.

use crate::arguments::SourceArguments;
use crate::failure::{Failure, say};
use crate::handler::{Crypto, Parts};
use crate::logs::Logs;
use crate::start::AppMakers;
use crate::timeline::{Replayed, Selection, Writes};
use crate::{shared_keys, skeleton, timeline};
use clap::Args;
use drupe_core::settings::{Catalog, LevelChoice, LogSettings, Resolved};
use drupe_core::trace::{Obstacle, Recording, ShardRecording, seed};
use drupe_core::{Config, ConnId, Machine, Shard};
use drupe_shell::Mailbox;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `drupe replay`.
#[derive(Args)]
pub(crate) struct ReplayArguments {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show only what happened up to this time after the start, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    until: Option<Duration>,
    /// Show only this connection, such as 5.1, or 2:5.1 on the worker 2
    #[arg(long, value_name = "CONNECTION")]
    connection: Option<ConnId>,
    /// Show only what has this text in the bytes that were received or written, in one piece
    #[arg(long, value_name = "TEXT", conflicts_with = "test")]
    find: Option<String>,
    /// Print a test that replays the recording, instead of what happened. --until and --connection apply to it
    #[arg(long)]
    test: bool,
    /// Configuration file of a reload, in place of those of --config; once for each reload, in their order
    #[arg(long, value_name = "FILE")]
    reloaded: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: SourceArguments,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(|| "expected seconds".into())
}

pub(crate) fn replay(
    arguments: &ReplayArguments,
    catalog: &Arc<Catalog>,
    makers: &AppMakers,
    (program, version): (&'static str, &'static str),
) -> Result<ExitCode, Failure> {
    let file = arguments.file.display();
    let text = std::fs::read_to_string(&arguments.file).map_err(|error| format!("can't read {file}: {error}"))?;
    let recording = Recording::parse(&text).map_err(|error| format!("{file}: {error}"))?;
    let &ReplayArguments { until, connection, .. } = arguments;
    if let Some(connection) = connection {
        timeline::check(&recording, connection).map_err(|words| format!("{file}: {words}"))?;
    }
    let mut output = io::stdout().lock();
    if arguments.test {
        write!(output, "{}", skeleton::test(&arguments.file, &recording, until, connection))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(output, "{file}: version {}, written because of: {}", recording.version, recording.why)?;
    if recording.is_edited {
        writeln!(output, "the file was changed after it was written")?;
    }
    // The bytes of writes are known only from the replay, so it comes before what is shown.
    let mut writes = Writes::new();
    let outcome = if recording.version == version {
        replay_all(arguments, &recording, (catalog, makers, program), &mut writes)
    } else {
        Ok(Err(format!("version {} wrote it, and this is {version}", recording.version)))
    };
    let selection = Selection { until, connection, find: arguments.find.clone() };
    timeline::write(&mut output, &recording, &selection, &writes)?;
    match outcome? {
        Ok((is_same, sentences)) => {
            sentences.iter().try_for_each(|sentence| writeln!(output, "{sentence}"))?;
            Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(words) => {
            say(format_args!("{file}: not replayed: {words}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Replays all workers, and adds what they wrote to `writes`. Returns whether all was as recorded and a sentence about
/// each worker, or why nothing could be replayed.
fn replay_all(
    arguments: &ReplayArguments,
    recording: &Recording,
    (catalog, makers, program): (&Arc<Catalog>, &AppMakers, &'static str),
    writes: &mut Writes,
) -> Result<Result<(bool, Vec<String>), String>, Failure> {
    let resolved = match configurations(arguments, recording, catalog)? {
        Ok(resolved) => resolved,
        Err(words) => return Ok(Err(words)),
    };
    // What handlers log has the time of the replay, and would only confuse.
    let mut quiet = LogSettings::default();
    quiet.level = LevelChoice::Error;
    let (logs, _guard) = Logs::begin(program, &quiet)?;
    let (mut is_same, mut sentences) = (true, Vec::new());
    for shard in &recording.shards {
        let (is_as_recorded, words) = replay_shard(shard, recording, &resolved, (catalog, makers, &logs), writes)?;
        sentences.push(format!("worker {}: {words}", shard.shard));
        is_same &= is_as_recorded;
    }
    Ok(Ok((is_same, sentences)))
}

/// Returns the configurations of the start and of each reload, or why they are not those of the recording.
fn configurations(
    arguments: &ReplayArguments,
    recording: &Recording,
    catalog: &Arc<Catalog>,
) -> Result<Result<Vec<Resolved>, String>, Failure> {
    let (reloads, given) = (recording.configurations.len().saturating_sub(1), arguments.reloaded.len());
    if reloads != given {
        let words = format!(
            "the configuration was reloaded {reloads} times, and {given} configurations of reloads are given: \
             give the file of each, in their order, with --reloaded"
        );
        return Ok(Err(words));
    }
    let mut resolved = vec![arguments.sources.resolve(catalog)?];
    for path in &arguments.reloaded {
        let sources = arguments.sources.with_config(path);
        resolved.push(sources.resolve(catalog)?);
    }
    for (place, (resolved, recorded)) in resolved.iter().zip(&recording.configurations).enumerate() {
        let differences = differences(resolved, recorded);
        if !differences.is_empty() {
            let of = if place == 0 { String::new() } else { format!(" of reload {place}") };
            return Ok(Err(format!("the configuration{of} is another one:\n  {}", differences.join("\n  "))));
        }
    }
    Ok(Ok(resolved))
}

/// Replays a worker, and adds what it wrote to `writes`. Returns whether all was as recorded, and a sentence about it.
fn replay_shard(
    recorded: &ShardRecording,
    recording: &Recording,
    all: &[Resolved],
    (catalog, makers, logs): (&Arc<Catalog>, &AppMakers, &Logs),
    writes: &mut Writes,
) -> Result<(bool, String), Failure> {
    if let Some(obstacle) = recorded.obstacle() {
        // No recording of this run could be replayed, whatever its settings.
        let is_good = !matches!(obstacle, Obstacle::Note { .. });
        return Ok((is_good, format!("not replayed: {obstacle}")));
    }
    let Some((resolved, reloaded)) = all.split_first() else { return Ok((true, "not replayed".into())) };
    let mut config: Config = Crypto::new().load(resolved)?;
    config.seed = seed(&recorded.facts);
    let (sender, _wanted) = shared_keys::queue();
    let (keys, _queues) = shared_keys::SectionKeys::new(catalog);
    let parts = Parts::new(
        &resolved.plan,
        makers.clone(),
        Arc::clone(catalog),
        logs.clone(),
        Crypto::new(),
        (sender, keys),
        None,
    )?;
    let count = u8::try_from(recording.shards.len()).unwrap_or(u8::MAX);
    let shard = Shard::new(recorded.shard, count).map_err(|error| error.to_string())?;
    let mut machine = Machine::shard(config, parts.handler(&Mailbox::new().remote()), shard);
    let mut reloads = Vec::new();
    for (before, newer) in all.iter().zip(reloaded) {
        let mut newer = newer.clone();
        newer.plan.keep_cluster(&before.plan.config);
        reloads.push((parts.crypto().load(&newer)?, parts.prepare(&newer.plan, &before.plan)?));
    }
    // A reload replaces the accounts beside the configuration.
    let reloads = reloads.into_iter().map(|(config, prepared)| {
        drop(prepared.apply(&parts.accounts));
        config
    });
    let found = recorded.compare(&mut machine, reloads);
    let found = found.map_err(|error| format!("line {}: expected {}", error.line, error.expected))?;
    writes.extend(found.writes.iter().map(|write| {
        let bytes = found.bytes(write).to_vec();
        (write.line, Replayed { bytes, is_other: write.is_same == Some(false) })
    }));
    Ok(match found.first {
        None => (true, format!("replayed; all {} writes had the same bytes", found.compared)),
        Some(other) => {
            let at = timeline::seconds(other.at.as_nanos());
            (false, format!("other bytes for {} at {at} s (line {}) than recorded", other.conn, other.line))
        }
    })
}

/// Returns the keys whose values differ from those of the recording.
fn differences(resolved: &Resolved, recorded: &str) -> Vec<String> {
    // Where a value comes from does not matter.
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.rsplit_once(" # ").map_or(line, |(value, _)| value));
        lines
            .filter(|line| !["log.", "recorder."].iter().any(|begin| line.starts_with(begin)))
            .map(Into::into)
            .collect()
    };
    let (now, then) = (values(&resolved.explain()), values(recorded));
    let only_in = |a: &[String], b: &[String], what: &str| -> Vec<String> {
        a.iter().filter(|line| !b.contains(line)).map(|line| format!("{what}: {line}")).collect()
    };
    [only_in(&then, &now, "recorded"), only_in(&now, &then, "now")].concat()
}
