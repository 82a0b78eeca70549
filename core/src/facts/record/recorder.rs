use super::format::write_fact;
use super::words::{CONCEALED, WITHOUT_TEXT};
use crate::base::{ConnId, Time};
use crate::facts::Fact;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt::{self, Write};
use core::mem;

/// A recorder of a machine's facts: see [`Machine::record`](crate::Machine::record).
///
/// If peers send secrets ([`Handler::holds_secrets`](crate::Handler::holds_secrets)), it records
/// only the number of received bytes and that a note arrived, unless it is
/// [verbatim](Self::verbatim).
pub struct Recorder<N> {
    sink: Sink,
    /// Writes a note as text. `None`: notes are omitted.
    note: Option<fn(&N) -> String>,
    verbatim: bool,
    /// Whether to omit received bytes and notes.
    conceals: bool,
    sums: bool,
    /// The last line, whose memory is used again.
    line: String,
}

impl<N> Recorder<N> {
    /// Creates a recorder that passes each line, with its line feed, to `sink`.
    pub fn new(sink: impl FnMut(&str) + Send + 'static) -> Self
    where
        N: fmt::Display,
    {
        Self::to(Sink::Call(Box::new(sink)))
    }

    /// Creates a recorder that omits notes, because they cannot be written as text.
    pub fn without_notes(sink: impl FnMut(&str) + Send + 'static) -> Self {
        Self::with(Sink::Call(Box::new(sink)), None)
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
        Self::with(sink, Some(N::to_string))
    }

    fn with(sink: Sink, note: Option<fn(&N) -> String>) -> Self {
        Self { sink, note, verbatim: false, conceals: false, sums: false, line: String::new() }
    }

    /// Makes the recorder write a checksum of the bytes that each socket accepted, so that a replay can compare them, and
    /// the connection that each fact opened.
    #[must_use]
    pub fn with_sums(self) -> Self {
        Self { sums: true, ..self }
    }

    pub(crate) const fn has_sums(&self) -> bool {
        self.sums
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
        let mut line = mem::take(&mut self.line);
        line.clear();
        // Writing to a string cannot fail.
        let _ = match (fact, self.note) {
            (Fact::Received { conn, bytes }, _) if self.conceals => {
                writeln!(line, "{} received {conn} {CONCEALED} {}", now.as_nanos(), bytes.len())
            }
            // A provider's answer may contain a token.
            (Fact::Noted(_), Some(_)) if self.conceals => writeln!(line, "# {} noted {CONCEALED}", now.as_nanos()),
            (Fact::Noted(_), None) => writeln!(line, "# {} noted {WITHOUT_TEXT}", now.as_nanos()),
            (fact, note) => write_fact(&mut line, now, fact, note.unwrap_or(|_| String::new())),
        };
        self.sink.put(&line);
        self.line = line;
    }

    /// Records the sum of the bytes that a socket accepted, before the fact that it did.
    pub(crate) fn record_sum(&mut self, conn: ConnId, sum: u32) {
        let mut line = mem::take(&mut self.line);
        line.clear();
        let _ = writeln!(line, "{SUM}{conn} {sum:08x}");
        self.sink.put(&line);
        self.line = line;
    }

    /// Records the connection that the last fact opened.
    pub(crate) fn record_opened(&mut self, conn: ConnId) {
        let mut line = mem::take(&mut self.line);
        line.clear();
        let _ = writeln!(line, "{OPENED}{conn}");
        self.sink.put(&line);
        self.line = line;
    }
}

/// The beginning of a line with the connection that the fact before it opened. Parsers of traces ignore it.
pub(crate) const OPENED: &str = "# opened ";
/// The beginning of a line with a sum. Parsers of traces ignore it.
pub(crate) const SUM: &str = "# sum ";

/// Returns the sum of the first bytes of some slices: FNV-1a with 32 bits.
pub(crate) fn sum_of<'b>(slices: impl Iterator<Item = &'b [u8]>, bytes: usize) -> u32 {
    let (mut sum, mut left) = (0x811c_9dc5_u32, bytes);
    for slice in slices {
        let part = slice.get(..left).unwrap_or(slice);
        sum = part.iter().fold(sum, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        left -= part.len();
        if left == 0 {
            break;
        }
    }
    sum
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
