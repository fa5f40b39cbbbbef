//! `/api/support/admin/dead-letters`: what could not become a ticket, in the hands of staff.
//!
//! Whoever does something here is on record before it is done, by the office that operators'
//! commands go to as well.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension,
    extract::{Request, State},
    http::request::Parts,
    response::Response,
};
use common::{
    domain::Because,
    keys::hex,
    letters::{self, BodyView, LetterView, Order},
    ports::dead_letters::{FoundLetter, LetterId, ListedLetter},
};
use http::{
    answer::{enveloped, rfc3339},
    auth::Principal,
    openapi::schemas::Time,
    problem::{Problem, Success},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    desk::{Desk, actor},
    fields::{self, Fields, Id, text},
    wanted::{Pacing, Wanted, because, filter, limit, switch},
};

/// `GET`: the oldest of those that match, and how many there are of each reason.
pub async fn list(State(desk): State<Arc<Desk>>, head: Parts) -> Result<Response, Problem> {
    let now = desk.clock.now();
    let mut fields = Fields::of_query(head.uri.query());
    let (filter, limit) = (filter(&mut fields, now), limit(&mut fields));
    fields.finish()?;
    let listing = desk.told(desk.letters.list(&filter, limit).await)?;
    let mut counts = BTreeMap::new();
    for (code, count) in listing.counts {
        *counts.entry(letters::code(&code)).or_default() += count;
    }
    let letters = listing.letters.into_iter().map(Listed::from).collect();
    let listed = Letters { letters, counts, are_some_held: listing.are_some_held };
    enveloped(Success::Found, "Dead letters", &listed, now)
}

/// `GET …/{id}`: one of them, masked. With `reveal=true` as it is, which is put on record.
pub async fn show(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    head: Parts,
) -> Result<Response, Problem> {
    let mut fields = Fields::of_query(head.uri.query());
    let reveals = fields.optional("reveal", text(switch)).unwrap_or_default();
    let because = fields.optional("because", text(Because::parse));
    fields.finish()?;
    let id = LetterId::new(id);
    let letter = if reveals {
        let order = order(&principal, because);
        desk.letters.reveal(&id, &order).await.map(|found| found.map(Shown::revealed))
    } else {
        desk.letters.show(&id).await.map(|found| found.map(Shown::masked))
    };
    let letter = desk.told(letter)?.ok_or(Problem::LetterNotFound)?;
    enveloped(Success::Found, "Dead letter", &letter, desk.clock.now())
}

/// `POST …/{id}/requeue`: tries one of them again.
pub async fn requeue(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let (_, mut fields) = fields::of_query(request).await?;
    let because = fields.optional("because", text(Because::parse));
    fields.finish()?;
    let order = order(&principal, because);
    let (wanted, pacing) = (Wanted::one(&id), Pacing::off());
    let done = desk.letters.requeue(&wanted.which, &order, &pacing).await;
    only(&desk, "Dead letter queued again", done)
}

/// `POST …/requeue`: tries several again.
pub async fn requeue_several(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Problem> {
    let ((_, mut fields), now) = (fields::of_body(request).await?, desk.clock.now());
    let wanted = Wanted::read(&mut fields, now);
    let pacing = Pacing::read(&mut fields);
    let because = fields.optional("because", text(Because::parse));
    fields.finish()?;
    let order = order(&principal, because);
    let wanted = wanted.ok_or(Problem::Internal)?;
    let done = desk.letters.requeue(&wanted.which, &order, &pacing).await;
    several(&desk, "Dead letters queued again", &wanted, &pacing, done)
}

/// `DELETE …/{id}`: deletes one for good.
pub async fn discard(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let (_, mut fields) = fields::of_query(request).await?;
    let because = because(&mut fields);
    fields.finish()?;
    let because = because.ok_or(Problem::Internal)?;
    let (wanted, pacing) = (Wanted::one(&id), Pacing::off());
    let done = discarded(&desk, &principal, &wanted, because, &pacing).await;
    only(&desk, "Dead letter deleted", done)
}

/// `POST …/discard`: deletes several for good.
pub async fn discard_several(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Problem> {
    let ((_, mut fields), now) = (fields::of_body(request).await?, desk.clock.now());
    let wanted = Wanted::read(&mut fields, now);
    let because = because(&mut fields);
    fields.finish()?;
    let (wanted, because) = (wanted.ok_or(Problem::Internal)?, because.ok_or(Problem::Internal)?);
    let pacing = Pacing::off();
    let done = discarded(&desk, &principal, &wanted, because, &pacing).await;
    several(&desk, "Dead letters deleted", &wanted, &pacing, done)
}

/// What is wanted, by whom and from where.
fn order(principal: &Principal, because: Option<Because>) -> Order {
    Order { actor: actor(principal), origin: principal.origin.clone(), because }
}

async fn discarded(
    desk: &Desk,
    principal: &Principal,
    wanted: &Wanted,
    because: Because,
    pacing: &Pacing,
) -> Done {
    let (actor, origin) = (actor(principal), principal.origin.clone());
    desk.letters.discard(&wanted.which, actor, origin, because, pacing).await
}

type Done = Result<Vec<LetterId>, letters::LetterError>;

/// What is answered of one: it was there, or it was not.
fn only(desk: &Desk, message: &str, done: Done) -> Result<Response, Problem> {
    let handled = desk.told(done)?;
    let id = handled.first().ok_or(Problem::LetterNotFound)?;
    let data = Outcome { handled: vec![id.to_string()], missing: vec![], is_complete: true };
    enveloped(Success::Found, message, &data, desk.clock.now())
}

/// What is answered of several: each of them, and which of those asked for were not there.
fn several(
    desk: &Desk,
    message: &str,
    wanted: &Wanted,
    pacing: &Pacing,
    done: Done,
) -> Result<Response, Problem> {
    let handled = desk.told(done)?;
    let is_complete = !pacing.has_ended();
    let missing = if is_complete { wanted.others_than(&handled) } else { vec![] };
    let handled = handled.iter().map(ToString::to_string).collect();
    enveloped(Success::Found, message, &Outcome { handled, missing, is_complete }, desk.clock.now())
}

/// Some of them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetters)]
pub struct Letters {
    /// The oldest first.
    #[expect(clippy::struct_field_names, reason = "as the answer has it")]
    letters: Vec<Listed>,
    /// How many match, by reason, those not listed included.
    counts: BTreeMap<String, u64>,
    /// Whether somebody else goes through the letters right now: what they have in hand is not among
    /// these.
    are_some_held: bool,
}

/// A letter in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedDeadLetter)]
pub struct Listed {
    id: String,
    /// Why it was given up, for programs.
    code: String,
    /// Why, for people. Of a letter that somebody else put there, its length.
    detail: String,
    #[schema(value_type = Time)]
    first_seen_at: String,
    /// How often it was delivered.
    attempts: u32,
    body_bytes: usize,
}

impl From<ListedLetter> for Listed {
    fn from(letter: ListedLetter) -> Self {
        Self {
            detail: letters::detail(&letter.code, &letter.detail),
            code: letters::code(&letter.code),
            id: letter.id.to_string(),
            first_seen_at: rfc3339(letter.first_seen_at),
            attempts: letter.attempts,
            body_bytes: letter.body_bytes,
        }
    }
}

/// A letter as a whole.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetter)]
pub struct Shown {
    #[serde(flatten)]
    listed: Listed,
    /// Whether what may be personal is shown by its length alone.
    is_masked: bool,
    /// The body: masked, an object; else the text itself. Left out where it is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    /// Masked, of a body that is no object in JSON: what tells it from another.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_sha256: Option<String>,
    /// Revealed, of a body that is no text: its bytes, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hex: Option<String>,
    /// What the message says of itself beside that.
    properties: BTreeMap<String, String>,
    /// How many more properties there are, with names that nobody here gives.
    other_properties: usize,
}

impl Shown {
    fn masked(view: LetterView) -> Self {
        let (body, body_sha256) = match view.body {
            BodyView::Readable(object) => (Some(object), None),
            BodyView::Unreadable { sha256 } => (None, Some(sha256)),
        };
        let listed = Listed {
            id: view.id.to_string(),
            code: view.code,
            detail: view.detail,
            first_seen_at: rfc3339(view.first_seen_at),
            attempts: view.attempts,
            body_bytes: view.body_bytes,
        };
        let properties = view.properties.into_iter().collect();
        let other_properties = view.other_properties;
        Self {
            listed,
            is_masked: true,
            body,
            body_sha256,
            body_hex: None,
            properties,
            other_properties,
        }
    }

    fn revealed(FoundLetter { id, letter, properties }: FoundLetter) -> Self {
        let text = std::str::from_utf8(&letter.body).ok();
        Self {
            is_masked: false,
            body: text.map(Value::from),
            body_sha256: None,
            body_hex: text.is_none().then(|| hex(&letter.body)),
            properties: properties.into_iter().collect(),
            other_properties: 0,
            listed: Listed {
                id: id.to_string(),
                first_seen_at: rfc3339(letter.first_seen_at),
                attempts: letter.attempts,
                body_bytes: letter.body.len(),
                code: letter.code,
                detail: letter.detail,
            },
        }
    }
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HandledDeadLetters)]
pub struct Outcome {
    /// To which letters.
    handled: Vec<String>,
    /// Which of those that were named are not there, or in other hands.
    missing: Vec<String>,
    /// False where a request's time or number of letters was used up: ask again for the others.
    is_complete: bool,
}

#[cfg(test)]
mod tests;
