//! Dead letters in an operator's hands.
//!
//! A queue knows no letter by name, so whoever looks for one comes past those before it. A *walk*
//! takes letters without acknowledging them; what it has not acknowledged when its channel closes
//! goes back at once and in order, since it was all given to one consumer. It goes behind whatever
//! was given back before and waits again, so a walk that only looks goes to the end: then there is
//! nothing that it could get behind.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use common::{
    Cause,
    ports::{
        dead_letters::{DeadLetters, FoundLetter, Interrupted, LetterId, ListedLetter, Selection},
        queue::{BuriedLetter, ConsumeError},
    },
};
use futures_util::{StreamExt, future::join_all};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Broker,
    connection::{CALL_DEADLINE, SharedConnection},
    letter,
    publisher::ConfirmingPublisher,
    topology,
};

/// Letters that one walk comes past at most: what a consumer can be told to hold.
const WALK_MAX: u32 = 65_535;

/// Letters published, and then acknowledged, together.
const TOGETHER_MAX: usize = 64;

/// A letter that was counted and does not come by then is in somebody else's hands.
const QUIET: Duration = Duration::from_secs(2);

/// How long letters that go back may take to be there again. Only the next look depends on it.
const RETURN_DEADLINE: Duration = Duration::from_secs(2);
const RETURN_POLL: Duration = Duration::from_millis(10);

/// Letters on their way past an operator.
struct Walk {
    channel: Channel,
    letters: Option<Consumer>,
    /// To come.
    left: u32,
    /// Neither acknowledged nor given back.
    held: u32,
}

impl Walk {
    /// Begins with the oldest letter and ends with the one that is the last now, or the
    /// `letters_max`th. At most `held_max` are held at a time: those beyond come once others are
    /// acknowledged.
    async fn begin(
        connection: &SharedConnection,
        letters_max: u32,
        held_max: u32,
    ) -> Result<Self, Cause> {
        let channel = connection.channel().await?;
        timeout(CALL_DEADLINE, topology::declare(&channel)).await??;
        let there = connection.depth(topology::DEAD_LETTERS).await?.messages;
        let left = u32::try_from(there).unwrap_or(u32::MAX).min(letters_max);
        let mut walk = Self { channel, letters: None, left, held: 0 };
        let prefetch = u16::try_from(left.min(held_max)).unwrap_or(u16::MAX);
        // To the broker none means that there is no bound.
        if prefetch > 0 {
            walk.letters = Some(timeout(CALL_DEADLINE, walk.consume(prefetch)).await??);
        }
        Ok(walk)
    }

    async fn consume(&self, prefetch: u16) -> lapin::Result<Consumer> {
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let queue = topology::DEAD_LETTERS.into();
        self.channel.basic_consume(queue, "".into(), options, FieldTable::default()).await
    }

    /// The next letter.
    async fn next(&mut self) -> Result<Option<Delivery>, Cause> {
        let Some(letters) = self.letters.as_mut().filter(|_| self.left > 0) else {
            return Ok(None);
        };
        let Ok(letter) = timeout(QUIET, letters.next()).await else {
            self.left = 0;
            return Ok(None);
        };
        let letter = letter.ok_or("the broker ended the consumer")??;
        self.left -= 1;
        self.held += 1;
        Ok(Some(letter))
    }

    /// The next few letters of a selection.
    async fn next_of(&mut self, which: &Selection) -> Result<Vec<(LetterId, Delivery)>, Cause> {
        let mut chosen = Vec::new();
        while chosen.len() < TOGETHER_MAX
            && let Some(letter) = self.next().await?
        {
            let id = letter::id(&letter);
            if which.contains(&id) {
                chosen.push((id, letter));
            }
        }
        Ok(chosen)
    }

    async fn acknowledge(&mut self, letter: &Delivery) -> Result<(), Cause> {
        let options = BasicAckOptions { multiple: false };
        let acknowledged = self.channel.basic_ack(letter.delivery_tag, options);
        timeout(CALL_DEADLINE, acknowledged).await??;
        self.held -= 1;
        Ok(())
    }

    /// Gives back what is held, and waits until it is there.
    async fn end(self, connection: &SharedConnection) -> Result<(), Cause> {
        timeout(CALL_DEADLINE, self.channel.close(200, "looked".into())).await??;
        let until = Instant::now() + RETURN_DEADLINE;
        while connection.depth(topology::DEAD_LETTERS).await?.messages < self.held.into()
            && Instant::now() < until
        {
            sleep(RETURN_POLL).await;
        }
        Ok(())
    }
}

/// What becomes of letters.
#[derive(Clone, Copy)]
enum Act<'a> {
    Requeue(&'a ConfirmingPublisher),
    Discard,
}

impl Act<'_> {
    /// Does what comes before a letter may be acknowledged; says for each whether it may.
    async fn prepare(self, chosen: &[(LetterId, Delivery)]) -> Vec<Result<(), Cause>> {
        let Self::Requeue(publisher) = self else { return chosen.iter().map(|_| Ok(())).collect() };
        let confirmed = chosen.iter().map(async |(_, letter)| {
            publisher.publish(letter::readdress(letter)).await.map_err(Cause::from)
        });
        join_all(confirmed).await
    }
}

impl Broker {
    /// Looks at up to `limit` letters, the oldest first, keeping of each what `see` makes of it.
    pub(super) async fn look<T>(
        &self,
        limit: u32,
        see: impl Fn(&Delivery) -> T + Send,
    ) -> Result<Vec<T>, Cause> {
        let mut walk = Walk::begin(&self.inspection, WALK_MAX, WALK_MAX).await?;
        let mut seen = Vec::new();
        while let Some(letter) = walk.next().await? {
            if seen.len() < limit as usize {
                seen.push(see(&letter));
            }
        }
        walk.end(&self.inspection).await?;
        Ok(seen)
    }

    async fn search(&self, id: &LetterId) -> Result<Option<FoundLetter>, Cause> {
        let mut walk = Walk::begin(&self.inspection, WALK_MAX, WALK_MAX).await?;
        let mut found = None;
        while let Some(letter) = walk.next().await? {
            if found.is_none() && letter::id(&letter) == *id {
                found = Some(FoundLetter {
                    id: id.clone(),
                    letter: letter::exhume(&letter),
                    properties: letter::properties(&letter),
                });
            }
        }
        walk.end(&self.inspection).await?;
        Ok(found)
    }

    async fn handle(
        &self,
        which: &Selection,
        act: Act<'_>,
        handled: &mut Vec<LetterId>,
    ) -> Result<(), Cause> {
        match which {
            // Acknowledged as they come, so there is no need to hold many.
            Selection::All => {
                let held_max = 4 * u32::try_from(TOGETHER_MAX).unwrap_or(u32::MAX);
                self.pass(which, act, u32::MAX, held_max, handled).await
            }
            Selection::These(_) => self.pass(which, act, WALK_MAX, WALK_MAX, handled).await,
        }?;
        // Acknowledgements that were under way when a channel closed are lost, and what they were
        // for is back. It is handled; it only has to go.
        let mut back: BTreeSet<_> = handled.iter().cloned().collect();
        while !back.is_empty() {
            let mut gone = Vec::new();
            let these = Selection::These(back);
            self.pass(&these, Act::Discard, WALK_MAX, WALK_MAX, &mut gone).await?;
            back = gone.into_iter().collect();
        }
        Ok(())
    }

    /// Walks once.
    async fn pass(
        &self,
        which: &Selection,
        act: Act<'_>,
        letters_max: u32,
        held_max: u32,
        handled: &mut Vec<LetterId>,
    ) -> Result<(), Cause> {
        let mut walk = Walk::begin(&self.inspection, letters_max, held_max).await?;
        loop {
            let chosen = walk.next_of(which).await?;
            if chosen.is_empty() {
                return walk.end(&self.inspection).await;
            }
            let prepared = act.prepare(&chosen).await;
            let mut outcome = Ok(());
            for ((id, letter), fit) in chosen.into_iter().zip(prepared) {
                match fit {
                    Ok(()) => {
                        walk.acknowledge(&letter).await?;
                        handled.push(id);
                    }
                    Err(cause) => outcome = Err(cause),
                }
            }
            if outcome.is_err() {
                walk.end(&self.inspection).await?;
                return outcome;
            }
        }
    }
}

#[async_trait]
impl DeadLetters for Broker {
    async fn list(&self, limit: u32) -> Result<Vec<ListedLetter>, ConsumeError> {
        let listed = |delivery: &Delivery| {
            let BuriedLetter { body, code, detail, first_seen_at, attempts } =
                letter::exhume(delivery);
            let (id, body_bytes) = (letter::id(delivery), body.len());
            ListedLetter { id, code, detail, first_seen_at, attempts, body_bytes }
        };
        self.look(limit, listed).await.map_err(ConsumeError)
    }

    async fn find(&self, id: &LetterId) -> Result<Option<FoundLetter>, ConsumeError> {
        self.search(id).await.map_err(ConsumeError)
    }

    async fn requeue(&self, which: &Selection) -> Result<Vec<LetterId>, Interrupted> {
        let publisher = ConfirmingPublisher::start(self, "supportline operator", None);
        // Without it the first publish fails, and says why.
        let _ = timeout(CALL_DEADLINE, publisher.ready()).await;
        let mut handled = Vec::new();
        let done = self.handle(which, Act::Requeue(&publisher), &mut handled).await;
        done.map_err(|cause| Interrupted { handled: handled.len(), cause })?;
        Ok(handled)
    }

    async fn discard(&self, which: &Selection) -> Result<Vec<LetterId>, Interrupted> {
        let mut handled = Vec::new();
        let done = self.handle(which, Act::Discard, &mut handled).await;
        done.map_err(|cause| Interrupted { handled: handled.len(), cause })?;
        Ok(handled)
    }
}
