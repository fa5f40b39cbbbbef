//! The promises of `common::ports::cases`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock, SystemClock, SystemEntropy};
use common::domain::{
    Assignment, Case, Change, EventKind, Message, Name, PostKind, Status, SubmissionId, Tag,
};
use common::ports::cases::{Author, Cases, Reference, Step};
use common::ports::events::Cursor;
use common::trace::Trace;

use super::installation::{Installation, ticket, tickets};
use super::on_both_backends;
use crate::bed::wait::eventually;

const DEADLINE: Duration = Duration::from_secs(10);

on_both_backends! {
    a_case_reads_back_as_it_was_committed,
    a_case_file_is_of_one_moment,
    a_commit_on_another_version_changes_nothing,
    of_many_who_commit_on_one_version_one_succeeds,
    a_commit_together_is_all_or_nothing,
    a_commit_is_counted_in_the_statistics,
    a_commit_is_an_event_for_each_entry,
}

fn author() -> Author {
    Author {
        actor: "token:95344202d105:agent".to_owned(),
        name: Some(Name::parse("Grace").unwrap()),
        address: Some("192.0.2.7".to_owned()),
        trace: Trace::of_request(Some("r-9"), None, &SystemEntropy),
    }
}

fn step(before: &Case, change: &Change) -> Step {
    let author = author();
    let outcome = before.after(change, SystemClock.now(), author.name.as_ref()).unwrap();
    Step { before: before.clone(), outcome, author }
}

fn to(status: Status) -> Change {
    Change { status: Some(status), ..Change::default() }
}

async fn case(cases: &dyn Cases, id: SubmissionId) -> Case {
    let found = cases.find(&[Reference::Id(id)]).await.unwrap();
    found.into_iter().next().unwrap().expect("it is there")
}

/// Stores tickets and hands out the port with the cases that they are.
async fn stored(it: &Installation, count: u32) -> (Arc<dyn Cases>, Vec<Case>) {
    let new = tickets(0..count);
    it.backend.worker().await.tickets.insert(&new).await.unwrap();
    let cases = it.backend.desk().await.cases;
    let ids: Vec<_> = new.iter().map(|it| Reference::Id(it.submission.id)).collect();
    let found = cases.find(&ids).await.unwrap();
    (cases, found.into_iter().map(|case| case.expect("it is there")).collect())
}

async fn a_case_reads_back_as_it_was_committed(it: Installation) {
    let (cases, stored) = stored(&it, 1).await;
    let before = &stored[0];
    let all = Change {
        status: Some(Status::InProgress),
        assignee: Some(Assignment::To(Name::parse("Grace «'x'»").unwrap())),
        tags_added: BTreeSet::from([Tag::parse("engine").unwrap(), Tag::parse("öl").unwrap()]),
        post: Some((PostKind::Note, Message::parse("'; DROP\n\"{1}\" \\x00 𠀀").unwrap())),
        ..Change::default()
    };
    let first = step(before, &all);
    assert_eq!(cases.commit(std::slice::from_ref(&first), false).await.unwrap(), [true]);
    let expected = first.outcome.case.clone();
    assert_eq!(case(&*cases, before.ticket.id).await, expected);
    let number = Reference::Number(before.ticket.number.clone());
    let file = cases.file(&number).await.unwrap().expect("it is there");
    assert_eq!(file.case, expected);
    assert_eq!(file.thread, [first.outcome.post.clone().unwrap()]);
    let kinds: Vec<_> = file.trail.iter().map(|it| (it.version, it.kind.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (1, "ticket.created"),
            (2, "ticket.noted"),
            (3, "ticket.assigned"),
            (4, "ticket.tagged"),
            (5, "ticket.status_changed"),
        ]
    );
    let last = &file.trail[4];
    assert_eq!((&*last.actor, &*last.request_id), ("token:95344202d105:agent", "r-9"));
    assert_eq!(last.address.as_deref(), Some("192.0.2.7"));
    assert_eq!(last.changes.as_ref(), Some(&first.outcome.entries[3].changes));

    let undone = Change {
        assignee: Some(Assignment::Nobody),
        tags_removed: BTreeSet::from([Tag::parse("öl").unwrap()]),
        post: Some((PostKind::Reply, Message::parse("It needs oil.").unwrap())),
        ..Change::default()
    };
    let second = step(&expected, &undone);
    assert_eq!(cases.commit(std::slice::from_ref(&second), true).await.unwrap(), [true]);
    assert_eq!(case(&*cases, before.ticket.id).await, second.outcome.case);
    // What is between staff and submitter is seen under the id, notes are not.
    let shown = it.backend.edge().await.tickets.by_id(before.ticket.id).await.unwrap().unwrap();
    assert_eq!(shown.replies, [second.outcome.post.unwrap()]);
    assert_eq!(cases.find(&[Reference::Id(ticket(9).submission.id)]).await.unwrap(), [None]);
}

async fn a_case_file_is_of_one_moment(it: Installation) {
    let (cases, mut stored) = stored(&it, 1).await;
    let mut case = stored.pop().unwrap();
    let which = Reference::Id(case.ticket.id);
    let writer = Arc::clone(&cases);
    let writing = tokio::spawn(async move {
        for number in 0..100 {
            let note = Message::parse(&format!("note {number}")).unwrap();
            let change = Change { post: Some((PostKind::Note, note)), ..Change::default() };
            let step = step(&case, &change);
            assert_eq!(writer.commit(std::slice::from_ref(&step), false).await.unwrap(), [true]);
            case = step.outcome.case;
        }
    });
    let mut seen = BTreeSet::new();
    while !writing.is_finished() {
        let file = cases.file(&which).await.unwrap().expect("it is there");
        let version = file.case.work.version as usize;
        assert_eq!((file.trail.len(), file.thread.len()), (version, version - 1));
        seen.insert(version);
    }
    writing.await.unwrap();
    assert!(seen.len() > 1, "it was looked at while it was changed");
}

async fn a_commit_on_another_version_changes_nothing(it: Installation) {
    let (cases, stored) = stored(&it, 1).await;
    let taken = step(&stored[0], &to(Status::InProgress));
    let late = step(
        &stored[0],
        &Change {
            tags_added: BTreeSet::from([Tag::parse("late").unwrap()]),
            post: Some((PostKind::Note, Message::parse("late").unwrap())),
            ..Change::default()
        },
    );
    assert_eq!(cases.commit(std::slice::from_ref(&taken), false).await.unwrap(), [true]);
    for together in [false, true] {
        assert_eq!(cases.commit(std::slice::from_ref(&late), together).await.unwrap(), [false]);
    }
    let reference = Reference::Id(stored[0].ticket.id);
    let file = cases.file(&reference).await.unwrap().unwrap();
    assert_eq!((file.case.work.version, file.trail.len(), file.thread.len()), (2, 2, 0));
    assert!(file.case.work.tags.is_empty());
    assert_eq!(it.backend.audit().await.store.deviations().await.unwrap(), []);
}

async fn of_many_who_commit_on_one_version_one_succeeds(it: Installation) {
    let (cases, mut stored) = stored(&it, 1).await;
    let mut before = stored.pop().unwrap();
    for round in 0..5 {
        let rivals = (0..8).map(|rival| {
            let note = Message::parse(&format!("{round} {rival}")).unwrap();
            let change = Change { post: Some((PostKind::Note, note)), ..Change::default() };
            let (cases, step) = (Arc::clone(&cases), step(&before, &change));
            tokio::spawn(async move { cases.commit(&[step], false).await.unwrap() == [true] })
        });
        let mut succeeded = 0;
        for rival in rivals.collect::<Vec<_>>() {
            succeeded += usize::from(rival.await.unwrap());
        }
        assert_eq!(succeeded, 1);
        before = case(&*cases, before.ticket.id).await;
    }
    let file = cases.file(&Reference::Id(before.ticket.id)).await.unwrap().unwrap();
    assert_eq!(file.thread.len(), 5);
    let versions: Vec<_> = file.trail.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6], "without gaps");
}

async fn a_commit_together_is_all_or_nothing(it: Installation) {
    let (cases, stored) = stored(&it, 20).await;
    let steps: Vec<_> = stored.iter().map(|case| step(case, &to(Status::InProgress))).collect();
    assert_eq!(cases.commit(&steps[7..8], true).await.unwrap(), [true]);
    assert_eq!(cases.commit(&steps, true).await.unwrap(), [false; 20]);
    let audit = it.backend.audit().await;
    let open = it.backend.worker().await.statistics.statistics(SystemClock.now()).await.unwrap();
    assert_eq!(open.by_status[&Status::Open], 19);
    let mut expected = [true; 20];
    expected[7] = false;
    assert_eq!(cases.commit(&steps, false).await.unwrap(), expected, "apart, each for itself");
    assert_eq!(audit.store.deviations().await.unwrap(), []);
}

async fn a_commit_is_counted_in_the_statistics(it: Installation) {
    let (cases, mut moving) = stored(&it, 12).await;
    let audit = it.backend.audit().await;
    let way = [
        Status::InProgress,
        Status::Resolved,
        Status::InProgress,
        Status::Resolved,
        Status::Closed,
    ];
    for status in way {
        // Two stay behind each time, so that all kinds are counted side by side.
        moving.truncate(moving.len() - 2);
        let steps: Vec<_> = moving.iter().map(|case| step(case, &to(status))).collect();
        assert!(cases.commit(&steps, true).await.unwrap().iter().all(|done| *done));
        moving = steps.into_iter().map(|step| step.outcome.case).collect();
        assert_eq!(audit.store.deviations().await.unwrap(), [], "{status}");
    }
    let now = it.backend.worker().await.statistics.statistics(SystemClock.now()).await.unwrap();
    assert_eq!(now.total(), 12);
    assert_eq!(now.by_status[&Status::Closed], 2);
    let resolved: u64 = now.daily.values().map(|day| day.resolved).sum();
    assert_eq!(resolved, 2 + 2 + 2, "those closed, those resolved again, and those resolved once");
}

async fn a_commit_is_an_event_for_each_entry(it: Installation) {
    let (cases, stored) = stored(&it, 1).await;
    let reply = Message::parse("It needs oil.").unwrap();
    let change = Change { post: Some((PostKind::Reply, reply)), ..Change::default() };
    let step = step(&stored[0], &change);
    assert_eq!(cases.commit(std::slice::from_ref(&step), false).await.unwrap(), [true]);
    let log = it.backend.edge().await.event_log;
    let events = eventually(DEADLINE, "the events are there", async || {
        let events = log.after(Cursor::START, 10).await.unwrap().events;
        if events.len() == 3 { Ok(events) } else { Err(events) }
    })
    .await;
    let told: Vec<_> = events.iter().map(|event| (event.version, event.kind)).collect();
    assert_eq!(
        told,
        [
            (1, EventKind::TicketCreated),
            (2, EventKind::TicketReplied),
            (3, EventKind::TicketStatusChanged),
        ]
    );
    // As it was then, whatever it is by now.
    let statuses: Vec<_> = events.iter().map(|event| event.status).collect();
    assert_eq!(statuses, [Status::Open, Status::Open, Status::InProgress]);
    for (event, entry) in events[1..].iter().zip(&step.outcome.entries) {
        assert_eq!(event.changes.as_ref(), Some(&entry.changes));
        assert_eq!(event.trace, step.author.trace);
    }
}
