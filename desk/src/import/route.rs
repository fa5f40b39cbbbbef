//! `POST /api/support/admin/tickets/import`: a file of tickets from elsewhere.

use std::{collections::BTreeMap, num::NonZeroU32, ops::RangeInclusive, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use common::{
    domain::{ActionKind, Name, RuleViolation},
    trace::Trace,
};
use http::{
    answer::enveloped,
    auth::Principal,
    body,
    problem::{FieldError, Problem, Success},
};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use super::{Import, Order, SOURCE_DEFAULT};
use crate::{
    desk::Desk,
    export::{Format, route::SUBJECT},
    fields::{Fields, text},
};

/// The largest file in one request, in bytes; a longer one goes in several.
pub const UPLOAD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bad lines that are told; the others are counted.
const BAD_LINES_MAX: usize = 1_000;

/// The most tickets in a second, unless asked otherwise.
pub const RATE_DEFAULT: u32 = 1_000;
/// The least and the most that can be asked for. At a slower one what was read at once would take longer
/// than an answer may.
pub const RATES: RangeInclusive<u32> = 10..=10_000;

/// How long the next bytes may take.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// How long a queue that takes nothing is waited for: a broker that is started anew is back by then.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a request reads on. What it is in the middle of then is finished.
const READING_WAIT: Duration = Duration::from_mins(9);

/// What the whole of it may take.
pub const REQUEST_WAIT: Duration = Duration::from_mins(10);

/// The media types that are read.
const MEDIA_TYPES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "text/csv"];

/// Reads the body as it comes, and answers what became of its lines.
pub async fn import(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Extension(trace): Extension<Trace>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, mut body) = request.into_parts();
    let begun = async {
        let order =
            Order { kept: desk.retention, ..order(&head.headers, head.uri.query(), trace)? };
        let place = desk.transfer()?;
        let details = json!({"format": order.format.as_str(), "source": order.source.as_str()});
        desk.record(&principal, ActionKind::TicketImport, SUBJECT, details).await?;
        Ok::<_, Problem>((order, place))
    };
    let (order, _place) = match begun.await {
        Ok(begun) => begun,
        Err(problem) => return Ok(body::decline(&head.headers, body, problem).await),
    };
    let ports = desk.intakes.open().await;
    let mut import = Import::new(order, Some(ports), &desk.number_key, Arc::clone(&desk.clock));
    let mut bad = BadLines::default();
    let read = read(&desk, &mut import, &mut bad, &mut body).await;
    import.settle().await;
    bad.take(&mut import);
    let report = import.report();
    let is_complete = match read {
        Ok(is_whole) => is_whole && report.unsent == 0,
        Err(problem) => return Ok(body::decline(&head.headers, body, problem).await),
    };
    if report.unsent > 0 && report.accepted + report.known == 0 {
        return Ok(body::decline(&head.headers, body, Problem::Unavailable).await);
    }
    let imported = Imported {
        lines: report.lines,
        accepted: report.accepted,
        duplicates: report.known,
        rejected: report.rejected,
        errors: bad.told(),
        is_complete,
    };
    let answer = enveloped(Success::Found, "Tickets imported", &imported, desk.clock.now())?;
    Ok(if is_complete { answer } else { body::decline(&head.headers, body, answer).await })
}

/// Reads on to the end, if there is time for that and this process goes on; whether it did.
async fn read(
    desk: &Desk,
    import: &mut Import,
    bad: &mut BadLines,
    body: &mut Body,
) -> Result<bool, Problem> {
    let until = Instant::now() + READING_WAIT;
    let refused = |super::Refused(errors)| Problem::ValidationFailed(errors);
    loop {
        let frame = timeout(BODY_WAIT, body.frame()).await.map_err(|_| Problem::BodyTimeout)?;
        let Some(frame) = frame else { break };
        // A file that breaks off ends with what may be half a line: it is not taken for a whole one.
        let Ok(piece) = frame.map_err(|_| Problem::IncompleteBody)?.into_data() else { continue };
        import.feed(&piece).await.map_err(refused)?;
        bad.take(import);
        if import.has_given_up() || Instant::now() >= until || desk.stop.is_cancelled() {
            return Ok(false);
        }
    }
    import.finish().await.map_err(refused)?;
    Ok(true)
}

/// How to import, by the request's head.
fn order(headers: &HeaderMap, query: Option<&str>, trace: Trace) -> Result<Order, Problem> {
    let mut fields = Fields::of_query(query);
    let source = fields.optional("source", text(Name::parse));
    let rate = fields.optional("rate", text(rate)).or(NonZeroU32::new(RATE_DEFAULT));
    fields.finish()?;
    let media_type = body::require(headers, &MEDIA_TYPES).map_err(|problem| match problem {
        Problem::UnsupportedMediaType => Problem::UnsupportedUpload,
        other => other,
    })?;
    // One whose length is not known before could turn out to be too large when half of it is done.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Problem::LengthRequired);
    }
    // Without either there is no body, by the rules of HTTP.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<u64>().ok()) > Some(UPLOAD_BYTES_MAX) {
        return Err(Problem::UploadTooLarge);
    }
    let format = if media_type == "text/csv" { Format::Csv } else { Format::Ndjson };
    let source = source.unwrap_or_else(|| Name::stored(SOURCE_DEFAULT.to_owned()));
    Ok(Order { format, source, rate, trace, patience: PATIENCE, kept: None })
}

fn rate(text: &str) -> Result<NonZeroU32, RuleViolation> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let rate =
        text.parse().ok().filter(|rate: &NonZeroU32| is_plain && RATES.contains(&rate.get()));
    let detail = || {
        let (least, most) = (RATES.start(), RATES.end());
        format!("must be a whole number from {least} to {most}")
    };
    rate.ok_or_else(|| RuleViolation::new("out_of_range", detail()))
}

/// The first of them.
#[derive(Default)]
struct BadLines(BTreeMap<u64, Vec<FieldError>>);

impl BadLines {
    fn take(&mut self, import: &mut Import) {
        self.0.extend(import.bad_lines().into_iter().map(|it| (it.line, it.errors)));
        while self.0.len() > BAD_LINES_MAX {
            self.0.pop_last();
        }
    }

    fn told(self) -> Vec<ToldLine> {
        self.0.into_iter().map(|(line, errors)| ToldLine { line, errors }).collect()
    }
}

/// What became of a file.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ImportedTickets)]
pub struct Imported {
    /// Lines that were read; blank ones and the names of columns do not count.
    lines: u64,
    /// Those that are tickets now, or on their way to be.
    accepted: u64,
    /// Those that were imported before.
    duplicates: u64,
    /// Those that cannot be tickets.
    rejected: u64,
    /// The first thousand of the rejected.
    errors: Vec<ToldLine>,
    /// Whether the whole file was read. Otherwise send it again: what was taken is met again.
    is_complete: bool,
}

/// A line that cannot be a ticket.
#[derive(Serialize, ToSchema)]
#[schema(as = BadLine)]
struct ToldLine {
    /// Which, from 1.
    line: u64,
    /// All that is wrong with it.
    errors: Vec<FieldError>,
}

#[cfg(test)]
mod tests;
