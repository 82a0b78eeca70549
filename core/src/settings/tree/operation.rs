//! The monitor and the log.

use super::choices::{FormatChoice, LevelChoice, RotationChoice};
use super::declare::settings;
use super::values::{count, secs};
use crate::settings::paths::PATH;
use crate::settings::secret::Secret;
use crate::settings::units::{Maybe, RateText, Span};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::num::NonZeroU32;

settings! {
    /// The page and the API that show who is connected.
    MonitorSettings {
        /// What opens it: as the password of HTTP's Basic authentication, or as a bearer token. At least 16 characters.
        credential: Secret = Secret::default();
        /// A file whose first line is the credential.
        #[schemars(extend("format" = PATH))]
        credential_file: String = String::new();
        /// What opens `/metrics` where `websocket.metrics` is `credential`, and nothing else; `credential` if it is empty. At least 16
        /// characters.
        metrics_credential: Secret = Secret::default();
        /// A file whose first line is that credential.
        #[schemars(extend("format" = PATH))]
        metrics_credential_file: String = String::new();
        /// How many may look at a time.
        watchers_max: NonZeroU32 = count(16);
        /// How often the table is sent.
        interval: Span = secs(1);
        /// Whether those who look may close connections, refuse addresses and drain the server.
        may_act: bool = true;
        /// Whether those who look may see what is said on one connection. Passwords and tokens are not shown.
        may_watch: bool = true;
    }

    /// What is logged, how and where.
    LogSettings {
        /// How much.
        level: LevelChoice = LevelChoice::Info;
        /// How much of single parts, by name: `connections`, `messages`, `operation`, `monitor`.
        targets: BTreeMap<String, LevelChoice> = BTreeMap::new();
        /// How lines are written.
        format: FormatChoice = FormatChoice::Human;
        /// How many lines of one kind are written; of what is more, how many there were. Lines that `level` and `targets` keep
        /// out do not count.
        repeats: Maybe<RateText> = Maybe(RateText::new(600, 60, 600));
        /// Where; to the standard error, if there is none.
        file: Option<LogFileSettings> = None;
    }

    /// A log file.
    LogFileSettings {
        /// The directory, which must be there.
        #[schemars(extend("format" = PATH))]
        directory: String = String::new();
        /// What the names of files begin with.
        prefix: String = "drupe".into();
        /// When a new one is begun. By size none is: for that, `never` and logrotate(8) with `copytruncate`.
        rotation: RotationChoice = RotationChoice::Daily;
        /// How many are kept.
        keep: u32 = 7;
    }
}
