//! `supportline import`: tickets from elsewhere, through the queue.

mod file;

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use common::{
    clock::{SystemClock, SystemEntropy},
    config::{Backends, Config},
    domain::ActionKind,
    keys::NumberKey,
    ports::backend::IntakePorts,
    trace::Trace,
};
use desk::{
    export::Format,
    import::{BadLine, Import, Order, Refused, Report},
};
use embedded::OpenError;
use http::problem::FieldError;
use indicatif::ProgressBar;
use serde_json::json;
use tokio::{select, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    cli,
    compose::Installation,
    operator::{action, told_to_stop},
    prepare::Preparation,
    terminal::{self, thousands},
};
use file::File;

/// How long a queue that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_mins(10);

/// Imports a file, or only looks at it. Fails if a line of it was bad, having imported the others.
pub async fn run(wanted: cli::Import, config: Config) -> anyhow::Result<ExitCode> {
    let file = File::open(&wanted.file)
        .with_context(|| format!("cannot read {}", wanted.file.display()))?;
    if wanted.dry_run {
        // No name of a line leaves this process, so any key will do.
        let key = NumberKey::generate(&SystemEntropy);
        let order = order(&wanted, &config);
        let import = Import::new(order, None, &key, Arc::new(SystemClock));
        return conclude(read(import, file).await?, "would be imported");
    }
    let installation = open(&config).await?;
    Preparation::new(&installation, false).once().await?;
    record(&installation, &wanted).await?;
    let ports = installation.backend.operator().await.intakes.open().await;
    let worker = Worker::start(&installation, &config).await;
    let done = import(&installation, order(&wanted, &config), ports, file).await;
    worker.stop().await;
    installation.backend.close().await;
    let told = match &config.backends {
        Backends::Embedded(_) => "imported",
        Backends::Distributed(_) => "given to the queue",
    };
    conclude(done?, told)
}

/// The whole installation: of an embedded one the queue is wherever it is open.
async fn open(config: &Config) -> anyhow::Result<Installation> {
    Installation::open(config).await.map_err(|error| match error.downcast_ref() {
        Some(in_use @ OpenError::InUse { .. }) => anyhow!(
            "{in_use}, and so is its queue: import there, by POST /api/support/admin/tickets/import"
        ),
        _ => error,
    })
}

async fn record(installation: &Installation, wanted: &cli::Import) -> anyhow::Result<()> {
    let details = json!({"format": format(wanted).as_str(), "source": wanted.source.0.as_str()});
    let action = action(&*installation.clock, ActionKind::TicketImport, "tickets", details);
    let actions = installation.backend.operator().await.actions;
    actions.record(&[action]).await.context("an import that cannot be put on record is not begun")
}

async fn import(
    installation: &Installation,
    order: Order,
    ports: IntakePorts,
    file: File,
) -> anyhow::Result<Read> {
    let clock = Arc::clone(&installation.clock);
    read(Import::new(order, Some(ports), &installation.number_key, clock), file).await
}

fn order(wanted: &cli::Import, config: &Config) -> Order {
    Order {
        format: format(wanted),
        source: wanted.source.0.clone(),
        rate: wanted.rate.0,
        trace: Trace::of_request(None, None, &SystemEntropy),
        patience: PATIENCE,
        kept: config.retention,
    }
}

fn format(wanted: &cli::Import) -> Format {
    wanted.format.unwrap_or_else(|| named_by(&wanted.file))
}

/// The format that a file's name ends with.
pub fn named_by(path: &Path) -> Format {
    let is_table = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("csv"));
    if is_table { Format::Csv } else { Format::Ndjson }
}

/// The worker of an embedded installation, whose queue is in this process. A distributed one has its
/// own.
struct Worker(Option<(CancellationToken, JoinHandle<()>)>);

impl Worker {
    async fn start(installation: &Installation, config: &Config) -> Self {
        if matches!(config.backends, Backends::Distributed(_)) {
            return Self(None);
        }
        let stop = CancellationToken::new();
        let running = tokio::spawn(worker::run(
            installation.backend.worker().await,
            Arc::clone(&installation.clock),
            Arc::clone(&installation.entropy),
            installation.worker_settings(config),
            worker::State::new(),
            stop.clone(),
        ));
        Self(Some((stop, running)))
    }

    async fn stop(self) {
        if let Some((stop, running)) = self.0 {
            stop.cancel();
            // How it ended is in the log; what it has stored is counted.
            drop(running.await);
        }
    }
}

/// How far a file was read.
struct Read {
    report: Report,
    was_stopped: bool,
}

/// Reads a file to its end, or until it is told to stop. Bad lines are told as they are found.
async fn read(mut import: Import, mut file: File) -> anyhow::Result<Read> {
    let stop = told_to_stop()?;
    let bar = bar(file.bytes());
    let reading = async {
        while let Some(piece) = file.next().await {
            let piece = piece.context("the file cannot be read on")?;
            import.feed(&piece).await?;
            bar.inc(piece.len() as u64);
            tell(&bar, &mut import);
            if import.has_given_up() {
                return Ok(());
            }
        }
        Ok(import.finish().await?)
    };
    let (read, was_stopped) = select! {
        read = reading => (read, false),
        () = stop.cancelled() => (Ok::<_, anyhow::Error>(()), true),
    };
    import.settle().await;
    tell(&bar, &mut import);
    bar.finish_and_clear();
    if let Err(error) = &read
        && let Some(Refused(errors)) = error.downcast_ref()
    {
        for FieldError { pointer, code, .. } in errors {
            terminal::remark(format!("line 1: {pointer} {code}"));
        }
    }
    read?;
    Ok(Read { report: import.report(), was_stopped })
}

fn bar(bytes: Option<u64>) -> ProgressBar {
    let of_total = "{wide_bar} {binary_bytes} of {binary_total_bytes}, {msg}, {eta} to go";
    terminal::bar(bytes, of_total, "{spinner} {binary_bytes}, {msg}")
}

fn tell(bar: &ProgressBar, import: &mut Import) {
    let bad = import.bad_lines();
    if !bad.is_empty() {
        bar.suspend(|| bad.iter().for_each(|line| terminal::remark(told(line))));
    }
    let Report { lines, rejected, .. } = import.report();
    let seconds = bar.elapsed().as_secs().max(1);
    let (lines, rejected, rate) =
        (thousands(lines), thousands(rejected), thousands(lines / seconds));
    bar.set_message(format!("{lines} lines, {rejected} bad, {rate}/s"));
}

/// A bad line: which, and what is wrong with it, never what it says.
fn told(BadLine { line, errors }: &BadLine) -> String {
    let errors = errors.iter().map(|error| format!("{} {}", error.pointer, error.code));
    let errors = errors.map(|error| error.trim_start().to_owned()).collect::<Vec<_>>();
    format!("line {line}: {}", errors.join(", "))
}

fn conclude(Read { report, was_stopped }: Read, done: &str) -> anyhow::Result<ExitCode> {
    let Report { lines, accepted, known, rejected, unsent } = report;
    let counts = [lines, accepted, known, rejected].map(thousands);
    let [lines, accepted, known, bad] = &counts;
    let noun = if report.lines == 1 { "line" } else { "lines" };
    terminal::remark(format!(
        "{lines} {noun}: {accepted} {done}, {known} there before, {bad} bad."
    ));
    if was_stopped {
        bail!("stopped on request; the same command goes on with the rest");
    }
    if unsent > 0 {
        bail!("the queue takes nothing; the same command goes on with the rest");
    }
    Ok(if rejected > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_by_its_name() {
        for (name, format) in [
            ("a.csv", Format::Csv),
            ("a.CSV", Format::Csv),
            ("csv", Format::Ndjson),
            ("-", Format::Ndjson),
            ("a.csv.ndjson", Format::Ndjson),
        ] {
            assert_eq!(named_by(Path::new(name)), format, "{name}");
        }
    }
}
