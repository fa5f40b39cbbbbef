//! What was told of the counts, as it is written: whoever asks the same of the same counts is told the
//! same, and a month of quarters of an hour need not be summed up and written again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use common::domain::Statistics;
use serde_json::value::RawValue;

use super::period::Asked;

/// Questions of which the answers are kept. Dashboards ask a handful; somebody who goes through zones
/// and periods is to hold no memory.
const QUESTIONS_MAX: usize = 16;

/// What an answer follows from, beside the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    asked: Asked,
    /// In the zone that is asked for, and in UTC: each has a midnight of its own.
    days: (NaiveDate, NaiveDate),
}

impl Question {
    pub fn new(asked: Asked, now: DateTime<Utc>) -> Self {
        Self { asked, days: (asked.zone.today(now), now.date_naive()) }
    }
}

/// Answers about the last counts that there were.
#[derive(Default)]
pub struct Memo {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Held, so that no other counts can come to lie where these do.
    counts: Option<Arc<Statistics>>,
    answers: Vec<(Question, Arc<RawValue>)>,
}

impl Memo {
    /// What was told of just these counts.
    pub fn find(&self, counts: &Arc<Statistics>, question: Question) -> Option<Arc<RawValue>> {
        let kept = self.kept();
        if !kept.counts.as_ref().is_some_and(|it| Arc::ptr_eq(it, counts)) {
            return None;
        }
        let told = kept.answers.iter().find(|(of, _)| *of == question);
        told.map(|(_, answer)| Arc::clone(answer))
    }

    /// Keeps what is told of these counts, in the place of whatever was told of others.
    pub fn keep(&self, counts: &Arc<Statistics>, question: Question, answer: Arc<RawValue>) {
        let mut kept = self.kept();
        match &kept.counts {
            Some(of) if Arc::ptr_eq(of, counts) => {}
            // Somebody was slow: there are newer ones.
            Some(of) if of.generated_at > counts.generated_at => return,
            _ => *kept = Kept { counts: Some(Arc::clone(counts)), answers: Vec::new() },
        }
        // Several may have asked at once what was not known yet.
        let is_new = kept.answers.iter().all(|(of, _)| *of != question);
        if is_new && kept.answers.len() < QUESTIONS_MAX {
            kept.answers.push((question, answer));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics half-way through a change of it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::{super::zone::Zone, *};

    fn question(days: u16, zone: &str, now: &str) -> Question {
        Question::new(Asked { days, zone: Zone::parse(zone).unwrap() }, now.parse().unwrap())
    }

    fn answer(number: u32) -> Arc<RawValue> {
        to_raw_value(&number).unwrap().into()
    }

    fn told(memo: &Memo, counts: &Arc<Statistics>, question: Question) -> Option<String> {
        memo.find(counts, question).map(|it| it.get().to_owned())
    }

    #[test]
    fn an_answer_is_of_its_counts_its_question_and_its_day() {
        let (memo, counts) = (Memo::default(), Arc::<Statistics>::default());
        let asked = question(3, "Asia/Kolkata", "2026-11-22T10:30:00Z");
        assert_eq!(told(&memo, &counts, asked), None);
        memo.keep(&counts, asked, answer(1));
        assert_eq!(told(&memo, &counts, asked).as_deref(), Some("1"));
        let later = question(3, "Asia/Kolkata", "2026-11-22T18:29:59Z");
        assert_eq!(
            told(&memo, &counts, later).as_deref(),
            Some("1"),
            "the same day, here and there"
        );
        for other in [
            question(4, "Asia/Kolkata", "2026-11-22T10:30:00Z"),
            question(3, "UTC", "2026-11-22T10:30:00Z"),
            question(3, "Asia/Kolkata", "2026-11-22T18:30:00Z"),
            question(3, "Asia/Kolkata", "2026-11-21T19:00:00Z"),
        ] {
            assert_eq!(told(&memo, &counts, other), None, "{other:?}");
        }
        let next = Arc::<Statistics>::default();
        assert_eq!(told(&memo, &next, asked), None, "equal counts that were read later");
        memo.keep(&next, asked, answer(2));
        assert_eq!(told(&memo, &counts, asked), None);
        assert_eq!(told(&memo, &next, asked).as_deref(), Some("2"));
        let earlier = DateTime::UNIX_EPOCH - chrono::TimeDelta::seconds(1);
        let old = Arc::new(Statistics { generated_at: earlier, ..Statistics::default() });
        memo.keep(&old, asked, answer(3));
        assert_eq!(told(&memo, &next, asked).as_deref(), Some("2"), "newer than what comes late");
    }

    #[test]
    fn who_asks_everything_holds_no_memory() {
        let (memo, counts) = (Memo::default(), Arc::<Statistics>::default());
        for days in 1..=366 {
            let asked = question(days, "UTC", "2026-11-22T10:30:00Z");
            memo.keep(&counts, asked, answer(days.into()));
            memo.keep(&counts, asked, answer(0));
            let one_each = usize::from(days).min(QUESTIONS_MAX);
            assert_eq!(memo.kept().answers.len(), one_each);
        }
    }
}
