//! The paths that are counted.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use chrono::DateTime;
use common::{
    cloud_event::CloudEvent,
    domain::{
        ClientTimestamp, Email, Event, EventId, EventKind, Form, Message, Name, NumberCipher,
        PageUrl, Priority, Status, Subject, Submission, SubmissionId, UserAgent, UserId,
    },
    envelope,
    guard::Guard,
    keys::NumberKey,
    ports::limits::{PartitionKey, Policy, Quota},
    trace::Trace,
};
use uuid::Uuid;

use crate::pipeline;

/// Something that is done often.
pub struct Path {
    pub name: &'static str,
    /// How often it is done at least.
    pub times: u64,
    /// By how much its count may differ from run to run.
    pub tolerance_percent: u64,
    pub run: fn(u64),
}

/// Submissions in an envelope.
const TOGETHER: u128 = 100;

/// All of them.
pub const PATHS: &[Path] = &[
    Path { name: "a form's fields checked", times: 1_000, tolerance_percent: 10, run: fields },
    Path { name: "a form's fingerprint", times: 1_000, tolerance_percent: 10, run: fingerprint },
    Path { name: "an envelope of 100 written", times: 20, tolerance_percent: 10, run: encoded },
    Path { name: "an envelope of 100 read", times: 20, tolerance_percent: 10, run: decoded },
    Path { name: "a ticket number", times: 1_000, tolerance_percent: 10, run: numbered },
    Path { name: "an event written", times: 1_000, tolerance_percent: 10, run: event },
    Path { name: "an attempt guarded", times: 2_000, tolerance_percent: 10, run: guarded },
    Path {
        name: "a submission through the embedded pipeline",
        times: 100,
        tolerance_percent: 15,
        run: pipeline::run,
    },
];

const MESSAGE: &str = "The engine has stopped again. It was at work on the numbers of Bernoulli when it did, \
                       and nobody had touched it.";

fn form() -> Form {
    Form {
        name: Name::parse(black_box("Ada Lovelace")).expect("a name"),
        email: Email::parse(black_box("ada@example.org")).expect("an address"),
        subject: Subject::Technical,
        message: Message::parse(black_box(MESSAGE)).expect("a message"),
        timestamp: ClientTimestamp::parse(black_box("2026-11-22T10:30:00.000Z")).expect("a time"),
        user_id: Some(UserId::parse(black_box("user-1")).expect("a user")),
        user_agent: Some(UserAgent::parse(black_box("Mozilla/5.0 (X11)")).expect("a browser")),
        url: Some(PageUrl::parse(black_box("https://www.example.org/x")).expect("a URL")),
    }
}

fn submission(number: u128) -> Submission {
    Submission {
        id: Uuid::from_u128(number).into(),
        key: None,
        submitted_at: DateTime::UNIX_EPOCH,
        form: form(),
        trace: Trace {
            request_id: format!("{number:032x}"),
            traceparent: format!("00-{:032x}-{:016x}-01", number + 1, 7),
        },
    }
}

fn fields(times: u64) {
    for _ in 0..times {
        black_box(form());
    }
}

fn fingerprint(times: u64) {
    let form = form();
    for _ in 0..times {
        black_box(black_box(&form).core_fingerprint());
    }
}

fn envelope() -> (Vec<Submission>, Bytes) {
    let submissions: Vec<_> = (0..TOGETHER).map(submission).collect();
    let body = envelope::encode(&submissions);
    (submissions, body)
}

fn encoded(times: u64) {
    let (submissions, _) = envelope();
    for _ in 0..times {
        black_box(envelope::encode(black_box(&submissions)));
    }
}

fn decoded(times: u64) {
    let (_, body) = envelope();
    for _ in 0..times {
        assert!(
            envelope::decode(black_box(&body)).is_ok_and(|items| items.iter().all(Result::is_ok))
        );
    }
}

fn numbered(times: u64) {
    let key = NumberKey::from_hex(&"42".repeat(32)).expect("a key");
    let cipher = NumberCipher::new(&key);
    for counter in 0..times {
        black_box(cipher.number(2026, black_box(counter)));
    }
}

fn event(times: u64) {
    let ticket_id = SubmissionId::from(Uuid::from_u128(7));
    let Form { name, email, subject, .. } = form();
    let event = Event {
        changes: None,
        id: EventId::of(ticket_id, 1),
        ticket_id,
        number: "SUP-2026-483920".parse().expect("a number"),
        version: 1,
        kind: EventKind::TicketCreated,
        name,
        email,
        subject,
        status: Status::Open,
        priority: Priority::High,
        at: DateTime::UNIX_EPOCH,
        submitted_at: DateTime::UNIX_EPOCH,
        trace: submission(7).trace,
    };
    for _ in 0..times {
        let told = CloudEvent::from(black_box(&event));
        black_box((told.attributes(), serde_json::to_vec(&told.data).expect("JSON")));
    }
}

fn guarded(times: u64) {
    let quota = Quota { count: 300, window: Duration::from_mins(10) };
    let guard = Guard::smooth(Policy::Attempts, quota);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _entered = runtime.enter();
    for number in 1..=times {
        // Told apart by the half that counts, as hashes are.
        let key = PartitionKey::new(u128::from(number).to_le_bytes());
        assert!(guard.take(black_box(key), 1).is_ok());
    }
}
