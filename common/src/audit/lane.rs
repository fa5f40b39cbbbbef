//! One record as far as it is read.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use super::{Excerpt, PAGE};
use crate::{
    clock::SKEW_MAX,
    domain::Record,
    ports::{
        events::Cursor,
        records::{RecordEntry, Records},
        store::StoreError,
    },
};

/// A record on its way, a page of it in memory.
pub struct Lane {
    record: Record,
    read_to: Cursor,
    waiting: VecDeque<RecordEntry>,
    state: State,
}

enum State {
    /// It is not known yet where to begin.
    Seeking(Search),
    /// There may be more.
    Reading,
    /// That was all.
    Ended,
}

/// The last seal under which everything is too early, somewhere between two of them. There is no index
/// by time, which each insertion would pay for; and a record is not in the order of time, since what was
/// accepted may be stored much later. But nothing is on record before it happened, and under a seal there
/// is nothing that came after it.
struct Search {
    from: DateTime<Utc>,
    /// The last one of which it is known; 0 for none.
    low: u64,
    /// The first one under which there may be something; none while nobody has asked.
    high: Option<u64>,
    place: Cursor,
}

impl Lane {
    pub fn new(record: Record, read_to: Cursor, excerpt: &Excerpt) -> Self {
        // What is on record of one ticket is found at once.
        let from = excerpt.from.filter(|_| excerpt.ticket.is_none());
        let state = match from {
            _ if excerpt.record.is_some_and(|wanted| wanted != record) => State::Ended,
            Some(from) => State::Seeking(Search { from, low: 0, high: None, place: Cursor::START }),
            None => State::Reading,
        };
        Self { record, read_to, waiting: VecDeque::new(), state }
    }

    /// Whether what is next is not known before the store was asked.
    pub fn waits(&self) -> bool {
        self.waiting.is_empty() && !matches!(self.state, State::Ended)
    }

    /// When what is next happened, if there is anything.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        self.waiting.front().map(|entry| entry.content.at())
    }

    /// What is next.
    pub fn take(&mut self) -> Option<RecordEntry> {
        self.waiting.pop_front()
    }

    /// Asks the store, once.
    pub async fn read(
        &mut self,
        records: &dyn Records,
        excerpt: &Excerpt,
    ) -> Result<(), StoreError> {
        if let State::Seeking(search) = &mut self.state {
            if search.step(records, self.record).await? {
                self.read_to = search.place.max(self.read_to);
                self.state = State::Reading;
            }
            return Ok(());
        }
        let (record, after) = (self.record, self.read_to);
        let page = match &excerpt.ticket {
            Some(ticket) => records.entries_of(record, ticket, after, PAGE).await?,
            None => records.entries(record, after, PAGE).await?,
        };
        if page.len() < PAGE as usize || self.is_behind(excerpt.to, &page) {
            self.state = State::Ended;
        }
        self.read_to = page.last().map_or(after, |entry| entry.place);
        self.waiting = page.into();
        Ok(())
    }

    /// Whether nothing that comes later can have happened before `to`. Actions are on record when they
    /// are done. Of tickets this cannot be told: a submission may come out of a spool, the dead letters or
    /// an import long after it was accepted.
    fn is_behind(&self, to: Option<DateTime<Utc>>, page: &[RecordEntry]) -> bool {
        let last = page.iter().map(|entry| entry.content.at()).max();
        let is_far = |(to, last): (DateTime<Utc>, DateTime<Utc>)| last - to >= SKEW_MAX;
        self.record == Record::Actions && to.zip(last).is_some_and(is_far)
    }
}

impl Search {
    /// Looks at one seal; whether that was the last to look at.
    async fn step(&mut self, records: &dyn Records, record: Record) -> Result<bool, StoreError> {
        let Some(high) = self.high else {
            let last = records.last_seal(record).await?;
            self.high = Some(last.map_or(0, |seal| seal.number).saturating_add(1));
            return Ok(self.high == Some(1));
        };
        let middle = self.low.midpoint(high);
        let seal = records.seals(record, middle.saturating_sub(1), 1).await?.pop();
        match seal.filter(|it| it.number == middle && self.from - it.sealed_at >= SKEW_MAX) {
            Some(seal) => (self.low, self.place) = (middle, seal.place),
            None => self.high = Some(middle),
        }
        Ok(self.high.is_none_or(|high| high <= self.low + 1))
    }
}
