//! Whether every ticket has a number of its own that this installation gave out.

use std::collections::{BTreeMap, btree_map::Entry};

use chrono::Datelike;
use common::{
    domain::{NumberCipher, TicketNumber},
    ports::{
        audit::{StoreAudit, StoredNumber},
        store::StoreError,
    },
};

use super::report::{EXAMPLES_MAX, Finding, examples};
use crate::terminal::{self, thousands};

/// Numbers read at a time.
const PAGE: u32 = 5_000;

/// Whether our number key is the one that the store remembers.
pub fn check_key(kept: Option<&str>, ours: &str) -> Finding {
    match kept {
        None => Finding::Holds("no number key has been used yet".to_owned()),
        Some(kept) if kept == ours => {
            Finding::Holds("the number key is the one that tickets are numbered with".to_owned())
        }
        Some(kept) => Finding::Fails(format!(
            "the number key has the fingerprint {ours}, and tickets are numbered with {kept}"
        )),
    }
}

/// Checks each number for itself and against its neighbour.
pub async fn check(store: &dyn StoreAudit, cipher: &NumberCipher) -> Result<Finding, StoreError> {
    check_paged(store, cipher, PAGE).await
}

async fn check_paged(
    store: &dyn StoreAudit,
    cipher: &NumberCipher,
    page_size: u32,
) -> Result<Finding, StoreError> {
    // Before the first page: what is submitted meanwhile may be seen or not.
    let tickets = store.tickets().await?;
    let mut census = Census { cipher, tickets, checked: 0, wrong: 0, examples: Vec::new() };
    let mut after: Option<String> = None;
    loop {
        let mut page = store.numbers(after.as_deref(), page_size).await?;
        let is_last = page.len() < page_size as usize;
        if !is_last {
            leave_last_number_for_next(&mut page);
        }
        let reserved = reserved(store, &page).await?;
        census.count(&page, &reserved);
        terminal::progress(format!("{} ticket numbers checked", thousands(census.checked)));
        match page.pop() {
            Some(last) if !is_last => after = Some(last.number),
            _ => return Ok(census.finding()),
        }
    }
}

/// Equal numbers must not be torn apart: pages begin *after* a number, so a second one at the start
/// of the next page would never be seen.
fn leave_last_number_for_next(page: &mut Vec<StoredNumber>) {
    let Some(last) = page.last().map(|stored| stored.number.clone()) else { return };
    let others = page.iter().take_while(|stored| stored.number != last).count();
    // Where the whole page is one number, it has been found often enough.
    if others > 0 {
        page.truncate(others);
    }
}

/// How many counters each year of the page has given out. Asked after the page was read, so that
/// the counter of every number in it was given out before.
async fn reserved(
    store: &dyn StoreAudit,
    page: &[StoredNumber],
) -> Result<BTreeMap<u16, u64>, StoreError> {
    let mut reserved = BTreeMap::new();
    for number in page.iter().filter_map(|stored| stored.number.parse::<TicketNumber>().ok()) {
        let year = number.year();
        if let Entry::Vacant(unknown) = reserved.entry(year) {
            unknown.insert(store.reserved(year).await?);
        }
    }
    Ok(reserved)
}

struct Census<'a> {
    cipher: &'a NumberCipher,
    tickets: u64,
    checked: u64,
    wrong: u64,
    examples: Vec<String>,
}

impl Census<'_> {
    fn count(&mut self, page: &[StoredNumber], reserved: &BTreeMap<u16, u64>) {
        let mut previous = None;
        for stored in page {
            self.checked += 1;
            let fault = if previous == Some(&stored.number) {
                Some("is there more than once")
            } else {
                self.fault(stored, reserved)
            };
            if let Some(fault) = fault {
                self.wrong += 1;
                if self.examples.len() < EXAMPLES_MAX {
                    // As text in quotes: whatever stands there is no number of ours.
                    self.examples.push(format!("{:?} {fault}", stored.number));
                }
            }
            previous = Some(&stored.number);
        }
    }

    /// What is wrong with a number by itself.
    fn fault(&self, stored: &StoredNumber, reserved: &BTreeMap<u16, u64>) -> Option<&'static str> {
        let Ok(number) = stored.number.parse::<TicketNumber>() else {
            return Some("is not well formed");
        };
        if i32::from(number.year()) != stored.submitted_at.year() {
            return Some("is of another year than its ticket");
        }
        let Some(counter) = self.cipher.counter(&number) else {
            return Some("was not made with this number key");
        };
        let was_given_out = reserved.get(&number.year()).is_some_and(|count| counter < *count);
        (!was_given_out).then_some("was never given out under this number key")
    }

    fn finding(self) -> Finding {
        let checked = thousands(self.checked);
        if self.checked < self.tickets {
            let tickets = thousands(self.tickets);
            return Finding::Fails(format!(
                "only {checked} of {tickets} tickets are found by their numbers: the index is broken"
            ));
        }
        if self.wrong == 0 {
            return Finding::Holds(format!("{checked} ticket numbers are unique and well formed"));
        }
        let (wrong, examples) = (thousands(self.wrong), examples(&self.examples, self.wrong));
        Finding::Fails(format!("{wrong} of {checked} ticket numbers are wrong: {examples}"))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use chrono::{DateTime, Utc};
    use common::{keys::NumberKey, ports::audit::Deviation};

    use super::*;

    /// Numbers in order, with their times, of which the index does not have the last few; every
    /// year has given out `reserved` counters.
    struct Stored {
        numbers: Vec<StoredNumber>,
        lost: usize,
        reserved: u64,
    }

    #[async_trait]
    impl StoreAudit for Stored {
        async fn tickets(&self) -> Result<u64, StoreError> {
            Ok(self.numbers.len() as u64)
        }

        async fn numbers(
            &self,
            after: Option<&str>,
            limit: u32,
        ) -> Result<Vec<StoredNumber>, StoreError> {
            let indexed = &self.numbers[..self.numbers.len() - self.lost];
            let later = indexed.iter().filter(|stored| Some(stored.number.as_str()) > after);
            Ok(later.take(limit as usize).cloned().collect())
        }

        async fn reserved(&self, _year: u16) -> Result<u64, StoreError> {
            Ok(self.reserved)
        }

        async fn deviations(&self) -> Result<Vec<Deviation>, StoreError> {
            Ok(Vec::new())
        }

        async fn unaudited(&self) -> Result<u64, StoreError> {
            Ok(0)
        }

        async fn untold(&self) -> Result<u64, StoreError> {
            Ok(0)
        }
    }

    fn cipher() -> NumberCipher {
        NumberCipher::new(&NumberKey::from_hex(&"42".repeat(32)).unwrap())
    }

    fn stored(numbers: impl IntoIterator<Item = String>) -> Vec<StoredNumber> {
        let submitted_at: DateTime<Utc> = "2026-11-22T10:30:00Z".parse().unwrap();
        let mut numbers: Vec<_> =
            numbers.into_iter().map(|number| StoredNumber { number, submitted_at }).collect();
        numbers.sort_by(|a, b| a.number.cmp(&b.number));
        numbers
    }

    fn issued(counters: std::ops::Range<u64>) -> impl Iterator<Item = String> {
        counters.map(|counter| cipher().number(2026, counter).to_string())
    }

    async fn finding(numbers: Vec<StoredNumber>, page_size: u32) -> String {
        let store = Stored { numbers, lost: 0, reserved: 20 };
        check_paged(&store, &cipher(), page_size).await.unwrap().to_string()
    }

    #[tokio::test]
    async fn a_ticket_that_the_index_does_not_have_is_missed() {
        let store = Stored { numbers: stored(issued(0..10)), lost: 1, reserved: 20 };
        let finding = check_paged(&store, &cipher(), 4).await.unwrap().to_string();
        assert!(finding.starts_with("FAILED only 9 of 10 tickets are found by "), "{finding}");
    }

    #[test]
    fn another_key_than_the_one_of_the_numbers_is_told() {
        let finding = |kept: Option<&str>| check_key(kept, "00aa").to_string();
        assert!(finding(None).starts_with("ok     "));
        assert!(finding(Some("00aa")).starts_with("ok     "));
        let told = finding(Some("11bb"));
        assert!(told.starts_with("FAILED ") && told.contains("00aa") && told.contains("11bb"));
    }

    #[tokio::test]
    async fn numbers_that_were_given_out_hold_whatever_the_page() {
        for page_size in [2, 3, 10, 11, 100] {
            let finding = finding(stored(issued(0..10)), page_size).await;
            assert_eq!(finding, "ok     10 ticket numbers are unique and well formed");
        }
        assert!(finding(Vec::new(), 10).await.starts_with("ok     0 ticket numbers"));
    }

    #[tokio::test]
    async fn a_number_that_is_there_twice_is_found_wherever_the_page_ends() {
        let twice = cipher().number(2026, 4).to_string();
        let numbers = stored(issued(0..10).chain([twice.clone()]));
        for page_size in 2..13 {
            let finding = finding(numbers.clone(), page_size).await;
            let expected = format!("wrong: {twice:?} is there more than once");
            assert!(
                finding.starts_with("FAILED 1 of ") && finding.ends_with(&expected),
                "{finding}"
            );
        }
    }

    #[tokio::test]
    async fn each_fault_of_a_number_has_its_words() {
        let foreign = NumberCipher::new(&NumberKey::from_hex(&"43".repeat(32)).unwrap());
        let seven_digits = (1_000_000..2_000_000)
            .map(|counter| foreign.number(2026, counter))
            .find(|number| cipher().counter(number).is_none())
            .unwrap();
        for (number, fault) in [
            ("SUP-2026-12345".to_owned(), "is not well formed"),
            (String::new(), "is not well formed"),
            (cipher().number(2025, 3).to_string(), "is of another year than its ticket"),
            (seven_digits.to_string(), "was not made with this number key"),
            (cipher().number(2026, 20).to_string(), "was never given out under this number key"),
        ] {
            let finding = finding(stored([number.clone()]), 10).await;
            let expected = format!("FAILED 1 of 1 ticket numbers are wrong: {number:?} {fault}");
            assert_eq!(finding, expected);
        }
    }
}
