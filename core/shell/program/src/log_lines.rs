//! The format of log lines, with the fields that the operator chose.

use drupe_core::settings::FormatChoice;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Debug};
use std::sync::Arc;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, layer};
use tracing_subscriber::registry::LookupSpan;

/// The format of log lines, and the names of the fields that they leave out. Clones share the names.
#[derive(Clone, Debug)]
pub(crate) struct LineFormat {
    format: FormatChoice,
    omitted: Arc<[String]>,
}

impl LineFormat {
    pub(crate) fn new(format: FormatChoice, omitted: &[String]) -> Self {
        Self { format, omitted: omitted.into() }
    }

    pub(crate) const fn choice(&self) -> FormatChoice {
        self.format
    }

    fn omits(&self, field: &str) -> bool {
        self.omitted.iter().any(|omitted| omitted == field)
    }

    /// Returns a layer that formats events as lines.
    pub(crate) fn layer<S, W>(&self, writer: W) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let layer = layer().with_writer(writer).with_ansi(false);
        match self.format {
            FormatChoice::Human => {
                let layer = layer.with_level(!self.omits("level")).with_target(!self.omits("target"));
                let layer = layer.fmt_fields(self.clone());
                if self.omits("timestamp") { layer.without_time().boxed() } else { layer.boxed() }
            }
            FormatChoice::Json => {
                let format = self.clone();
                layer.json().flatten_event(true).map_event_format(|inner| Filtered { inner, format }).boxed()
            }
        }
    }
}

/// Formats the fields of a line for people.
impl<'w> FormatFields<'w> for LineFormat {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut chosen = Chosen { inner: DefaultVisitor::new(writer, true), format: self };
        fields.record(&mut chosen);
        chosen.inner.finish()
    }
}

/// Passes on the fields that the format does not omit.
struct Chosen<'a, 'w> {
    inner: DefaultVisitor<'w>,
    format: &'a LineFormat,
}

impl Visit for Chosen<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if !self.format.omits(field.name()) {
            self.inner.record_debug(field, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !self.format.omits(field.name()) {
            self.inner.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if !self.format.omits(field.name()) {
            self.inner.record_error(field, value);
        }
    }
}

/// A formatter of JSON lines without the fields that the format omits.
struct Filtered<F> {
    inner: F,
    format: LineFormat,
}

impl<S, N, F> FormatEvent<S, N> for Filtered<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        if self.format.omitted.is_empty() {
            return self.inner.format_event(context, writer, event);
        }
        let mut whole = String::new();
        self.inner.format_event(context, Writer::new(&mut whole), event)?;
        // The formatter flattens the fields itself, so they can be left out only afterwards.
        let fields = serde_json::Deserializer::from_str(&whole).deserialize_map(Fields).map_err(|_| fmt::Error)?;
        writer.write_char('{')?;
        let chosen = fields.iter().filter(|(name, _)| !self.format.omits(name));
        for (number, (name, value)) in chosen.enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let name = serde_json::to_string(name).map_err(|_| fmt::Error)?;
            write!(writer, "{comma}{name}:{value}")?;
        }
        writer.write_str("}\n")
    }
}

/// Reads the fields of a JSON line, in their order.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}
