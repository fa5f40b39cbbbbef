//! The promises of `common::ports::exports`, and the ports of an import.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use common::clock::{Clock, SystemClock, SystemEntropy};
use common::domain::{Assignment, Change, Name, NewTicket, Priority, Status, Subject, Tag};
use common::ports::cases::{Author, Reference, Step};
use common::ports::exports::{Choice, ExportedTicket, Exports};
use common::trace::Trace;

use super::installation::{Installation, ticket, tickets};
use super::on_both_backends;

on_both_backends! {
    every_ticket_is_exported_once_however_small_the_pages,
    an_export_holds_those_that_were_asked_for,
    a_page_looks_at_so_many_tickets_and_no_more,
    what_changes_meanwhile_is_exported_once_all_the_same,
    an_import_finds_what_is_stored_and_is_told_what_it_publishes,
}

async fn exports(it: &Installation) -> Arc<dyn Exports> {
    it.backend.operator().await.exports
}

/// Whether a ticket is one of those asked for.
type IsWanted<'a> = Box<dyn Fn(&NewTicket) -> bool + 'a>;

/// All pages, each of which looked at so many.
async fn all(exports: &dyn Exports, choice: &Choice, looked_at_max: u32) -> Vec<ExportedTicket> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = exports.page(choice, after, looked_at_max).await.unwrap();
        assert!(page.tickets.len() <= looked_at_max as usize);
        all.extend(page.tickets);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// What an export has of a ticket that was just stored.
fn expected(NewTicket { submission, number, priority, .. }: &NewTicket) -> ExportedTicket {
    let form = submission.form.clone();
    ExportedTicket {
        id: submission.id,
        number: number.clone(),
        name: form.name,
        email: form.email,
        subject: form.subject,
        message: form.message,
        status: Status::Open,
        priority: *priority,
        user_id: form.user_id,
        submitted_at: submission.submitted_at,
        updated_at: submission.submitted_at,
        resolved_at: None,
        assignee: None,
        tags: BTreeSet::new(),
    }
}

/// Has staff change the ticket.
async fn change(it: &Installation, ticket: &NewTicket, change: &Change) {
    let cases = it.backend.desk().await.cases;
    let found = cases.find(&[Reference::Id(ticket.submission.id)]).await.unwrap();
    let before = found.into_iter().next().unwrap().expect("it is there");
    let author = Author {
        actor: "admin-key".to_owned(),
        name: None,
        address: None,
        trace: Trace::of_request(None, None, &SystemEntropy),
    };
    let outcome = before.after(change, SystemClock.now(), None).unwrap();
    let step = Step { before, outcome, author };
    assert_eq!(cases.commit(&[step], false).await.unwrap(), [true]);
}

async fn every_ticket_is_exported_once_however_small_the_pages(it: Installation) {
    let new = tickets(0..25);
    it.backend.worker().await.tickets.insert(&new).await.unwrap();
    let exports = exports(&it).await;
    let mut all_of_them: Vec<_> = new.iter().map(expected).collect();
    all_of_them.sort_by_key(|it| it.id);
    for looked_at_max in [1, 7, 24, 25, 26, 1_000] {
        assert_eq!(all(&*exports, &Choice::default(), looked_at_max).await, all_of_them);
    }
    assert_eq!(exports.count().await.unwrap(), 25);

    let done = Change {
        status: Some(Status::InProgress),
        assignee: Some(Assignment::To(Name::parse("Grace").unwrap())),
        tags_added: BTreeSet::from([Tag::parse("öl").unwrap(), Tag::parse("engine").unwrap()]),
        ..Change::default()
    };
    change(&it, &new[3], &done).await;
    change(&it, &new[3], &Change { status: Some(Status::Resolved), ..Change::default() }).await;
    let told = all(&*exports, &Choice::default(), 7).await;
    let told = told.iter().find(|it| it.id == new[3].submission.id).unwrap();
    assert_eq!((told.status, &told.tags), (Status::Resolved, &done.tags_added));
    assert_eq!(told.assignee.as_ref().map(Name::as_str), Some("Grace"));
    assert!(told.resolved_at.is_some_and(|at| at >= told.submitted_at));
    assert_eq!(told.resolved_at, Some(told.updated_at));
}

async fn an_export_holds_those_that_were_asked_for(it: Installation) {
    let mut new = tickets(0..20);
    for (number, ticket) in (0..).zip(&mut new) {
        ticket.submission.submitted_at -= TimeDelta::hours(number);
    }
    it.backend.worker().await.tickets.insert(&new).await.unwrap();
    change(&it, &new[2], &Change { status: Some(Status::InProgress), ..Change::default() }).await;
    let exports = exports(&it).await;
    let middle = new[10].submission.submitted_at;
    let subject = |ticket: &NewTicket| ticket.submission.form.subject;
    let cases: [(Choice, IsWanted<'_>); 5] = [
        (
            Choice { statuses: [Status::InProgress, Status::Closed].into(), ..Choice::default() },
            Box::new(|it| it.number == new[2].number),
        ),
        (
            Choice { priorities: [Priority::Medium].into(), ..Choice::default() },
            Box::new(|it| it.priority == Priority::Medium),
        ),
        (
            Choice { subjects: [Subject::Billing, Subject::General].into(), ..Choice::default() },
            Box::new(move |it| [Subject::Billing, Subject::General].contains(&subject(it))),
        ),
        (
            Choice { from: Some(middle), ..Choice::default() },
            Box::new(move |it| it.submission.submitted_at >= middle),
        ),
        (
            Choice {
                to: Some(middle),
                subjects: [Subject::Billing].into(),
                statuses: [Status::Open].into(),
                ..Choice::default()
            },
            Box::new(|it| {
                it.submission.submitted_at < middle
                    && it.submission.form.subject == Subject::Billing
                    && it.number != new[2].number
            }),
        ),
    ];
    for (choice, is_wanted) in cases {
        for looked_at_max in [1, 3, 100] {
            let told = all(&*exports, &choice, looked_at_max).await;
            let told: BTreeSet<_> = told.into_iter().map(|it| it.id).collect();
            let wanted = new.iter().filter(|it| is_wanted(it)).map(|it| it.submission.id);
            assert_eq!(told, wanted.collect(), "{choice:?}");
        }
    }
}

async fn a_page_looks_at_so_many_tickets_and_no_more(it: Installation) {
    it.backend.worker().await.tickets.insert(&tickets(0..10)).await.unwrap();
    let exports = exports(&it).await;
    let closed = Choice { statuses: [Status::Closed].into(), ..Choice::default() };
    let (mut after, mut pages) = (None, 0);
    loop {
        let page = exports.page(&closed, after, 4).await.unwrap();
        assert_eq!(page.tickets, []);
        let Some(next) = page.next else { break };
        assert!(after.is_none_or(|after| next > after));
        after = Some(next);
        pages += 1;
    }
    assert_eq!(pages, 3);
}

async fn what_changes_meanwhile_is_exported_once_all_the_same(it: Installation) {
    let new = tickets(0..30);
    it.backend.worker().await.tickets.insert(&new).await.unwrap();
    let exports = exports(&it).await;
    let (mut times, mut after, mut number) = (BTreeMap::<_, u32>::new(), None, 0);
    loop {
        let page = exports.page(&Choice::default(), after, 3).await.unwrap();
        for ticket in page.tickets {
            *times.entry(ticket.id).or_default() += 1;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
        // Ids of this moment, behind all of them.
        let more = tickets(100 + number..101 + number);
        it.backend.worker().await.tickets.insert(&more[..usize::from(number < 5)]).await.unwrap();
        let changed = &new[(7 * number as usize) % new.len()];
        let tag = Tag::parse(&format!("t{number}")).unwrap();
        let change_of_it = Change { tags_added: [tag].into(), ..Change::default() };
        change(&it, changed, &change_of_it).await;
        number += 1;
    }
    assert!(times.values().all(|times| *times == 1));
    assert!(new.iter().all(|it| times.contains_key(&it.submission.id)));
}

async fn an_import_finds_what_is_stored_and_is_told_what_it_publishes(it: Installation) {
    let stored = ticket(1);
    it.backend.worker().await.tickets.insert(std::slice::from_ref(&stored)).await.unwrap();
    let _worker = it.run_worker(Arc::new(SystemClock)).await;
    let mut ports = it.backend.operator().await.intakes.open().await;
    let new = ticket(2).submission;
    let found = ports.tickets.by_ids(&[stored.submission.id, new.id]).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|it| it.map(|it| it.number)).collect();
    assert_eq!(found, [Some(stored.number), None]);
    let published = async {
        while ports.publisher.publish(vec![new.clone()]).await.is_err() {
            tokio::task::yield_now().await;
        }
        ports.receipts.recv().await
    };
    let receipts = tokio::time::timeout(std::time::Duration::from_secs(20), published).await;
    let receipts = receipts.expect("it is told").expect("the port is open");
    assert_eq!(receipts[0].id, new.id);
}
