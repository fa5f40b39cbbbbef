//! `GET …/tickets/events` and `GET …/tickets/{id}/events`: what happens to tickets, as server-sent
//! events, so that two members of staff see each other's changes.
//!
//! A stream begins with `gap`, and says so again whenever something may have been missed: whoever shows
//! tickets then reads them again. Between that every change is told, and nothing personal in it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::request::Parts,
    response::{Response, sse::Event as Message},
};
use common::{
    domain::{Event, SubmissionId},
    ports::events::{Feed, FeedItem},
};
use futures_util::stream;
use http::{
    answer::rfc3339,
    auth::{Principal, Stay},
    openapi::schemas::{Id as IdText, Number, StatusWord, Time},
    problem::Problem,
    sse,
};
use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        broadcast::{self, error::RecvError},
    },
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    desk::Desk,
    fields::{Fields, Id},
    tickets::reference,
};

/// The name of a message that tells a change.
pub const CHANGE: &str = "change";
/// The name of a message that says that something may have been missed.
pub const GAP: &str = "gap";

/// Streams at a time: each holds a connection and a place among those who are told.
const STREAMS_MAX: usize = 1_000;

/// Changes that a stream may be behind; then it is told of a gap instead.
const BEHIND_MAX: usize = 1_024;

/// How often it is looked whether whoever listens may still do so.
const STANDING_CHECK: Duration = Duration::from_secs(5);

/// Nothing is told or exported on the strength of an older look.
pub const STANDING_AGE_MAX: Duration = Duration::from_secs(1);

/// When a client should come back after a stream ended.
const RETRY: Duration = Duration::from_secs(2);

/// Hands what happens to everybody who listens.
pub struct Live {
    told: broadcast::Sender<FeedItem>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Live {
    /// Listens to the feed until `stop`. Needs a tokio runtime.
    pub fn start(feed: &Arc<dyn Feed>, stop: CancellationToken) -> Self {
        let (told, _) = broadcast::channel(BEHIND_MAX);
        let (sender, mut heard, stopped) = (told.clone(), feed.subscribe(), stop.clone());
        tokio::spawn(async move {
            while let Some(item) = stopped.run_until_cancelled(heard.next()).await {
                // Nobody listening is fine.
                let _ = sender.send(item);
            }
        });
        Self { told, places: Arc::new(Semaphore::new(STREAMS_MAX)), stop }
    }
}

/// Of all tickets.
pub async fn of_all(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    head: Parts,
) -> Result<Response, Problem> {
    Fields::of_query(head.uri.query()).finish()?;
    open(&desk, &principal, None)
}

/// Of one.
pub async fn of_one(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    head: Parts,
) -> Result<Response, Problem> {
    Fields::of_query(head.uri.query()).finish()?;
    let which = reference(&id).ok_or(Problem::TicketNotFound)?;
    let case = desk.stored(desk.cases.one(&which)).await?.ok_or(Problem::TicketNotFound)?;
    open(&desk, &principal, Some(case.ticket.id))
}

fn open(
    desk: &Arc<Desk>,
    principal: &Principal,
    only: Option<SubmissionId>,
) -> Result<Response, Problem> {
    let place = Arc::clone(&desk.live.places).try_acquire_owned();
    let listener = Listener {
        place: place.map_err(|_| Problem::TooManySubscribers)?,
        told: desk.live.told.subscribe(),
        desk: Arc::clone(desk),
        stay: Stay::of(principal),
        only,
        begins: true,
    };
    let messages = stream::unfold(listener, async |mut listener| {
        let message = listener.next().await?;
        Some((Ok::<_, Infallible>(message), listener))
    });
    Ok(sse::stream(Box::pin(messages)))
}

/// One who listens.
struct Listener {
    desk: Arc<Desk>,
    told: broadcast::Receiver<FeedItem>,
    stay: Stay,
    only: Option<SubmissionId>,
    begins: bool,
    #[expect(dead_code, reason = "held for as long as the stream lives")]
    place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next message; none once the desk stops, or whoever listens may not any more.
    async fn next(&mut self) -> Option<Message> {
        if std::mem::take(&mut self.begins) {
            return Some(gap().retry(RETRY));
        }
        loop {
            tokio::select! {
                biased;
                () = self.desk.live.stop.cancelled() => return None,
                () = sleep_until(self.stay.asked_at() + STANDING_CHECK) => {
                    self.check(Duration::ZERO).await?;
                }
                heard = self.told.recv() => match heard {
                    Ok(FeedItem::Changed(event)) if self.concerns(&event) => {
                        self.check(STANDING_AGE_MAX).await?;
                        return Some(told(&event));
                    }
                    Ok(FeedItem::Changed(_)) => {}
                    Ok(FeedItem::Gap) | Err(RecvError::Lagged(_)) => return Some(gap()),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    /// Nothing once whoever listens may not any more.
    async fn check(&mut self, age_max: Duration) -> Option<()> {
        self.desk.access.still_admits(&mut self.stay, age_max).await.then_some(())
    }

    fn concerns(&self, event: &Event) -> bool {
        self.only.is_none_or(|only| only == event.ticket_id)
    }
}

fn gap() -> Message {
    Message::default().event(GAP).data("{}")
}

fn told(event: &Event) -> Message {
    // Strings under string keys always serialize, into one line.
    let data = serde_json::to_string(&Told::from(event)).unwrap_or_default();
    Message::default().id(event.id.to_string()).event(CHANGE).data(data)
}

/// What a change says.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketChange)]
pub struct Told<'a> {
    #[schema(value_type = IdText)]
    id: Uuid,
    #[schema(value_type = Number)]
    ticket_number: String,
    /// The version that the ticket thereby has.
    version: u32,
    /// As the event is called.
    kind: &'static str,
    #[schema(value_type = StatusWord)]
    status: &'static str,
    #[schema(value_type = Time)]
    at: String,
    /// What was and what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    changes: Option<&'a Value>,
}

impl<'a> From<&'a Event> for Told<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            id: event.ticket_id.as_uuid(),
            ticket_number: event.number.to_string(),
            version: event.version,
            kind: event.kind.as_str(),
            status: event.status.as_str(),
            at: rfc3339(event.at),
            changes: event.changes.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests;
