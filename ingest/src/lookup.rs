//! `GET /api/support/ticket/{ticketNumber | id}`: the progress for whoever has the number, the
//! whole ticket for whoever has the secret id.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use chrono::{DateTime, TimeDelta, Utc};
use common::{
    domain::{PageUrl, Post, PostKind, SubmissionId, Ticket, TicketNumber, UserAgent, UserId},
    ports::store::StoreError,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answer::{enveloped, rfc3339},
    condition,
    echo::Queued,
    edge::Edge,
    openapi::schemas::{Id, Number, PriorityWord, StatusWord, SubjectWord, Time, one_of},
    problem::{Problem, Success},
};

/// How far the clock of the instance that issued an id may be ahead of this one's.
const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::seconds(5);

/// A well-formed number of a year without tickets. It is looked up in place of what is no number
/// and no id, so that such a request takes the store's time, and fails with the store, as an
/// unknown number does: no caller learns which numbers could exist.
const NOBODYS: &str = "SUP-0000-000000";

/// Answers with the ticket, with word that it is queued, or 404.
pub async fn look_up(
    State(edge): State<Arc<Edge>>,
    reference: Reference,
) -> Result<Response, Problem> {
    let reference = text(&reference);
    let (now, message) = (edge.clock.now(), "Support ticket found");
    if let Some(id) = id(reference) {
        return match in_time(&edge, edge.tickets.by_id(id)).await? {
            // It is nobody's any more.
            Some(ticket) if ticket.is_erased() => Err(Problem::TicketNotFound),
            Some(ticket) => enveloped(Success::Found, message, &Whole::from(&ticket), now),
            None if is_queued(&edge, id, now) => {
                enveloped(Success::Found, "Support ticket queued", &Queued::of(id), now)
            }
            None => Err(Problem::TicketNotFound),
        };
    }
    // People type numbers, and not always in capitals.
    let Ok(number) = reference.to_ascii_uppercase().parse() else {
        return Err(not_found(&edge).await);
    };
    match in_time(&edge, edge.tickets.by_number(number)).await? {
        Some(ticket) => enveloped(Success::Found, message, &Progress::from(&ticket), now),
        None => Err(Problem::TicketNotFound),
    }
}

/// What stands in the path, however it is escaped there; in vain if that is no text.
pub type Reference = Result<Path<String>, PathRejection>;

/// The text of it. What is none names nothing.
pub fn text(reference: &Reference) -> &str {
    reference.as_ref().map(|Path(text)| text.as_str()).unwrap_or_default()
}

/// The answer to what is no number and no id, after a look-up that finds nothing.
pub async fn not_found(edge: &Edge) -> Problem {
    let Ok(number) = NOBODYS.parse::<TicketNumber>() else { return Problem::TicketNotFound };
    let found = in_time(edge, edge.tickets.by_number(number)).await;
    found.err().unwrap_or(Problem::TicketNotFound)
}

/// An id as answers write it. Other spellings that the parser knows are none of ours.
pub fn id(text: &str) -> Option<SubmissionId> {
    let is_hyphenated = text.len() == 36;
    Uuid::try_parse(text).ok().filter(|_| is_hyphenated).map(SubmissionId::from)
}

/// Reads, and gives up when the caller should have an answer.
pub async fn in_time<T>(
    edge: &Edge,
    read: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Problem> {
    edge.look_ups.note(condition::in_time(read).await).map_err(|_| Problem::Unavailable)
}

/// An id that an instance with our key issued, and that is not in the store, is on its way there.
pub fn is_queued(edge: &Edge, id: SubmissionId, now: DateTime<Utc>) -> bool {
    edge.ids.is_issued(id) && issued_at(id).is_none_or(|time| time <= now + CLOCK_SKEW_MAX)
}

/// An id that was derived from a key says nothing of its time.
fn issued_at(id: SubmissionId) -> Option<DateTime<Utc>> {
    let (seconds, nanoseconds) = id.as_uuid().get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}

/// What the number shows: nothing of who asked, or what.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    #[schema(value_type = Number)]
    ticket_number: String,
    #[schema(value_type = SubjectWord)]
    subject: &'static str,
    #[schema(value_type = StatusWord)]
    status: &'static str,
    #[schema(value_type = PriorityWord)]
    priority: &'static str,
    #[schema(value_type = Time)]
    submitted_at: String,
    #[schema(value_type = Time)]
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    resolved_at: Option<String>,
    /// Every status it has had, the first one first.
    history: Vec<Step>,
}

/// A status, and since when.
#[derive(Serialize, ToSchema)]
pub struct Step {
    #[schema(value_type = StatusWord)]
    status: &'static str,
    #[schema(value_type = Time)]
    at: String,
}

impl From<&Ticket> for Progress {
    fn from(ticket: &Ticket) -> Self {
        let steps = ticket.history.iter();
        Self {
            ticket_number: ticket.number.to_string(),
            subject: ticket.form.subject.as_str(),
            status: ticket.status.as_str(),
            priority: ticket.priority.as_str(),
            submitted_at: rfc3339(ticket.submitted_at),
            updated_at: rfc3339(ticket.updated_at),
            resolved_at: ticket.resolved_at.map(rfc3339),
            history: steps
                .map(|step| Step { status: step.status.as_str(), at: rfc3339(step.at) })
                .collect(),
        }
    }
}

/// What the id shows: the progress, and what its submitter sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub struct Whole<'a> {
    #[schema(value_type = Id)]
    id: Uuid,
    #[serde(flatten)]
    progress: Progress,
    name: &'a str,
    email: &'a str,
    message: &'a str,
    /// The sender's time, to the letter.
    timestamp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    url: Option<&'a str>,
    /// What was written since, in order.
    replies: Vec<Written<'a>>,
}

/// A text between staff and submitter.
#[derive(Serialize, ToSchema)]
#[schema(as = Reply)]
pub struct Written<'a> {
    /// Who wrote it.
    #[schema(schema_with = authors)]
    from: &'static str,
    message: &'a str,
    #[schema(value_type = Time)]
    at: String,
}

fn authors() -> utoipa::openapi::Object {
    one_of(["staff", "submitter"])
}

impl<'a> From<&'a Post> for Written<'a> {
    fn from(post: &'a Post) -> Self {
        let from = if post.kind == PostKind::Answer { "submitter" } else { "staff" };
        Self { from, message: post.body.as_str(), at: rfc3339(post.at) }
    }
}

impl<'a> From<&'a Ticket> for Whole<'a> {
    fn from(ticket: &'a Ticket) -> Self {
        let form = &ticket.form;
        Self {
            id: ticket.id.as_uuid(),
            progress: Progress::from(ticket),
            name: form.name.as_str(),
            email: form.email.as_str(),
            message: form.message.as_str(),
            timestamp: form.timestamp.as_str(),
            user_id: form.user_id.as_ref().map(UserId::as_str),
            user_agent: form.user_agent.as_ref().map(UserAgent::as_str),
            url: form.url.as_ref().map(PageUrl::as_str),
            replies: ticket.replies.iter().map(Written::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{
        clock::SystemEntropy,
        domain::{Fingerprint, KeyHash, Priority, Status, StatusChange, SubmissionIds},
    };
    use serde_json::json;

    use super::*;
    use crate::{
        doubles::{FORM, Mood, NOW, Stage, number_key},
        form,
        routes::TICKETS,
    };

    const NUMBER: &str = "SUP-2026-483920";

    fn issued(ahead: TimeDelta) -> SubmissionId {
        let now: DateTime<Utc> = NOW.parse().unwrap();
        SubmissionIds::new(&number_key()).issue(now + ahead, &SystemEntropy)
    }

    fn ticket(id: SubmissionId) -> Ticket {
        let [opened, resolved] = ["2026-11-22T10:00:00Z", "2026-11-22T10:10:00.5Z"]
            .map(|time| time.parse::<DateTime<Utc>>().unwrap());
        let form = FORM.replace('}', r#","userId":"u1","userAgent":"Firefox"}"#);
        Ticket {
            replies: vec![],
            id,
            number: NUMBER.parse().unwrap(),
            form: form::parse(form.as_bytes()).unwrap(),
            status: Status::Resolved,
            priority: Priority::High,
            submitted_at: opened,
            updated_at: resolved,
            resolved_at: Some(resolved),
            history: vec![
                StatusChange { version: 1, status: Status::Open, at: opened },
                StatusChange { version: 3, status: Status::Resolved, at: resolved },
            ],
        }
    }

    fn path(reference: impl std::fmt::Display) -> String {
        format!("{TICKETS}/{reference}")
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_shows_the_progress_and_nothing_of_who_asked() {
        let stage = Stage::new();
        stage.store.tickets.lock().unwrap().push(ticket(issued(TimeDelta::zero())));
        let heard = stage.get(&path("sup-2026-483920")).await;
        let progress = json!({
            "ticketNumber": NUMBER, "subject": "technical", "status": "resolved",
            "priority": "high", "submittedAt": "2026-11-22T10:00:00.000Z",
            "updatedAt": "2026-11-22T10:10:00.500Z", "resolvedAt": "2026-11-22T10:10:00.500Z",
            "history": [
                {"status": "open", "at": "2026-11-22T10:00:00.000Z"},
                {"status": "resolved", "at": "2026-11-22T10:10:00.500Z"},
            ],
        });
        assert_eq!((heard.status, &heard.json["data"]), (200, &progress));
        assert_eq!(heard.header("cache-control"), "no-store");
    }

    #[tokio::test(start_paused = true)]
    async fn the_id_shows_what_was_sent_as_well() {
        let stage = Stage::new();
        let id = issued(TimeDelta::zero());
        stage.store.tickets.lock().unwrap().push(ticket(id));
        let heard = stage.get(&path(id)).await;
        let data = heard.json["data"].as_object().unwrap();
        let keys: Vec<_> = data.keys().map(String::as_str).collect();
        let mut expected = [
            "email",
            "history",
            "id",
            "message",
            "name",
            "priority",
            "replies",
            "resolvedAt",
            "status",
            "subject",
            "submittedAt",
            "ticketNumber",
            "timestamp",
            "updatedAt",
            "userAgent",
            "userId",
        ];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(data["timestamp"], "2026-11-22T10:29:59Z");
        assert_eq!(data["id"], id.to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn an_issued_id_that_is_not_stored_yet_is_queued() {
        let stage = Stage::new();
        let id = issued(CLOCK_SKEW_MAX);
        let heard = stage.get(&path(id)).await;
        assert_eq!(heard.status, 200);
        assert_eq!(heard.json["data"], json!({"id": id.to_string(), "status": "queued"}));
        let early = stage.get(&path(issued(TimeDelta::seconds(6)))).await;
        assert_eq!(early.code(), (404, "ticket_not_found"));
        let ids = SubmissionIds::new(&number_key());
        let derived = ids.derive(KeyHash([1; 16]), Fingerprint([2; 16]));
        assert_eq!(stage.get(&path(derived)).await.json["data"]["status"], "queued");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_there_is_answered_alike_and_asked_of_the_store_alike() {
        let stage = Stage::new();
        let mut documents = Vec::new();
        let invented = Uuid::from_u128(issued(TimeDelta::zero()).as_uuid().as_u128() ^ (1 << 70));
        let references = [
            "SUP-2026-483920",
            "SUP-9999-999999",
            "SUP-2026-1",
            "sup-2026-",
            "x",
            "%00",
            "%",
            "_",
            "%2e%2e%2f",
            "..%2f..",
            "'%20OR%201=1--",
            "%7B%7B7*7%7D%7D",
            "%ff",
            &invented.to_string(),
            &invented.simple().to_string(),
            "00000000-0000-0000-0000-000000000000",
            &"9".repeat(3_000),
        ];
        for (asked_before, reference) in references.iter().enumerate() {
            let heard = stage.get(&path(reference)).await;
            assert_eq!(heard.code(), (404, "ticket_not_found"), "{reference}");
            assert_eq!(stage.store.asked(), asked_before + 1, "{reference}");
            let mut document = heard.json.clone();
            document["requestId"].take();
            documents.push(document);
        }
        documents.dedup();
        assert_eq!(documents.len(), 1, "{documents:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_a_503_within_two_seconds_whatever_is_asked_for() {
        let stage = Stage::new();
        for mood in [Mood::Failing, Mood::Silent] {
            *stage.store.mood.lock().unwrap() = mood;
            for reference in [NUMBER, "x", &issued(TimeDelta::zero()).to_string()] {
                let heard = stage.get(&path(reference)).await;
                assert_eq!(heard.code(), (503, "unavailable"));
                assert_eq!(heard.header("retry-after"), "2");
                assert!(heard.after < Duration::from_secs(2));
            }
        }
    }
}
