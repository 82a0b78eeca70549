//! Settings for the monitor and the log.

use super::choices::{FormatChoice, LevelChoice, RotationChoice};
use super::declare::settings;
use super::values::{count, secs};
use crate::settings::formats::PATH;
use crate::settings::secret::Secret;
use crate::settings::units::{Maybe, RateText, Span};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::num::NonZeroU32;

settings! {
    /// The monitor: the page and the API that show connections.
    MonitorSettings {
        /// The credential for the monitor: the password of HTTP Basic authentication, or a bearer
        /// token. At least 16 characters.
        credential: Secret = Secret::default();
        /// A file whose first line is the credential.
        #[schemars(extend("format" = PATH))]
        credential_file: String = String::new();
        /// The credential for `/metrics` only, where `websocket.metrics` is `credential`; if empty,
        /// `credential` applies. At least 16 characters.
        metrics_credential: Secret = Secret::default();
        /// A file whose first line is that credential.
        #[schemars(extend("format" = PATH))]
        metrics_credential_file: String = String::new();
        /// Watchers at a time.
        watchers_max: NonZeroU32 = count(16);
        /// How often the table is sent, at least 100ms.
        interval: Span = secs(1);
        /// Whether watchers may close connections, refuse addresses and drain the server.
        may_act: bool = true;
        /// Whether watchers may see the messages of one connection. Passwords and tokens are
        /// redacted.
        may_watch: bool = true;
    }

    /// Logging: content, format and destination.
    LogSettings {
        /// The lowest level that is logged.
        level: LevelChoice = LevelChoice::Info;
        /// Levels of single targets: `connections`, `messages`, `operation`, `monitor`.
        targets: BTreeMap<String, LevelChoice> = BTreeMap::new();
        /// The format of log lines.
        format: FormatChoice = FormatChoice::Human;
        /// Rate of lines of one kind; lines over it are left out and counted. Lines that `level`
        /// and `targets` exclude do not count.
        repeats: Maybe<RateText> = Maybe(RateText::new(600, 60, 600));
        /// The log file; the standard error, if there is none.
        file: Option<LogFileSettings> = None;
    }

    /// A log file.
    LogFileSettings {
        /// The directory, which must exist.
        #[schemars(extend("format" = PATH))]
        directory: String = String::new();
        /// The prefix of file names.
        prefix: String = "drupe".into();
        /// When a new file begins. There is no rotation by size: for that, use `never` and
        /// logrotate(8) with `copytruncate`.
        rotation: RotationChoice = RotationChoice::Daily;
        /// Files that are kept, at least 1.
        keep: u32 = 7;
    }
}
