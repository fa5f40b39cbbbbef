//! The promises of `common::ports::people`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::{Clock, SystemClock, SystemEntropy};
use common::domain::{
    Change, Email, EventKind, Form, Message, Name, NewTicket, PersonHash, PersonKey, PostKind,
    Status, SubmissionId, Tag,
};
use common::ports::cases::{Author, CaseFile, Reference, Step};
use common::ports::events::Cursor;
use common::ports::people::{Erasure, People, SeenTicket};
use common::ports::store::Inserted;
use common::trace::Trace;

use super::installation::{Installation, done, number_key, submission, ticket, tickets};
use super::lists::take_in;
use super::on_both_backends;
use crate::bed::wait::until;

on_both_backends! {
    a_person_is_found_by_their_address_in_whatever_case,
    a_person_is_found_before_their_tickets_can_be_searched,
    an_erased_person_leaves_no_word_behind,
    counts_and_audit_are_what_they_were,
    an_erasure_is_not_before_the_last_change,
    a_submission_that_was_under_way_is_stored_erased,
    an_insertion_that_runs_meanwhile_is_waited_for,
    an_erased_submission_stays_erased_however_often_it_comes,
    of_whoever_was_erased_what_comes_later_is_kept,
    a_ticket_that_changed_meanwhile_is_not_erased,
    what_nobody_has_touched_for_long_is_found,
    one_at_a_time_has_the_turn,
}

const ADDRESS: &str = "canary-ada@example.org";

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn person() -> PersonHash {
    PersonKey::new(&number_key()).hash_of(&email(ADDRESS))
}

/// The `number`-th ticket, of the person in question.
fn theirs(number: u32) -> NewTicket {
    let mut ticket = ticket(number);
    let form = &mut ticket.submission.form;
    form.email = email(&ADDRESS.replace("ada", "Ada"));
    form.name = Name::parse("canary name").unwrap();
    form.message = Message::parse("canary message").unwrap();
    ticket.person = person();
    ticket
}

fn erasure() -> Erasure {
    let trace = Trace::of_request(None, None, &SystemEntropy);
    let address = Some("192.0.2.7".to_owned());
    Erasure { at: SystemClock.now(), actor: "admin-key".to_owned(), address, trace }
}

fn soon() -> DateTime<Utc> {
    SystemClock.now() + TimeDelta::hours(1)
}

async fn found(people: &dyn People) -> Vec<SeenTicket> {
    people.tickets_of(&email(ADDRESS), soon(), None, 1_000).await.unwrap()
}

async fn file(it: &Installation, id: SubmissionId) -> CaseFile {
    let cases = it.backend.edge().await.cases;
    cases.file(&Reference::Id(id)).await.unwrap().unwrap()
}

/// All that people have written in it; debug output has none of it.
fn words(file: &CaseFile) -> String {
    let form = &file.case.ticket.form;
    let typed = [form.name.as_str(), form.email.as_str(), form.message.as_str()];
    let said = file.thread.iter().map(|post| post.body.as_str());
    let filed = format!("{:?}", file.case.work.tags);
    typed
        .into_iter()
        .chain(said)
        .chain([filed.as_str()])
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase()
}

/// Changes a ticket as staff do.
async fn change(it: &Installation, id: SubmissionId, change: &Change) {
    let cases = it.backend.edge().await.cases;
    let before = file(it, id).await.case;
    let outcome = before.after(change, SystemClock.now(), None).unwrap();
    let author = Author {
        actor: "admin-key".to_owned(),
        name: None,
        address: None,
        trace: Trace::of_request(None, None, &SystemEntropy),
    };
    let step = Step { before, outcome, author };
    assert_eq!(cases.commit(&[step], true).await.unwrap(), [true]);
}

fn post(kind: PostKind, text: &str) -> Change {
    Change { post: Some((kind, Message::parse(text).unwrap())), ..Change::default() }
}

/// A ticket of theirs with all that can be said about one.
async fn spoken_of(it: &Installation, number: u32) -> SubmissionId {
    let new = theirs(number);
    let id = new.submission.id;
    it.backend.worker().await.tickets.insert(&[new]).await.unwrap();
    change(it, id, &post(PostKind::Reply, "canary reply")).await;
    change(it, id, &post(PostKind::Note, "canary note")).await;
    change(it, id, &post(PostKind::Answer, "canary answer")).await;
    let tags = [Tag::parse("canary-tag").unwrap()].into();
    change(it, id, &Change { tags_added: tags, ..Change::default() }).await;
    change(it, id, &Change { status: Some(Status::Resolved), ..Change::default() }).await;
    id
}

async fn a_person_is_found_by_their_address_in_whatever_case(it: Installation) {
    let (worker, people) = (it.backend.worker().await, it.backend.operator().await.people);
    worker.tickets.insert(&tickets(0..20)).await.unwrap();
    let mut batch: Vec<_> = (100..107).map(theirs).collect();
    batch[3].submission.form.email = email("CANARY-ADA@EXAMPLE.ORG");
    batch[4].submission.form.email = email("xcanary-ada@example.org");
    batch[5].submission.form.email = email("canary-ada@example.orga");
    worker.tickets.insert(&batch).await.unwrap();
    let expected: BTreeSet<_> =
        [0, 1, 2, 3, 6].map(|number| batch[number].submission.id.as_uuid()).into();
    let all = found(&*people).await;
    assert_eq!(all.iter().map(|it| it.id.as_uuid()).collect::<BTreeSet<_>>(), expected);
    assert!(all.iter().all(|it| it.version == 1));
    let (mut pages, mut after) = (Vec::new(), None);
    for count in [2, 2, 1, 0] {
        let page = people.tickets_of(&email(ADDRESS), soon(), after, 2).await.unwrap();
        assert_eq!(page.len(), count);
        after = page.last().map(|it| it.id).or(after);
        pages.extend(page);
    }
    assert_eq!(pages, all, "in one order, without gaps and repeats");
    let before = batch[0].submission.submitted_at - TimeDelta::seconds(1);
    assert_eq!(people.tickets_of(&email(ADDRESS), before, None, 9).await.unwrap(), []);
}

/// Some can be searched, some cannot yet; some of either are erased, or were never theirs.
async fn a_person_is_found_before_their_tickets_can_be_searched(it: Installation) {
    let (worker, people) = (it.backend.worker().await, it.backend.operator().await.people);
    let index = it.backend.desk().await.index;
    let ids = |seen: &[SeenTicket]| seen.iter().map(|it| it.id.as_uuid()).collect::<Vec<_>>();
    let mut all = Vec::new();
    for round in 0..3 {
        let theirs: Vec<_> = (0..4).map(|number| theirs(round * 10 + number)).collect();
        let others: Vec<_> = (4..9).map(|number| ticket(round * 10 + number)).collect();
        worker.tickets.insert(&[others, theirs.clone()].concat()).await.unwrap();
        all.extend(theirs.iter().map(|it| it.submission.id.as_uuid()));
        all.sort_unstable();
        assert_eq!(ids(&found(&*people).await), all, "of which the last four are not taken in");
        take_in(&*worker.search, &*index, theirs.last().unwrap()).await;
        assert_eq!(ids(&found(&*people).await), all, "and now they are");
        let one = found(&*people).await.swap_remove(1);
        people.erase(&[one], &erasure()).await.unwrap();
        all.remove(1);
        assert_eq!(ids(&found(&*people).await), all);
    }
    // Taken in once more, as where a dump was restored.
    it.tamper("UPDATE search_progress SET position = 0").await;
    if it.has_many_writers() {
        it.tamper("UPDATE search_progress SET transaction_id = '0'").await;
    }
    assert_eq!(ids(&found(&*people).await), all, "each once");
}

async fn an_erased_person_leaves_no_word_behind(it: Installation) {
    let people = it.backend.operator().await.people;
    let id = spoken_of(&it, 1).await;
    let before = file(&it, id).await;
    assert_eq!(words(&before).matches("canary").count(), 7, "{before:?}");
    let seen = found(&*people).await;
    assert_eq!(people.erase(&seen, &erasure()).await.unwrap(), [id]);
    let after = file(&it, id).await;
    assert!(!words(&after).contains("canary"), "{after:?}");
    let Form { user_id, user_agent, url, timestamp, .. } = &after.case.ticket.form;
    assert_eq!((user_id, user_agent, url), (&None, &None, &None));
    assert_eq!(timestamp.as_str(), "");
    assert!(after.case.ticket.is_erased() && !before.case.ticket.is_erased());
    assert_eq!(found(&*people).await, []);
    assert_eq!(people.erase(&seen, &erasure()).await.unwrap(), [], "nor once more");
}

async fn counts_and_audit_are_what_they_were(it: Installation) {
    let (worker, people) = (it.backend.worker().await, it.backend.operator().await.people);
    worker.tickets.insert(&tickets(0..5)).await.unwrap();
    let id = spoken_of(&it, 10).await;
    let (before, counted) = (file(&it, id).await, statistics(&it).await);
    people.erase(&found(&*people).await, &erasure()).await.unwrap();
    let after = file(&it, id).await;
    assert_eq!(statistics(&it).await, counted);
    let audit = it.backend.audit().await;
    assert_eq!(audit.store.deviations().await.unwrap(), []);
    assert_eq!(audit.store.unaudited().await.unwrap(), 0);
    let (was, is) = (&before.case.ticket, &after.case.ticket);
    assert_eq!((&was.number, was.status, was.priority), (&is.number, is.status, is.priority));
    assert_eq!((was.submitted_at, was.resolved_at), (is.submitted_at, is.resolved_at));
    assert_eq!((&was.history, was.form.subject), (&is.history, is.form.subject));
    assert_eq!(before.thread.len(), after.thread.len());
    let (last, trail) = after.trail.split_last().unwrap();
    assert_eq!((last.kind.as_str(), last.actor.as_str()), ("ticket.erased", "admin-key"));
    assert_eq!(last.address.as_deref(), Some("192.0.2.7"));
    assert_eq!(last.version, before.case.work.version + 1);
    assert_eq!(after.case.work.version, last.version);
    for (was, is) in before.trail.iter().zip(trail) {
        assert_eq!(was, is, "what is on record stays as it is");
    }
    assert_eq!(trail.len(), before.trail.len());
    let log = it.backend.worker().await.outbox;
    until(Duration::from_secs(10), "it is an event, without a word", async || {
        let page = log.after(Cursor::START, 100).await.unwrap();
        let erased = page.events.iter().rfind(|event| event.kind == EventKind::TicketErased);
        let of_theirs = page.events.iter().filter(|event| event.ticket_id == id);
        of_theirs.clone().all(|event| event.email.as_str().is_empty())
            && erased.is_some_and(|event| event.version == last.version)
    })
    .await;
}

/// Whoever changed it last had a clock that is ahead.
async fn an_erasure_is_not_before_the_last_change(it: Installation) {
    let (worker, people) = (it.backend.worker().await, it.backend.operator().await.people);
    let new = theirs(1);
    let id = new.submission.id;
    worker.tickets.insert(std::slice::from_ref(&new)).await.unwrap();
    let begin = Change { status: Some(Status::InProgress), ..Change::default() };
    let changed_at = soon();
    done(&*it.backend.edge().await.cases, &new, changed_at, &begin).await;
    people.erase(&found(&*people).await, &erasure()).await.unwrap();
    let after = file(&it, id).await;
    assert_eq!(after.case.ticket.updated_at, changed_at);
    let last = after.trail.last().unwrap();
    assert_eq!((last.kind.as_str(), last.at), ("ticket.erased", changed_at));
    // And where no clock is ahead it is of its own time.
    let later = Erasure { at: changed_at + TimeDelta::hours(1), ..erasure() };
    let other = theirs(2);
    worker.tickets.insert(std::slice::from_ref(&other)).await.unwrap();
    people.erase(&found(&*people).await, &later).await.unwrap();
    let after = file(&it, other.submission.id).await;
    assert_eq!(after.case.ticket.updated_at, later.at);
    assert_eq!(after.trail.last().unwrap().at, later.at);
}

async fn statistics(it: &Installation) -> common::domain::Statistics {
    let now = DateTime::UNIX_EPOCH;
    it.backend.worker().await.statistics.statistics(now).await.unwrap()
}

async fn a_submission_that_was_under_way_is_stored_erased(it: Installation) {
    let (worker, people) = (it.backend.worker().await, it.backend.operator().await.people);
    let (under_way, other) = (theirs(1), ticket(2));
    assert_eq!(people.forgotten_at(person()).await.unwrap(), None);
    let now = SystemClock.now();
    people.forget(person(), now).await.unwrap();
    people.forget(person(), now - TimeDelta::days(1)).await.unwrap();
    assert_eq!(people.forgotten_at(person()).await.unwrap(), Some(now), "the last time counts");
    let batch = [under_way.clone(), other.clone()];
    assert_eq!(worker.tickets.insert(&batch).await.unwrap(), [Inserted::New, Inserted::New]);
    let stored = file(&it, under_way.submission.id).await;
    assert!(stored.case.ticket.is_erased());
    assert!(!words(&stored).contains("canary"), "{stored:?}");
    assert_eq!(stored.case.ticket.number, under_way.number);
    let kept = file(&it, other.submission.id).await.case.ticket;
    assert_eq!(kept.form, other.submission.form, "nobody else's is");
    assert_eq!(found(&*people).await, []);
    assert_eq!(statistics(&it).await.total(), 2);
    assert_eq!(it.backend.audit().await.store.unaudited().await.unwrap(), 0);
}

/// Many insert while somebody forgets. What is there unerased when that has ended is all there ever
/// will be, though some insertions had begun before and ended later.
async fn an_insertion_that_runs_meanwhile_is_waited_for(it: Installation) {
    it.slow_insertions_down().await;
    let worker = Arc::new(it.backend.worker().await);
    let people = it.backend.operator().await.people;
    let inserting: Vec<_> = (0..4_u32)
        .map(|inserter| {
            let worker = Arc::clone(&worker);
            tokio::spawn(async move {
                for number in 0..10 {
                    let ticket = theirs(inserter * 10 + number);
                    worker.tickets.insert(&[ticket]).await.unwrap();
                }
            })
        })
        .collect();
    until(Duration::from_secs(10), "some are there", async || !found(&*people).await.is_empty())
        .await;
    people.forget(person(), soon()).await.unwrap();
    let left: BTreeSet<_> = found(&*people).await.iter().map(|it| it.id.as_uuid()).collect();
    for inserter in inserting {
        inserter.await.unwrap();
    }
    let later: BTreeSet<_> = found(&*people).await.iter().map(|it| it.id.as_uuid()).collect();
    assert_eq!(later, left, "none came to be that was not there before");
    let total = statistics(&it).await.total();
    assert_eq!(total, 40);
    assert!((1..40).contains(&left.len()), "{} of them before", left.len());
}

async fn an_erased_submission_stays_erased_however_often_it_comes(it: Installation) {
    let (worker, people) = (it.backend.worker().await, it.backend.operator().await.people);
    let mut keyed = theirs(2);
    keyed.submission.key = Some(common::domain::KeyHash([7; 16]));
    for (new, is_stored_first) in [(theirs(1), true), (keyed, true), (theirs(3), false)] {
        if is_stored_first {
            worker.tickets.insert(std::slice::from_ref(&new)).await.unwrap();
            people.erase(&found(&*people).await, &erasure()).await.unwrap();
        }
        people.forget(person(), SystemClock.now()).await.unwrap();
        if !is_stored_first {
            worker.tickets.insert(std::slice::from_ref(&new)).await.unwrap();
        }
        let (number, submitted_at) = (new.number.clone(), new.submission.submitted_at);
        let again = NewTicket { number: "SUP-2026-000099".parse().unwrap(), ..new.clone() };
        for _ in 0..3 {
            let inserted = worker.tickets.insert(std::slice::from_ref(&again)).await.unwrap();
            let (number, existing) = (number.clone(), submitted_at);
            assert_eq!(inserted, [Inserted::Existing { number, submitted_at: existing }]);
        }
        assert!(file(&it, new.submission.id).await.case.ticket.is_erased());
    }
    assert_eq!(statistics(&it).await.total(), 3);
}

async fn of_whoever_was_erased_what_comes_later_is_kept(it: Installation) {
    let (worker, people) = (it.backend.worker().await, it.backend.operator().await.people);
    people.forget(person(), SystemClock.now()).await.unwrap();
    let mut later = theirs(1);
    later.submission.submitted_at = soon() - TimeDelta::minutes(1);
    worker.tickets.insert(std::slice::from_ref(&later)).await.unwrap();
    let stored = file(&it, later.submission.id).await.case.ticket;
    assert_eq!(stored.form, later.submission.form);
    assert_eq!(found(&*people).await.len(), 1);
    people.forget(person(), soon()).await.unwrap();
    people.erase(&found(&*people).await, &erasure()).await.unwrap();
    assert_eq!(found(&*people).await, [], "until they are erased again");
}

async fn a_ticket_that_changed_meanwhile_is_not_erased(it: Installation) {
    let (worker, people) = (it.backend.worker().await, it.backend.operator().await.people);
    let [first, second] = [theirs(1), theirs(2)];
    worker.tickets.insert(&[first.clone(), second.clone()]).await.unwrap();
    let seen = found(&*people).await;
    change(&it, first.submission.id, &post(PostKind::Reply, "canary reply")).await;
    let erased = people.erase(&seen, &erasure()).await.unwrap();
    assert_eq!(erased, [second.submission.id]);
    assert_eq!(file(&it, first.submission.id).await.thread.len(), 1);
    let again = people.erase(&found(&*people).await, &erasure()).await.unwrap();
    assert_eq!(again, [first.submission.id]);
}

async fn what_nobody_has_touched_for_long_is_found(it: Installation) {
    let (worker, people) = (it.backend.worker().await, it.backend.operator().await.people);
    let now = SystemClock.now();
    let aged = |number, days| {
        let mut ticket = ticket(number);
        ticket.submission = submission(number);
        ticket.submission.submitted_at = now - TimeDelta::days(days);
        ticket
    };
    let batch = [aged(1, 400), aged(2, 400), aged(3, 364), aged(4, 400)];
    worker.tickets.insert(&batch).await.unwrap();
    change(&it, batch[3].submission.id, &post(PostKind::Note, "touched")).await;
    let a_year_ago = now - TimeDelta::days(365);
    let untouched = people.untouched(a_year_ago, 10).await.unwrap();
    let ids: BTreeSet<_> = untouched.iter().map(|it| it.id.as_uuid()).collect();
    let expected = [0, 1].map(|number: usize| batch[number].submission.id.as_uuid());
    assert_eq!(ids, expected.into());
    assert_eq!(people.untouched(a_year_ago, 1).await.unwrap().len(), 1);
    people.erase(&untouched, &erasure()).await.unwrap();
    assert_eq!(people.untouched(a_year_ago, 10).await.unwrap(), []);
}

async fn one_at_a_time_has_the_turn(it: Installation) {
    let people = it.backend.operator().await.people;
    let (now, later) = (SystemClock.now(), SystemClock.now() + TimeDelta::hours(1));
    let taking = (0..8).map(|_| people.take_turn(now, later));
    let taken: Vec<_> = futures_util::future::join_all(taking).await;
    assert_eq!(taken.into_iter().filter(|it| *it.as_ref().unwrap()).count(), 1);
    let almost = later - TimeDelta::milliseconds(1);
    assert!(!people.take_turn(almost, soon()).await.unwrap());
    assert!(people.take_turn(later, later + TimeDelta::hours(1)).await.unwrap());
}
