//! Logs: one subscriber, two formats.

use std::{
    ffi::OsStr,
    fmt,
    io::{self, IsTerminal},
};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter, format::Writer},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    config::{ConfigError, quoted},
    trace,
};

/// Says what is logged.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// What is logged unless `RUST_LOG` says otherwise. lapin reports as errors what is its caller's to
/// judge, such as a broker that is away: whoever loses a connection of ours logs that once.
const DEFAULT_FILTER: &str = "info,lapin=off";

/// The same of a command whose own lines say how it went.
const QUIET_FILTER: &str = "warn,lapin=off";

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for programs.
    Json,
    /// Aligned and coloured, for people.
    Pretty,
}

impl LogFormat {
    /// Pretty where somebody is reading, JSON where something is.
    #[must_use]
    pub fn of_terminal() -> Self {
        if io::stderr().is_terminal() { Self::Pretty } else { Self::Json }
    }
}

/// Sends log lines to standard error, from `info` up unless `RUST_LOG` says otherwise. Standard
/// output stays free for what a command was asked to print.
///
/// Calling it twice in a process keeps the first subscriber.
pub fn start(format: LogFormat) -> Result<(), ConfigError> {
    start_with(format, DEFAULT_FILTER)
}

/// The same from `warn` up, for a command whose own lines say how it went.
pub fn start_quietly(format: LogFormat) -> Result<(), ConfigError> {
    start_with(format, QUIET_FILTER)
}

fn start_with(format: LogFormat, default_filter: &str) -> Result<(), ConfigError> {
    let filter = filter(std::env::var_os(FILTER_VARIABLE).as_deref(), default_filter)?;
    let started = match format {
        LogFormat::Json => json(filter, io::stderr).try_init().is_ok(),
        LogFormat::Pretty => {
            let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
            lines.with_target(false).try_init().is_ok()
        }
    };
    if !started {
        tracing::debug!("a subscriber is installed already");
    }
    Ok(())
}

fn json<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_ansi(false)
        .map_event_format(NamesRequest)
        .finish()
}

/// Lines of JSON that name their request where a line names it that is about one: at the top, and not
/// in a list of spans, so that one search finds all lines of a request.
struct NamesRequest<F>(F);

impl<S, N, F> FormatEvent<S, N> for NamesRequest<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let names_one = event.metadata().fields().field("request_id").is_some();
        let mut spans = context.event_scope().into_iter().flatten();
        let request = spans.find(|span| span.name() == trace::SPAN && !names_one);
        if let Some(span) = request
            && let Some(fields) = span.extensions().get::<FormattedFields<N>>()
            && let Some(fields) = fields.strip_prefix('{')
            && let Some(line) = line.strip_suffix("}\n")
        {
            return writeln!(writer, "{line},{fields}");
        }
        writer.write_str(&line)
    }
}

/// What the variable asks for. Empty counts as not set, as with every setting.
fn filter(given: Option<&OsStr>, default_filter: &str) -> Result<EnvFilter, ConfigError> {
    let given = given.filter(|text| !text.is_empty());
    let Some(given) = given else { return Ok(EnvFilter::new(default_filter)) };
    let text = given.to_str().ok_or(ConfigError::NotText(FILTER_VARIABLE))?;
    EnvFilter::builder().parse(text).map_err(|_| ConfigError::Refused {
        place: FILTER_VARIABLE.to_owned(),
        value: quoted(text),
        accepted:
            "levels (error, warn, info, debug, trace, off), alone or of a module, with commas \
                   between, such as info or warn,supportline=debug"
                .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;
    use crate::{clock::SystemEntropy, trace::Trace};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_of_json_names_its_request_whatever_the_filter_and_once() {
        for (filter, count) in [("info", 4), ("warn", 3), ("supportline=error", 0)] {
            let written = Written::default();
            let writer = written.clone();
            let subscriber = json(EnvFilter::new(filter), move || writer.clone());
            let trace = Trace::of_request(Some("order-66"), None, &SystemEntropy);
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!("before");
                trace.span().in_scope(|| {
                    tracing::info!("within");
                    tracing::info_span!("deeper").in_scope(|| tracing::warn!(it = 1, "deeper"));
                    tracing::warn!(request_id = "order-67", "of another");
                });
            });
            let written = written.0.lock().unwrap();
            let lines: Vec<Value> = written
                .split_inclusive(|byte| *byte == b'\n')
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect();
            assert_eq!(lines.len(), count, "{filter}");
            for line in lines {
                let expected = match line["message"].as_str().unwrap() {
                    "before" => (Value::Null, Value::Null),
                    "of another" => ("order-67".into(), Value::Null),
                    _ => ("order-66".into(), trace.traceparent.clone().into()),
                };
                assert_eq!((&line["request_id"], &line["traceparent"]), (&expected.0, &expected.1));
            }
        }
    }

    #[test]
    fn an_empty_filter_is_none_and_one_that_is_no_filter_is_refused() {
        let filter = |text: Option<&str>| filter(text.map(OsStr::new), DEFAULT_FILTER);
        let default = filter(None).unwrap().to_string();
        assert_eq!(filter(Some("")).unwrap().to_string(), default);
        assert_eq!(filter(Some("supportline=debug")).unwrap().to_string(), "supportline=debug");
        for text in ["supportline=loud", "info,=,", "a=b=c"] {
            let error = filter(Some(text)).unwrap_err().to_string();
            assert!(error.starts_with("RUST_LOG is ") && error.contains("accepted: "), "{error}");
        }
    }
}
