//! What a submission's answer shows of it, set aside before the submission moves on to the queue.

use chrono::{DateTime, Utc};
use common::domain::{
    Email, Form, Message, Name, Priority, Status, Subject, Submission, SubmissionId, Ticket,
    TicketNumber, UserId,
};
use serde::Serialize;
use utoipa::{ToSchema, openapi::Object};
use uuid::Uuid;

use crate::{
    answer::rfc3339,
    openapi::schemas::{self, Id, Number, PriorityWord, StatusWord, SubjectWord, Time},
};

/// The fields of a submission that its 201 repeats.
pub struct Echo {
    pub id: SubmissionId,
    name: Name,
    email: Email,
    subject: Subject,
    message: Message,
    user_id: Option<UserId>,
    status: Status,
}

impl Echo {
    pub fn of(submission: &Submission) -> Self {
        let form = &submission.form;
        Self {
            id: submission.id,
            name: form.name.clone(),
            email: form.email.clone(),
            subject: form.subject,
            message: form.message.clone(),
            user_id: form.user_id.clone(),
            status: Status::Open,
        }
    }

    /// The same of what is stored: as it was created, but for its status.
    pub fn of_ticket(ticket: Ticket) -> Self {
        let Ticket { id, form, status, .. } = ticket;
        let Form { name, email, subject, message, user_id, .. } = form;
        Self { id, name, email, subject, message, user_id, status }
    }

    /// As it was when it was created.
    pub fn at_first(self) -> Self {
        Self { status: Status::Open, ..self }
    }
}

/// `data` of a 201, and of the 200 that a duplicate gets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreatedTicket)]
pub struct Created<'a> {
    #[schema(value_type = Id)]
    id: Uuid,
    #[schema(value_type = Number)]
    ticket_number: String,
    name: &'a str,
    email: &'a str,
    #[schema(value_type = SubjectWord)]
    subject: &'static str,
    message: &'a str,
    #[schema(value_type = StatusWord)]
    status: &'static str,
    #[schema(value_type = PriorityWord)]
    priority: &'static str,
    #[schema(value_type = Time)]
    submitted_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_id: Option<&'a str>,
    /// Of one that was submitted before, without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::always_true, required = false)]
    duplicate: Option<bool>,
}

impl<'a> Created<'a> {
    pub fn of(
        echo: &'a Echo,
        number: &TicketNumber,
        submitted_at: DateTime<Utc>,
        is_duplicate: bool,
    ) -> Self {
        Self {
            id: echo.id.as_uuid(),
            ticket_number: number.to_string(),
            name: echo.name.as_str(),
            email: echo.email.as_str(),
            subject: echo.subject.as_str(),
            message: echo.message.as_str(),
            status: echo.status.as_str(),
            priority: Priority::from(echo.subject).as_str(),
            submitted_at: rfc3339(submitted_at),
            user_id: echo.user_id.as_ref().map(UserId::as_str),
            duplicate: is_duplicate.then_some(true),
        }
    }
}

/// `data` of a 202, and of a look-up of what is still queued.
#[derive(Serialize, ToSchema)]
#[schema(as = QueuedSubmission)]
pub struct Queued {
    #[schema(value_type = Id)]
    id: Uuid,
    #[schema(schema_with = schemas::queued)]
    status: &'static str,
    /// Of one that lies on the edge's own disk until the queue is back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = spooled, required = false)]
    durability: Option<&'static str>,
    /// Of one that may have been submitted before, without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::always_true, required = false)]
    duplicate: Option<bool>,
}

fn spooled() -> Object {
    schemas::one_of(["spooled"])
}

impl Queued {
    pub fn of(id: SubmissionId) -> Self {
        Self::again(id, false)
    }

    /// What may have come before.
    pub fn again(id: SubmissionId, is_duplicate: bool) -> Self {
        let duplicate = is_duplicate.then_some(true);
        Self { id: id.as_uuid(), status: "queued", durability: None, duplicate }
    }

    /// What is kept until the queue is back.
    pub fn spooled(self) -> Self {
        Self { durability: Some("spooled"), ..self }
    }
}
