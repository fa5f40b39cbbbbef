//! Tickets on their way in from elsewhere: a file, read as it comes, each of whose lines goes the way
//! of a form, through the queue. However long the file, some hundred kilobytes of it are held.
//!
//! What a line is called follows from what it says and where it comes from. So a file may be imported
//! again, as after anything that broke an import off: what is stored is met again, and there is one
//! ticket of each line.

mod delivery;
mod line;
mod records;
pub(crate) mod route;

use std::{mem, num::NonZeroU32, sync::Arc, time::Duration};

use common::{
    clock::Clock,
    domain::{Name, Submission},
    keys::NumberKey,
    ports::backend::IntakePorts,
    trace::Trace,
};
use http::problem::FieldError;

use crate::export::Format;
use delivery::{Chunk, Delivered, Delivery};
use line::{Line, Naming, Table, whole};
use records::{Lines, Record, Rows, Splitter};

pub use line::FIELDS;

/// The source of what nobody names one for.
pub const SOURCE_DEFAULT: &str = "import";

/// How a file is to be imported.
pub struct Order {
    /// How it is written.
    pub format: Format,
    /// Whose lines they are: the same line of another source is another ticket.
    pub source: Name,
    /// The most tickets in a second.
    pub rate: Option<NonZeroU32>,
    /// The request that asks for it.
    pub trace: Trace,
    /// How long the queue is waited for before the import gives up.
    pub patience: Duration,
    /// How long tickets are kept that nobody touches: what is older would be erased at once.
    pub kept: Option<Duration>,
}

/// A line that is no ticket, and why; nothing of what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Which, from 1. A row of CSV is known by its first line.
    pub line: u64,
    /// All that is wrong with it.
    pub errors: Vec<FieldError>,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Lines that were read, blank ones and the names of columns left out.
    pub lines: u64,
    /// Those that the queue has, or that would be sent there.
    pub accepted: u64,
    /// Those that were there before.
    pub known: u64,
    /// Those that are no tickets.
    pub rejected: u64,
    /// Those that the queue did not take.
    pub unsent: u64,
}

/// The file cannot be imported at all, and nothing of it was.
#[derive(Debug, thiserror::Error)]
#[error(
    "the first line must name the columns, each once, name, email, subject and message among them"
)]
pub struct Refused(pub Vec<FieldError>);

/// An import under way.
pub struct Import {
    splitter: Splitter,
    /// Of CSV.
    table: Option<Table>,
    naming: Naming,
    kept: Option<Duration>,
    trace: Trace,
    clock: Arc<dyn Clock>,
    chunk: Chunk,
    /// Without one lines are looked at and that is all.
    delivery: Option<Delivery>,
    report: Report,
    bad: Vec<BadLine>,
}

impl Import {
    /// Begins. Without ports nothing is sent anywhere. Needs a tokio runtime.
    #[must_use]
    pub fn new(
        order: Order,
        ports: Option<IntakePorts>,
        key: &NumberKey,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let splitter = match order.format {
            Format::Ndjson => Splitter::Lines(Lines::default()),
            Format::Csv => Splitter::Rows(Rows::default()),
        };
        Self {
            splitter,
            table: (order.format == Format::Csv).then(Table::default),
            naming: Naming::new(key, order.source.as_str()),
            kept: order.kept,
            trace: order.trace,
            clock,
            chunk: Chunk::within(order.rate),
            delivery: ports.map(|ports| Delivery::new(ports, order.rate, order.patience)),
            report: Report::default(),
            bad: Vec::new(),
        }
    }

    /// Takes the next piece of the file; waits while the queue does not take what is read.
    pub async fn feed(&mut self, piece: &[u8]) -> Result<(), Refused> {
        let mut found = Vec::new();
        self.splitter.push(piece, &mut found);
        self.take_all(found).await
    }

    /// Takes the end of the file, and waits for all that is on its way.
    pub async fn finish(&mut self) -> Result<(), Refused> {
        let mut found = Vec::new();
        self.splitter.finish(&mut found);
        self.take_all(found).await?;
        if let Some(table) = self.table.as_mut().filter(|table| !table.has_head()) {
            table.read_head(&[]).map_err(Refused)?;
        }
        self.send().await;
        self.settle().await;
        Ok(())
    }

    /// Waits for what is on its way, and takes nothing more.
    pub async fn settle(&mut self) {
        if let Some(delivery) = &mut self.delivery {
            let delivered = delivery.finish().await;
            self.note(delivered);
        }
    }

    /// How far it has come.
    #[must_use]
    pub const fn report(&self) -> Report {
        self.report
    }

    /// Whether it has given up: the queue takes nothing.
    #[must_use]
    pub const fn has_given_up(&self) -> bool {
        self.report.unsent > 0
    }

    /// The lines found bad since the last call, nearly in their order: that one contradicts what is
    /// stored is known a little later.
    pub fn bad_lines(&mut self) -> Vec<BadLine> {
        mem::take(&mut self.bad)
    }

    async fn take_all(&mut self, records: Vec<Record>) -> Result<(), Refused> {
        for record in records {
            if self.has_given_up() {
                return Ok(());
            }
            self.take(record).await?;
        }
        Ok(())
    }

    async fn take(&mut self, Record { line, content }: Record) -> Result<(), Refused> {
        let cells = match (content, &mut self.table) {
            (Ok(cells), Some(table)) if !table.has_head() => {
                return table.read_head(&cells).map_err(Refused);
            }
            // A head that cannot be read names no columns.
            (Err(_), Some(table)) if !table.has_head() => {
                return table.read_head(&[]).map_err(Refused);
            }
            (content, _) => content,
        };
        self.report.lines += 1;
        let read = cells.map_err(|flaw| vec![flaw.into()]).and_then(|cells| self.read(cells));
        match read {
            Ok(submission) => {
                self.chunk.add(line, submission);
                if self.chunk.is_full() {
                    self.send().await;
                }
            }
            Err(errors) => self.reject(line, errors),
        }
        Ok(())
    }

    fn read(&self, mut cells: Vec<Vec<u8>>) -> Result<Submission, Vec<FieldError>> {
        let now = self.clock.now();
        let text = match &self.table {
            Some(table) => table.object(cells).map_err(|error| vec![error])?,
            None => cells.pop().unwrap_or_default(),
        };
        let line = Line::parse(&text, now, self.kept.map(|kept| now - kept))?;
        Ok(Submission {
            id: self.naming.id(&line),
            key: None,
            submitted_at: line.submitted_at.unwrap_or(now),
            form: line.form,
            trace: self.trace.clone(),
        })
    }

    async fn send(&mut self) {
        let chunk = self.chunk.take();
        let delivered = match &mut self.delivery {
            Some(delivery) => delivery.send(chunk).await,
            None => Delivered { accepted: chunk.len() as u64, ..Delivered::default() },
        };
        self.note(delivered);
    }

    fn note(&mut self, delivered: Delivered) {
        self.report.accepted += delivered.accepted;
        self.report.known += delivered.known;
        self.report.unsent += delivered.unsent;
        for line in delivered.contradicted {
            let detail = "another ticket was imported as this one before, with another email, \
                          subject or message";
            self.reject(line, vec![whole("conflict", detail)]);
        }
    }

    fn reject(&mut self, line: u64, errors: Vec<FieldError>) {
        self.report.rejected += 1;
        self.bad.push(BadLine { line, errors });
    }
}

#[cfg(test)]
mod tests;
