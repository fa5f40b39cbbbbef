//! Whether every message is where it belongs.

use std::{collections::BTreeMap, time::Duration};

use common::{
    letters,
    ports::{audit::QueueAudit, queue::ConsumeError},
};
use tokio::time::{Instant, sleep};

use super::report::Finding;
use crate::terminal::thousands;

/// Dead letters whose reasons are counted: enough to see what they have in common.
const LOOKED_AT_MAX: u32 = 100;

/// How long to wait for letters in somebody's hands.
const HELD_MAX: Duration = Duration::from_secs(5);
const HELD_POLL: Duration = Duration::from_millis(50);

/// Whether nothing was given up.
pub async fn check_dead_letters(queue: &dyn QueueAudit) -> Result<Finding, ConsumeError> {
    let mut depths = queue.depths().await?;
    let begun = Instant::now();
    // An edge that looks for somebody's submission is done at once, an operator later.
    while depths.dead == 0 && depths.are_dead_held {
        if begun.elapsed() > HELD_MAX {
            return Err(ConsumeError("somebody goes through the dead letters".into()));
        }
        sleep(HELD_POLL).await;
        depths = queue.depths().await?;
    }
    let dead = depths.dead;
    if dead == 0 {
        return Ok(Finding::Holds("nothing is dead-lettered".to_owned()));
    }
    let mut codes: BTreeMap<String, u32> = BTreeMap::new();
    for letter in queue.dead_letters(LOOKED_AT_MAX).await? {
        // Whoever else puts a letter there may write anything.
        *codes.entry(letters::code(&letter.code)).or_default() += 1;
    }
    let looked_at: u32 = codes.values().sum();
    let codes: Vec<_> = codes.iter().map(|(code, count)| format!("{count} {code}")).collect();
    Ok(Finding::Fails(format!(
        "{} messages are dead letters; the first {looked_at}: {}",
        thousands(dead),
        codes.join(", ")
    )))
}

/// Whether every message found its queue.
pub async fn check_routing(queue: &dyn QueueAudit) -> Result<Finding, ConsumeError> {
    let unrouted = queue.depths().await?.unrouted;
    Ok(if unrouted == 0 {
        Finding::Holds("nothing is unrouted".to_owned())
    } else {
        Finding::Fails(format!("{} messages are unrouted", thousands(unrouted)))
    })
}

/// How many messages wait: no fault, but the tickets in them are in none of the other checks.
pub async fn depth(queue: &dyn QueueAudit) -> Result<Finding, ConsumeError> {
    let queued = queue.depths().await?.queued;
    Ok(Finding::Tells(format!(
        "{} messages wait in the queue, those with a worker not counted",
        thousands(queued)
    )))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use chrono::DateTime;
    use common::ports::{audit::Depths, queue::BuriedLetter};

    use super::*;

    /// With these codes; and whether somebody else holds them.
    struct Buried(Vec<&'static str>, bool);

    #[async_trait]
    impl QueueAudit for Buried {
        async fn depths(&self) -> Result<Depths, ConsumeError> {
            let dead = self.0.len() as u64;
            Ok(Depths { queued: 1_000, unrouted: 0, dead, are_dead_held: self.1 })
        }

        async fn dead_letters(&self, _limit: u32) -> Result<Vec<BuriedLetter>, ConsumeError> {
            let letter = |code: &&str| BuriedLetter {
                body: b"hello".as_slice().into(),
                code: (*code).to_owned(),
                detail: String::new(),
                first_seen_at: DateTime::UNIX_EPOCH,
                attempts: 1,
            };
            Ok(self.0.iter().map(letter).collect())
        }
    }

    #[tokio::test]
    async fn dead_letters_are_counted_by_reason() {
        let buried = Buried(vec!["unreadable", "conflict", "unreadable", "x\nok"], false);
        let finding = check_dead_letters(&buried).await.unwrap().to_string();
        assert_eq!(
            finding,
            "FAILED 4 messages are dead letters; the first 4: 1 *** (4 characters), 1 conflict, 2 \
             unreadable"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_said_of_letters_that_somebody_holds() {
        let finding = check_dead_letters(&Buried(Vec::new(), true)).await;
        assert!(finding.is_err(), "{finding:?}");
    }

    #[tokio::test]
    async fn an_empty_grave_holds_and_a_full_queue_is_no_fault() {
        let buried = Buried(Vec::new(), false);
        let holds = Finding::Holds("nothing is dead-lettered".into());
        assert_eq!(check_dead_letters(&buried).await.unwrap(), holds);
        assert_eq!(check_routing(&buried).await.unwrap().to_string(), "ok     nothing is unrouted");
        assert!(depth(&buried).await.unwrap().to_string().starts_with("info   1,000 messages"));
    }
}
