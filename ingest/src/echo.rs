//! What a submission's answer shows of it, set aside before the submission moves on to the queue.

use chrono::{DateTime, Utc};
use common::domain::{
    Email, Form, Message, Name, Priority, Status, Subject, Submission, SubmissionId, Ticket,
    TicketNumber, UserId,
};
use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::answer::rfc3339;

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
pub struct Created<'a> {
    pub number: &'a TicketNumber,
    pub echo: &'a Echo,
    pub submitted_at: DateTime<Utc>,
    pub is_duplicate: bool,
}

impl Serialize for Created<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { number, echo, submitted_at, is_duplicate } = self;
        let mut data = serializer.serialize_struct("Created", 11)?;
        data.serialize_field("id", &echo.id.as_uuid())?;
        data.serialize_field("ticketNumber", &format_args!("{number}"))?;
        data.serialize_field("name", echo.name.as_str())?;
        data.serialize_field("email", echo.email.as_str())?;
        data.serialize_field("subject", echo.subject.as_str())?;
        data.serialize_field("message", echo.message.as_str())?;
        data.serialize_field("status", echo.status.as_str())?;
        data.serialize_field("priority", Priority::from(echo.subject).as_str())?;
        data.serialize_field("submittedAt", &rfc3339(*submitted_at))?;
        if let Some(user_id) = &echo.user_id {
            data.serialize_field("userId", user_id.as_str())?;
        }
        if *is_duplicate {
            data.serialize_field("duplicate", &true)?;
        }
        data.end()
    }
}

/// `data` of a 202, and of a look-up of what is still queued.
#[derive(Serialize)]
pub struct Queued {
    id: uuid::Uuid,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

impl Queued {
    pub fn of(id: SubmissionId) -> Self {
        Self::again(id, false)
    }

    /// What may have come before.
    pub fn again(id: SubmissionId, is_duplicate: bool) -> Self {
        Self { id: id.as_uuid(), status: "queued", duplicate: is_duplicate.then_some(true) }
    }
}
