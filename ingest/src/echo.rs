//! What a submission's answer shows of it, set aside before the submission moves on to the queue.

use common::domain::{
    Email, Message, Name, Priority, Status, Subject, Submission, SubmissionId, TicketNumber, UserId,
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
    submitted_at: String,
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
            submitted_at: rfc3339(submission.submitted_at),
        }
    }
}

/// `data` of a 201.
pub struct Created<'a> {
    pub number: &'a TicketNumber,
    pub echo: &'a Echo,
}

impl Serialize for Created<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { number, echo } = self;
        let mut data = serializer.serialize_struct("Created", 10)?;
        data.serialize_field("id", &echo.id.as_uuid())?;
        data.serialize_field("ticketNumber", &format_args!("{number}"))?;
        data.serialize_field("name", echo.name.as_str())?;
        data.serialize_field("email", echo.email.as_str())?;
        data.serialize_field("subject", echo.subject.as_str())?;
        data.serialize_field("message", echo.message.as_str())?;
        data.serialize_field("status", Status::Open.as_str())?;
        data.serialize_field("priority", Priority::from(echo.subject).as_str())?;
        data.serialize_field("submittedAt", &echo.submitted_at)?;
        if let Some(user_id) = &echo.user_id {
            data.serialize_field("userId", user_id.as_str())?;
        }
        data.end()
    }
}

/// `data` of a 202, and of a look-up of what is still queued.
#[derive(Serialize)]
pub struct Queued {
    id: uuid::Uuid,
    status: &'static str,
}

impl Queued {
    pub fn of(id: SubmissionId) -> Self {
        Self { id: id.as_uuid(), status: "queued" }
    }
}
