//! `GET /api/support/ticket/{id}/events`: the progress of one ticket as server-sent events.
//!
//! A stream tells each change once, in order, under the ticket's own version as its id: what a
//! client has seen is one small number, and resuming needs nothing from the instance it was
//! connected to before. The store is read when a stream begins and after a gap, never in between.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{Response, sse::Event as Message},
};
use backon::Retryable;
use chrono::{DateTime, Utc};
use common::{
    clock::Entropy,
    domain::{Event, EventKind, Priority, Status, Subject, Ticket, TicketNumber},
    retry::persistently,
};
use futures_util::stream;
use http::sse;
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument, Span};
use utoipa::ToSchema;

use crate::{
    answer::rfc3339,
    edge::Edge,
    hub::{Full, News, Seat},
    lookup::{self, Reference},
    openapi::schemas::{self, Number, PriorityWord, SubjectWord, Time},
    problem::Problem,
};

/// The name of every event. Others may come to stand beside it.
pub const EVENT: &str = "progress";

/// How long a stream lives at least; then it ends, and the client resumes by itself, at whichever
/// instance has room. The most it lives on top is drawn at random, so that streams which began
/// together do not end so.
const LIFETIME_MIN: Duration = Duration::from_hours(1);
const LIFETIME_SPREAD: Duration = Duration::from_mins(10);

/// When a client should come back after a stream ended: those of an instance that stopped all at
/// once are spread over so long.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_SPREAD: Duration = Duration::from_secs(4);

/// After a gap the store is read by all that are affected, on every instance at the same time:
/// each waits up to so long at random.
const CATCH_UP_SPREAD: Duration = Duration::from_millis(250);

/// Between tries to read a store that is away.
const CATCH_UP_DELAY_MAX: Duration = Duration::from_secs(10);

/// Reads of one instance at a time after a gap. An edge has eight connections to its store, and
/// look-ups go on.
pub const CATCH_UPS_MAX: usize = 4;

/// Answers with the stream, or 404.
pub async fn events(
    State(edge): State<Arc<Edge>>,
    reference: Reference,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !accepts_events(&headers) {
        return Err(Problem::NotAcceptable);
    }
    let id = lookup::id(lookup::text(&reference));
    let Some(id) = id else { return Err(lookup::not_found(&edge).await) };
    // Before the store is read: what changes from here on is told.
    let seat = edge.hub.subscribe(id).map_err(|Full| Problem::TooManySubscribers)?;
    let ticket = lookup::in_time(&edge, edge.tickets.by_id(id)).await?;
    let is_there = match &ticket {
        Some(ticket) => !ticket.is_erased(),
        None => lookup::is_queued(&edge, id, edge.clock.now()),
    };
    if !is_there {
        return Err(Problem::TicketNotFound);
    }
    let follower = Follower::new(edge, seat, ticket.as_ref(), last_seen(&headers));
    Ok(response(follower))
}

fn response(follower: Follower) -> Response {
    // The stream outlives its request's handler, and is logged of as that.
    let span = Span::current();
    let messages = stream::unfold(follower, move |mut follower| {
        let next = async {
            let message = follower.next().await?;
            Some((Ok::<_, Infallible>(message), follower))
        };
        next.instrument(span.clone())
    });
    sse::stream(messages)
}

/// Whether the client takes an event stream: it does unless it says what it takes and that is
/// something else, or that this is what it does not.
fn accepts_events(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|range| !range.is_empty())
        .peekable();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let kind = parts.next().unwrap_or_default();
            let known = [b"text/event-stream".as_slice(), b"text/*", b"*/*"];
            known.iter().any(|known| kind.eq_ignore_ascii_case(known)) && !parts.any(is_never)
        })
}

/// `q=0`, in any of its spellings.
fn is_never(parameter: &[u8]) -> bool {
    let weight = parameter.split_at_checked(2).filter(|(name, _)| name.eq_ignore_ascii_case(b"q="));
    weight.is_some_and(|(_, weight)| {
        weight.starts_with(b"0") && weight.iter().all(|byte| b"0.".contains(byte))
    })
}

/// The version that the client saw last. What we never sent as an id counts as none.
fn last_seen(headers: &HeaderMap) -> Option<u32> {
    let mut values = headers.get_all("last-event-id").iter();
    let (first, second) = (values.next()?, values.next());
    let text = first.to_str().ok().filter(|_| second.is_none())?;
    text.parse().ok().filter(|version: &u32| version.to_string() == text)
}

/// One step of a ticket's progress, as a client sees it.
enum Step {
    /// Issued, and on its way to the store.
    Queued,
    /// A change that shows.
    Reached(Reached),
}

struct Reached {
    version: u32,
    number: TicketNumber,
    subject: Subject,
    status: Status,
    priority: Priority,
    at: DateTime<Utc>,
}

/// What a step says: nothing personal, so that a page may show it to whoever looks on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProgressEvent)]
pub struct Progress {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Number)]
    ticket_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = SubjectWord)]
    subject: Option<&'static str>,
    /// `queued`, with no other field, until the ticket is numbered.
    #[schema(schema_with = schemas::progress)]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PriorityWord)]
    priority: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    at: Option<String>,
}

impl Step {
    fn message(&self) -> Message {
        let (version, progress) = match self {
            Self::Queued => {
                let (ticket_number, subject, priority, at) = (None, None, None, None);
                (0, Progress { ticket_number, subject, status: "queued", priority, at })
            }
            Self::Reached(reached) => {
                let progress = Progress {
                    ticket_number: Some(reached.number.to_string()),
                    subject: Some(reached.subject.as_str()),
                    status: reached.status.as_str(),
                    priority: Some(reached.priority.as_str()),
                    at: Some(rfc3339(reached.at)),
                };
                (reached.version, progress)
            }
        };
        // Strings under string keys always serialize, into one line.
        let data = serde_json::to_string(&progress).unwrap_or_default();
        Message::default().id(version.to_string()).event(EVENT).data(data)
    }
}

impl Reached {
    /// What a change shows; of some, such as who works on it, a submitter sees nothing.
    fn by(event: &Event) -> Option<Self> {
        let shows = matches!(event.kind, EventKind::TicketCreated | EventKind::TicketStatusChanged);
        shows.then(|| Self {
            version: event.version,
            number: event.number.clone(),
            subject: event.subject,
            status: event.status,
            priority: event.priority,
            at: event.at,
        })
    }

    /// What a stored ticket has come through.
    fn all(ticket: &Ticket) -> impl Iterator<Item = Self> {
        ticket.history.iter().map(|change| Self {
            version: change.version,
            number: ticket.number.clone(),
            subject: ticket.form.subject,
            status: change.status,
            priority: ticket.priority,
            at: change.at,
        })
    }
}

/// One client on one ticket.
struct Follower {
    edge: Arc<Edge>,
    seat: Seat,
    ends_at: Instant,
    /// Sent before anything else.
    retry: Option<Duration>,
    /// All changes up to this one are told or about to be.
    known: u32,
    about_to_be_told: VecDeque<Step>,
}

impl Follower {
    fn new(edge: Arc<Edge>, seat: Seat, ticket: Option<&Ticket>, last_seen: Option<u32>) -> Self {
        let lifetime = LIFETIME_MIN + at_random(&*edge.entropy, LIFETIME_SPREAD);
        let retry = RETRY_MIN + at_random(&*edge.entropy, RETRY_SPREAD);
        let mut follower = Self {
            edge,
            seat,
            ends_at: Instant::now() + lifetime,
            retry: Some(retry),
            known: last_seen.unwrap_or_default(),
            about_to_be_told: VecDeque::new(),
        };
        if let Some(ticket) = ticket {
            follower.begin_with(ticket);
        } else {
            // Whatever the client has seen was not of this: its first change is still to come.
            follower.known = 0;
            let step = (last_seen != Some(0)).then_some(Step::Queued);
            follower.about_to_be_told.extend(step);
        }
        follower
    }

    /// A client that has seen what is not there, as after the store was restored from a backup,
    /// sees everything.
    fn begin_with(&mut self, ticket: &Ticket) {
        let last = Reached::all(ticket).last().map_or(0, |last| last.version);
        if self.known > last {
            self.known = 0;
        }
        self.learn(ticket);
    }

    fn learn(&mut self, ticket: &Ticket) {
        for reached in Reached::all(ticket).filter(|reached| reached.version > self.known) {
            self.about_to_be_told.push_back(Step::Reached(reached));
        }
        let last = Reached::all(ticket).last().map_or(0, |last| last.version);
        self.known = self.known.max(last);
    }

    /// The next message; none once the stream has had its time or the instance stops.
    async fn next(&mut self) -> Option<Message> {
        if let Some(retry) = self.retry.take() {
            return Some(Message::default().retry(retry));
        }
        let (stopped, ends_at) = (self.edge.stop.clone(), self.ends_at);
        tokio::select! {
            biased;
            () = stopped.cancelled() => None,
            () = sleep_until(ends_at) => None,
            step = self.step() => Some(step.message()),
        }
    }

    async fn step(&mut self) -> Step {
        loop {
            if let Some(step) = self.about_to_be_told.pop_front() {
                return step;
            }
            match self.seat.news().await {
                // From the feed a second time, or read from the store before.
                News::Changed(event) if event.version <= self.known => {}
                News::Changed(event) if event.version == self.known + 1 => {
                    self.known = event.version;
                    let step = Reached::by(&event).map(Step::Reached);
                    self.about_to_be_told.extend(step);
                }
                // One before it did not come.
                News::Changed(event) => {
                    self.catch_up().await;
                    self.known = self.known.max(event.version);
                }
                News::Gap => {
                    sleep(at_random(&*self.edge.entropy, CATCH_UP_SPREAD)).await;
                    self.catch_up().await;
                }
            }
        }
    }

    /// Reads the store once, however long that takes.
    async fn catch_up(&mut self) {
        let (edge, id) = (&self.edge, self.seat.id());
        let read = async || {
            // The semaphore is never closed, so there always is a permit.
            let _permit = edge.catch_ups.acquire().await.ok();
            lookup::in_time(edge, edge.tickets.by_id(id)).await
        };
        // It tries again without end, so what it gives back is no error.
        if let Ok(Some(ticket)) = read.retry(persistently(CATCH_UP_DELAY_MAX)).await {
            self.learn(&ticket);
        }
    }
}

/// A duration below `bound`.
fn at_random(entropy: &dyn Entropy, bound: Duration) -> Duration {
    let mut bytes = [0; 2];
    entropy.fill(&mut bytes);
    bound * u32::from(u16::from_le_bytes(bytes)) / (u32::from(u16::MAX) + 1)
}

#[cfg(test)]
mod tests;
