//! Whether what is on record is what was sealed, from the beginning.

use std::collections::VecDeque;

use common::{
    clock::rfc3339,
    domain::Record,
    keys::hex,
    ports::{
        events::Cursor,
        records::{RecordEntry, Records},
        store::StoreError,
    },
    seals::{Chain, Seal, SealKey},
};

use super::report::{EXAMPLES_MAX, Finding, examples};
use crate::terminal::{self, thousands};

/// Entries, or seals, read at a time.
const PAGE: u32 = 1_000;

/// Passes everything on record once more, seal by seal.
pub async fn check(
    records: &dyn Records,
    key: &SealKey,
    record: Record,
) -> Result<Finding, StoreError> {
    let mut trial = Trial {
        key,
        record,
        entries: Entries::new(records, record),
        last: None,
        wrong: 0,
        examples: Vec::new(),
    };
    loop {
        let after = trial.last.as_ref().map_or(0, |seal| seal.number);
        let seals = records.seals(record, after, PAGE).await?;
        let is_last = seals.len() < PAGE as usize;
        for seal in seals {
            trial.hold_against(seal).await?;
        }
        if is_last {
            return trial.finding().await;
        }
    }
}

struct Trial<'a> {
    key: &'a SealKey,
    record: Record,
    entries: Entries<'a>,
    /// The seal that was looked at last.
    last: Option<Seal>,
    wrong: u64,
    examples: Vec<String>,
}

impl Trial<'_> {
    /// Each seal goes on from what the one before it says, so that a break is told where it is and
    /// nowhere behind.
    async fn hold_against(&mut self, seal: Seal) -> Result<(), StoreError> {
        let before = self.last.as_ref();
        let expected = 1 + before.map_or(0, |seal| seal.number);
        let mut chain = Chain::behind(self.key, self.record, before);
        let passed = chain.entries();
        while let Some(entry) = self.entries.next_through(seal.place).await? {
            chain.pass(&entry.content);
        }
        terminal::progress(format!(
            "{} {} held against their seals",
            thousands(chain.entries()),
            noun(self.record)
        ));
        let found = chain.seal(seal.place, seal.sealed_at);
        if seal.number != expected {
            self.tell(format!("seal {expected} is missing"));
        } else if found.entries != seal.entries {
            let span = self.span(&seal);
            let (found, sealed) = (found.entries - passed, seal.entries.saturating_sub(passed));
            self.tell(format!(
                "{span} has {} entries and not {}",
                thousands(found),
                thousands(sealed)
            ));
        } else if found.digest != seal.digest {
            let span = self.span(&seal);
            self.tell(format!("{span} is not what was sealed"));
        }
        self.last = Some(seal);
        Ok(())
    }

    /// What is under a seal.
    fn span(&self, seal: &Seal) -> String {
        let until = rfc3339(seal.sealed_at);
        match &self.last {
            None => format!("what seal {} closed at {until}", seal.number),
            Some(last) => {
                format!(
                    "what seal {} closed between {} and {until}",
                    seal.number,
                    rfc3339(last.sealed_at)
                )
            }
        }
    }

    fn tell(&mut self, fault: String) {
        self.wrong += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(fault);
        }
    }

    async fn finding(mut self) -> Result<Finding, StoreError> {
        let mut unsealed = 0;
        while self.entries.next().await?.is_some() {
            unsealed += 1;
        }
        let noun = noun(self.record);
        if self.wrong > 0 {
            let (wrong, examples) = (thousands(self.wrong), examples(&self.examples, self.wrong));
            return Ok(Finding::Fails(format!("{wrong} seals of {noun} are broken: {examples}")));
        }
        let sealed = thousands(self.last.as_ref().map_or(0, |seal| seal.entries));
        let waiting = match unsealed {
            0 => String::new(),
            unsealed => format!(", and {} more are not sealed yet", thousands(unsealed)),
        };
        // Kept elsewhere, it tells later whether this is still there.
        let head = self.last.map_or_else(String::new, |seal| {
            format!(" (seal {}: {})", seal.number, hex(&seal.digest[..8]))
        });
        Ok(Finding::Holds(format!("{sealed} {noun} are as they were sealed{head}{waiting}")))
    }
}

const fn noun(record: Record) -> &'static str {
    match record {
        Record::Tickets => "changes of tickets",
        Record::Actions => "actions of operators",
    }
}

/// The entries of a record one after the other, a page of them in memory.
struct Entries<'a> {
    records: &'a dyn Records,
    record: Record,
    page: VecDeque<RecordEntry>,
    read_to: Cursor,
    has_more: bool,
}

impl<'a> Entries<'a> {
    fn new(records: &'a dyn Records, record: Record) -> Self {
        let (page, read_to) = (VecDeque::new(), Cursor::START);
        Self { records, record, page, read_to, has_more: true }
    }

    /// The next one, if it is no further than this place.
    async fn next_through(&mut self, place: Cursor) -> Result<Option<RecordEntry>, StoreError> {
        self.fill().await?;
        Ok(self.page.pop_front_if(|entry| entry.place <= place))
    }

    async fn next(&mut self) -> Result<Option<RecordEntry>, StoreError> {
        self.fill().await?;
        Ok(self.page.pop_front())
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        if self.page.is_empty() && self.has_more {
            let page = self.records.entries(self.record, self.read_to, PAGE).await?;
            self.has_more = page.len() == PAGE as usize;
            self.read_to = page.last().map_or(self.read_to, |entry| entry.place);
            self.page = page.into();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
