//! The promises of `common::ports::dead_letters` about which letters are handled, and who sees it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use common::Cause;
use common::clock::{Clock, SystemClock};
use common::ports::dead_letters::{
    Censor, Filter, HeldLetter, LetterId, ListedLetter, Listing, Overseer, Selection, Verdict,
};
use common::ports::queue::BuriedLetter;

use super::dead_letters::{DEADLINE, bury, discard, envelopes, list, requeue, these};
use super::installation::Installation;
use super::on_both_backends;
use crate::bed::wait::until;

on_both_backends! {
    letters_are_listed_by_reason_and_by_age,
    letters_are_chosen_by_reason_and_by_age,
    nothing_is_done_to_a_letter_that_its_overseer_was_not_shown,
    an_overseer_says_how_many_are_handled_at_a_time_and_when_to_stop,
    every_letter_is_read_as_it_lies_there,
    a_redacted_letter_holds_what_its_censor_leaves,
}

/// Lets everything happen, a few letters at a time, and remembers in which portions.
#[derive(Default)]
pub struct Watching {
    /// How many at a time; as many as there are, if none.
    portion: Option<usize>,
    /// After how many portions it stops, or objects.
    stops_after: Option<usize>,
    objects_after: Option<usize>,
    seen: Mutex<Vec<Vec<LetterId>>>,
    handled: Mutex<usize>,
}

impl Watching {
    fn seen(&self) -> Vec<Vec<LetterId>> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl Overseer for Watching {
    async fn admit(&self) -> Option<usize> {
        let is_over = self.stops_after == Some(self.seen().len());
        (!is_over).then_some(self.portion.unwrap_or(usize::MAX))
    }

    async fn foresee(&self, letters: &[HeldLetter]) -> Result<(), Cause> {
        if self.objects_after == Some(self.seen().len()) {
            return Err("no".into());
        }
        let ids = letters.iter().map(|held| held.id.clone()).collect();
        self.seen.lock().unwrap().push(ids);
        Ok(())
    }

    fn handled(&self, letters: usize) {
        *self.handled.lock().unwrap() += letters;
    }
}

/// Three letters of one reason and, some time later, two of another; when the later ones were
/// buried.
async fn bury_twice(it: &Installation) -> (Vec<ListedLetter>, DateTime<Utc>) {
    let rubbish = |number: u8| Bytes::from(vec![number]);
    let mut buried = bury(it, "unreadable", (0..3).map(rubbish).collect()).await;
    until(DEADLINE, "time passes", async || SystemClock.now() > buried[2].first_seen_at).await;
    buried.extend(bury(it, "conflict", (3..5).map(rubbish).collect()).await);
    let later = buried[3].first_seen_at;
    assert!(buried[..3].iter().all(|it| it.first_seen_at < later));
    assert!(buried[3..].iter().all(|it| it.first_seen_at >= later));
    (buried, later)
}

/// Filters, and which of those letters they are for.
fn filters(later: DateTime<Utc>) -> [(Filter, &'static [usize]); 7] {
    let of = |codes: &[&str]| Filter {
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        ..Filter::default()
    };
    let (before, since) = (Some(later), Some(later));
    let far = Some(later + TimeDelta::days(1));
    [
        (of(&[]), &[0, 1, 2, 3, 4]),
        (of(&["conflict"]), &[3, 4]),
        (of(&["conflict", "unreadable"]), &[0, 1, 2, 3, 4]),
        (of(&["rejected"]), &[]),
        (Filter { before, ..of(&[]) }, &[0, 1, 2]),
        (Filter { since, ..of(&[]) }, &[3, 4]),
        (Filter { before: far, since, ..of(&["unreadable"]) }, &[]),
    ]
}

async fn letters_are_listed_by_reason_and_by_age(it: Installation) {
    let (buried, later) = bury_twice(&it).await;
    let letters = it.backend.operator().await.dead_letters;
    for (filter, expected) in filters(later) {
        let expected: Vec<_> = expected.iter().map(|number| buried[*number].clone()).collect();
        let mut counts = BTreeMap::new();
        for letter in &expected {
            *counts.entry(letter.code.clone()).or_default() += 1;
        }
        for limit in [0, 1, 100] {
            let shown = expected[..expected.len().min(limit as usize)].to_vec();
            let listing = Listing { letters: shown, counts: counts.clone(), are_some_held: false };
            assert_eq!(letters.list(&filter, limit).await.unwrap(), listing, "{filter:?}");
        }
    }
}

async fn letters_are_chosen_by_reason_and_by_age(it: Installation) {
    let (buried, later) = bury_twice(&it).await;
    let letters = it.backend.operator().await.dead_letters;
    let filters = filters(later);
    let chosen = |number: usize| Selection::Like(filters[number].0.clone());
    let ids =
        |numbers: &[usize]| numbers.iter().map(|it| buried[*it].id.clone()).collect::<Vec<_>>();
    assert_eq!(discard(&*letters, &chosen(3)).await, []);
    assert_eq!(requeue(&*letters, &chosen(6)).await, []);
    assert_eq!(list(&*letters, 10).await, buried);
    assert_eq!(requeue(&*letters, &chosen(1)).await, ids(&[3, 4]));
    assert_eq!(list(&*letters, 10).await, buried[..3]);
    assert_eq!(discard(&*letters, &chosen(5)).await, []);
    assert_eq!(discard(&*letters, &chosen(4)).await, ids(&[0, 1, 2]));
    assert_eq!(list(&*letters, 10).await, []);
}

async fn nothing_is_done_to_a_letter_that_its_overseer_was_not_shown(it: Installation) {
    let (_, bodies) = envelopes(7);
    let buried = bury(&it, "rejected", bodies.clone()).await;
    let operator = it.backend.operator().await;
    let audit = it.backend.audit().await.queue;
    let letters = &*operator.dead_letters;
    for requeues in [false, true] {
        let there = list(letters, 10).await;
        let objecting =
            Watching { portion: Some(1), objects_after: Some(2), ..Watching::default() };
        let handled = if requeues {
            letters.requeue(&Selection::All, &objecting).await
        } else {
            letters.discard(&Selection::All, &objecting).await
        };
        let interrupted = handled.unwrap_err();
        assert_eq!((interrupted.handled, interrupted.cause.to_string()), (2, "no".to_owned()));
        let seen = [vec![there[0].id.clone()], vec![there[1].id.clone()]];
        assert_eq!((objecting.seen(), *objecting.handled.lock().unwrap()), (seen.into(), 2));
        assert_eq!(list(letters, 10).await, there[2..]);
    }
    assert_eq!(audit.depths().await.unwrap().queued, 2, "those that were seen");
    assert_eq!(list(letters, 10).await, buried[4..]);
}

async fn an_overseer_says_how_many_are_handled_at_a_time_and_when_to_stop(it: Installation) {
    let (_, bodies) = envelopes(70);
    let buried = bury(&it, "rejected", bodies).await;
    let letters = it.backend.operator().await.dead_letters;
    let stopping = Watching { portion: Some(3), stops_after: Some(2), ..Watching::default() };
    let handled = letters.requeue(&Selection::All, &stopping).await.unwrap();
    let expected: Vec<_> = buried[..6].iter().map(|letter| letter.id.clone()).collect();
    assert_eq!(handled, expected);
    assert_eq!(stopping.seen().concat(), expected);
    assert!(stopping.seen().iter().all(|portion| portion.len() == 3));
    assert_eq!(list(&*letters, 100).await, buried[6..], "the others are where they were");
    let hasty = Watching { portion: Some(0), stops_after: Some(1), ..Watching::default() };
    assert_eq!(letters.discard(&these(&[&buried[9]]), &hasty).await.unwrap().len(), 1);
    // However many are admitted, some are enough for one go.
    let all = Watching::default();
    assert_eq!(letters.discard(&Selection::All, &all).await.unwrap().len(), 63);
    assert!(all.seen().iter().all(|portion| portion.len() <= 64), "{:?}", all.seen().len());
    assert_eq!(*all.handled.lock().unwrap(), 63);
}

async fn every_letter_is_read_as_it_lies_there(it: Installation) {
    let (_, bodies) = envelopes(70);
    let buried = bury(&it, "rejected", bodies.clone()).await;
    let letters = it.backend.operator().await.dead_letters;
    for _ in 0..2 {
        let seen = Mutex::new(Vec::new());
        let see = |held: &HeldLetter| seen.lock().unwrap().push(held.clone());
        assert!(!letters.read(&see).await.unwrap(), "nobody else has any");
        let seen = seen.into_inner().unwrap();
        let ids: Vec<_> = seen.iter().map(|held| &held.id).collect();
        assert_eq!(ids, buried.iter().map(|letter| &letter.id).collect::<Vec<_>>());
        let read: Vec<_> = seen.iter().map(|held| held.letter.body.clone()).collect();
        assert_eq!(read, bodies);
    }
}

/// By what a letter begins with.
struct ByWord;

impl Censor for ByWord {
    fn judge(&self, letter: &BuriedLetter) -> Verdict {
        match &*letter.body {
            body if body.starts_with(b"gone") => Verdict::Discard,
            body if body.starts_with(b"part") => Verdict::Replace(Bytes::from_static(b"rest")),
            _ => Verdict::Keep,
        }
    }
}

async fn a_redacted_letter_holds_what_its_censor_leaves(it: Installation) {
    let bodies =
        ["stays 0", "gone 1", "part 2", "stays 3"].map(|text| Bytes::from_static(text.as_bytes()));
    let buried = bury(&it, "rejected", bodies.to_vec()).await;
    let letters = it.backend.operator().await.dead_letters;
    let objecting = Watching { objects_after: Some(0), ..Watching::default() };
    assert_eq!(letters.redact(&ByWord, &objecting).await.unwrap_err().handled, 0);
    assert_eq!(list(&*letters, 9).await, buried);
    let watching = Watching::default();
    let concerned = letters.redact(&ByWord, &watching).await.unwrap();
    let expected = [buried[1].id.clone(), buried[2].id.clone()];
    assert_eq!(concerned, expected);
    assert_eq!(watching.seen().concat(), expected);
    let left = list(&*letters, 9).await;
    let details: Vec<_> = left.iter().map(|it| it.detail.as_str()).collect();
    assert_eq!(details.len(), 3, "{details:?}");
    let redacted = left.iter().find(|it| it.detail == "letter 2").unwrap();
    let ListedLetter { code, attempts, first_seen_at, .. } = &buried[2];
    assert_eq!((&redacted.code, redacted.attempts), (code, *attempts));
    assert_eq!(redacted.first_seen_at, *first_seen_at);
    let found = letters.find(&redacted.id).await.unwrap().unwrap();
    assert_eq!(&*found.letter.body, b"rest");
    for number in [0, 3] {
        assert!(left.contains(&buried[number]), "{number} is as it was");
    }
    assert_eq!(letters.redact(&ByWord, &watching).await.unwrap(), []);
}
