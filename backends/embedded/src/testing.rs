//! What the tests of this crate share.

use std::{path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use common::{
    clock::SystemClock,
    domain::{
        ClientTimestamp, Email, Form, Message, Name, NewTicket, PersonHash, Priority, Subject,
        Submission, UserId,
    },
    ports::backend::Backend as _,
    trace::Trace,
};
use uuid::Uuid;

use crate::{Backend, Settings};

pub(crate) fn settings(dir: &Path) -> Settings {
    Settings { data_dir: dir.to_owned(), clock: Arc::new(SystemClock) }
}

/// A backend on a directory, its schema up to date.
pub(crate) async fn open(dir: &Path) -> Backend {
    let backend = Backend::open(settings(dir)).await.unwrap();
    backend.migrate().await.unwrap();
    backend
}

pub(crate) fn submission(n: u128) -> Submission {
    Submission {
        id: Uuid::from_u128(n).into(),
        key: None,
        submitted_at: at("2026-11-22T23:59:59.999Z"),
        form: Form {
            name: Name::parse("Ada \"λ\" O'Lovelace").unwrap(),
            email: Email::parse("ada@example.org").unwrap(),
            subject: Subject::Technical,
            message: Message::parse(&format!("It is stuck,\r\n\t{n} times \\ 👩‍👩‍👧")).unwrap(),
            timestamp: ClientTimestamp::parse("2026-11-22T10:30:00Z").unwrap(),
            user_id: Some(UserId::parse("").unwrap()),
            user_agent: None,
            url: None,
        },
        trace: Trace {
            request_id: format!("r-{n}"),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        },
    }
}

pub(crate) fn ticket(n: u128) -> NewTicket {
    numbered(n, n)
}

/// The ticket of one submission under the number of another.
pub(crate) fn numbered(n: u128, number: u128) -> NewTicket {
    NewTicket {
        submission: submission(n),
        number: format!("SUP-2026-{number:06}").parse().unwrap(),
        priority: Priority::High,
        person: PersonHash([0; 16]),
    }
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}
