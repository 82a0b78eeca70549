use super::format::write_fact;
use super::words::CONCEALED;
use crate::base::Time;
use crate::facts::Fact;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt::{self, Write};

/// A recorder of a machine's facts: see [`Machine::record`](crate::Machine::record).
///
/// If peers send secrets ([`Handler::holds_secrets`](crate::Handler::holds_secrets)), it records
/// only the number of received bytes and that a note arrived, unless it is
/// [verbatim](Self::verbatim).
pub struct Recorder<N> {
    sink: Sink,
    note: fn(&N) -> String,
    verbatim: bool,
    /// Whether to omit received bytes and notes.
    conceals: bool,
}

impl<N> Recorder<N> {
    /// Creates a recorder that passes each line, with its line feed, to `sink`.
    pub fn new(sink: impl FnMut(&str) + Send + 'static) -> Self
    where
        N: fmt::Display,
    {
        Self::to(Sink::Call(Box::new(sink)))
    }

    /// Creates a recorder that keeps the whole trace in memory, including secrets.
    #[cfg(feature = "sim")]
    pub(crate) fn keeping() -> Self
    where
        N: fmt::Display,
    {
        Self::to(Sink::Keep(String::new())).verbatim()
    }

    fn to(sink: Sink) -> Self
    where
        N: fmt::Display,
    {
        Self { sink, note: |note| note.to_string(), verbatim: false, conceals: false }
    }

    /// Makes the recorder write received bytes and notes in full, including passwords and tokens.
    ///
    /// Such a trace can be replayed, and is itself a secret.
    #[must_use]
    pub fn verbatim(self) -> Self {
        Self { verbatim: true, ..self }
    }

    /// Writes the trace's first line, with the seed, and sets whether to omit secrets.
    pub(crate) fn begin(&mut self, seed: u64, holds_secrets: bool) {
        self.conceals = holds_secrets && !self.verbatim;
        self.sink.put(&alloc::format!("seed {seed}\n"));
    }

    /// Returns the trace so far. Empty if the recorder does not [keep](Self::keeping) it.
    #[cfg(feature = "sim")]
    pub(crate) fn kept(&self) -> &str {
        match &self.sink {
            Sink::Keep(text) => text,
            Sink::Call(_) => "",
        }
    }

    pub(crate) fn record(&mut self, now: Time, fact: &Fact<'_, N>) {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = match fact {
            Fact::Received { conn, bytes } if self.conceals => {
                writeln!(line, "{} received {conn} {CONCEALED} {}", now.as_nanos(), bytes.len())
            }
            // A provider's answer may contain a token.
            Fact::Noted(_) if self.conceals => writeln!(line, "# {} noted {CONCEALED}", now.as_nanos()),
            fact => write_fact(&mut line, now, fact, self.note),
        };
        self.sink.put(&line);
    }
}

/// The destination of a trace's lines.
enum Sink {
    Call(Box<dyn FnMut(&str) + Send>),
    #[cfg(feature = "sim")]
    Keep(String),
}

impl Sink {
    fn put(&mut self, line: &str) {
        match self {
            Self::Call(call) => call(line),
            #[cfg(feature = "sim")]
            Self::Keep(text) => text.push_str(line),
        }
    }
}

impl<N> fmt::Debug for Recorder<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// A trace in memory, to which a [`Recorder`] appends.
#[cfg(feature = "std")]
#[derive(Clone, Debug, Default)]
pub struct SharedTrace(alloc::sync::Arc<std::sync::Mutex<String>>);

#[cfg(feature = "std")]
impl SharedTrace {
    /// Creates an empty trace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a recorder that appends to this trace.
    #[must_use]
    pub fn recorder<N: fmt::Display>(&self) -> Recorder<N> {
        let shared = self.clone();
        Recorder::new(move |line| shared.lock().push_str(line))
    }

    /// Returns the trace so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
