//! Settings for the monitor and the log.

use super::choices::{FormatChoice, LevelChoice, RotationChoice};
use super::declare::settings;
use super::values::{count, secs};
use crate::settings::formats::PATH;
use crate::settings::secret::Secret;
use crate::settings::units::{Maybe, RateText, Size, Span};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

settings! {
    /// The monitor: the page and the API that show connections.
    MonitorSettings {
        /// The credential for the monitor, at least 16 characters.
        /// It is the password of HTTP Basic authentication, or a bearer token.
        credential: Secret = Secret::default();
        /// A file whose first line is the credential for the monitor.
        #[schemars(extend("format" = PATH))]
        credential_file: String = String::new();
        /// The credential for `/metrics` only, where `websocket.metrics` is `credential`.
        /// At least 16 characters; if empty, `credential` applies.
        metrics_credential: Secret = Secret::default();
        /// A file whose first line is the credential for `/metrics`.
        #[schemars(extend("format" = PATH))]
        metrics_credential_file: String = String::new();
        /// Maximum number of simultaneous watchers, on all workers together.
        watchers_max: NonZeroU32 = count(16);
        /// Interval at which the table of connections is sent to watchers, at least 100ms.
        interval: Span = secs(1);
        /// Whether watchers may close connections, refuse addresses and drain the server.
        may_act: bool = true;
        /// Whether each watcher may see the messages of one connection at a time.
        /// Passwords and tokens are redacted.
        may_watch: bool = true;
    }

    /// The HTTP API of applications, for programs such as the backend of a web site.
    ApiSettings {
        /// The key of the API, at least 16 characters.
        /// Programs send it in the HTTP field `X-API-Key`, or in `Authorization` after `Bearer`.
        key: Secret = Secret::default();
        /// A file whose first line is the key of the API.
        #[schemars(extend("format" = PATH))]
        key_file: String = String::new();
    }

    /// The metrics: labels, and the lists of recent errors and of durations.
    MetricsSettings {
        /// Labels that every series at `/metrics` has, at most 16, such as `env: prod`.
        labels: BTreeMap<String, String> = BTreeMap::new();
        /// Number of recent errors that are kept, at most 1000. With 0, none are kept.
        errors_kept: u32 = 100;
        /// Maximum length of each list of durations, at most 1000. With 0, none are kept.
        /// The lists hold the connections that ended last, those that lasted longest, and the
        /// longest work.
        durations_kept: u32 = 100;
    }

    /// Logging: content, format and destination.
    LogSettings {
        /// The lowest level that is logged.
        level: LevelChoice = LevelChoice::Info;
        /// Levels of single targets, such as `connections`, `messages`, `operation` and `monitor`.
        targets: BTreeMap<String, LevelChoice> = BTreeMap::new();
        /// The format of log lines.
        format: FormatChoice = FormatChoice::Human;
        /// Highest rate of lines of one kind; lines over it are left out and counted.
        /// Lines that `level` and `targets` exclude do not count.
        repeats: Maybe<RateText> = Maybe(RateText::new(600, 60, 600));
        /// Fields that every line leaves out, such as `peer` and `user`, or `timestamp`, `level` and
        /// `target`. The monitor shows them nevertheless.
        omit_fields: Vec<String> = Vec::new();
        /// The log file. Without it, lines are written to the standard error.
        file: Option<LogFileSettings> = None;
        /// Whether lines are written to the standard error too if there is a log file.
        console: bool = false;
    }

    /// The flight recorder: the last facts in memory, which are written to a file when something is wrong.
    /// SIGUSR1, the monitor, a panic, and what `above` and `stuck_after` say write such a recording. `replay` reads it.
    RecorderSettings {
        /// The directory of the recordings, which must exist.
        #[schemars(extend("format" = PATH))]
        directory: String = String::new();
        /// Memory for the facts of each worker, 64KiB to 1GiB.
        memory: Size = Size(8 << 20);
        /// Number of recordings that are kept, 1 to 1000. The oldest ones are removed.
        keep: u32 = 10;
        /// Whether recordings have all that peers send, with passwords and tokens, so that they can be replayed.
        /// Otherwise, they have only its length if an application may receive secrets.
        verbatim: bool = false;
        /// Memory of the process above which a recording is written. Another one follows only after the process had
        /// less, and 10 minutes later at the earliest.
        above: Maybe<Size> = Maybe(None);
        /// Time without an answer after which a worker is stuck, and a recording is written. Another one follows as for
        /// `above`.
        stuck_after: Maybe<Span> = Maybe(Some(secs(10)));
    }

    /// The directory, names and rotation of log files.
    LogFileSettings {
        /// The directory of the log files, which must exist.
        #[schemars(extend("format" = PATH))]
        directory: String = String::new();
        /// The prefix of the names of log files.
        prefix: String = "drupe".into();
        /// When a new log file begins. With logrotate(8), use `never` and its `copytruncate`.
        rotation: RotationChoice = RotationChoice::Daily;
        /// Maximum size of a log file with `rotation: size`, at least 64KiB.
        size_max: Size = Size(100 << 20);
        /// Number of log files that are kept, at least 1, and at least 2 with `rotation: size`.
        keep: u32 = 7;
    }
}
