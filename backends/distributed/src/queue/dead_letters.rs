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
    Cause, failpoint,
    ports::{
        dead_letters::{
            Censor, DeadLetters, Filter, FoundLetter, HeldLetter, Interrupted, LetterId,
            ListedLetter, Listing, Overseer, See, Selection, TOGETHER_MAX, Verdict,
        },
        queue::{BuriedLetter, ConsumeError},
    },
};
use futures_util::{StreamExt, future::join_all};
use lapin::{Channel, Consumer, message::Delivery, options::BasicAckOptions};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Broker,
    connection::{CALL_DEADLINE, SharedConnection, answered, consume},
    letter,
    publisher::ConfirmingPublisher,
    topology,
};

/// Letters that one walk comes past at most: what a consumer can be told to hold.
const WALK_MAX: u32 = 65_535;

/// A letter that was counted and does not come by then is in somebody else's hands.
const QUIET: Duration = Duration::from_secs(2);

/// How long letters that go back may take to be there again. The next look depends on it.
const RETURN_DEADLINE: Duration = Duration::from_secs(2);
const RETURN_POLL: Duration = Duration::from_millis(10);

/// Letters on their way past an operator.
struct Walk {
    channel: Channel,
    letters: Option<Consumer>,
    /// To come.
    left: u32,
    /// Whether somebody else was under way when it began.
    has_company: bool,
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
        topology::declare(&channel).await?;
        let there = connection.depth(topology::DEAD_LETTERS).await?;
        let left = u32::try_from(there.messages).unwrap_or(u32::MAX).min(letters_max);
        let mut walk = Self { channel, letters: None, left, has_company: there.consumers > 0 };
        let prefetch = u16::try_from(left.min(held_max)).unwrap_or(u16::MAX);
        // To the broker none means that there is no bound.
        if prefetch > 0 {
            walk.letters = Some(consume(&walk.channel, topology::DEAD_LETTERS, prefetch).await?);
        }
        Ok(walk)
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
        Ok(Some(letter))
    }

    /// Chooses letters of a selection until there are `count` of them, or no more to come.
    async fn choose(
        &mut self,
        which: &Selection,
        count: usize,
        chosen: &mut Chosen,
    ) -> Result<(), Cause> {
        while chosen.held.len() < count
            && let Some(delivery) = self.next().await?
        {
            let letter = letter::exhume(&delivery);
            let id = letter::id(&letter, &delivery);
            if which.contains(&id, &letter.code, letter.first_seen_at) {
                chosen.held.push(HeldLetter { id, letter });
                chosen.deliveries.push(delivery);
            }
        }
        Ok(())
    }

    /// Handles letters of a selection, as many at a time as the overseer admits, until there are no
    /// more to come or none is admitted.
    async fn go(
        &mut self,
        which: &Selection,
        act: Act<'_>,
        overseer: &dyn Overseer,
        handled: &mut Vec<LetterId>,
    ) -> Result<(), Cause> {
        loop {
            // One first: with none left there is nothing to wait for.
            let mut chosen = Chosen::default();
            self.choose(which, 1, &mut chosen).await?;
            if chosen.held.is_empty() {
                return Ok(());
            }
            let Some(count_max) = overseer.admit().await else { return Ok(()) };
            self.choose(which, count_max.clamp(1, TOGETHER_MAX), &mut chosen).await?;
            overseer.foresee(&chosen.held).await?;
            let prepared = act.prepare(&chosen.deliveries).await;
            failpoint!("letters.before_acknowledge");
            self.take_out(chosen, prepared, overseer, handled).await?;
        }
    }

    /// Acknowledges those that may be, and says why others may not.
    async fn take_out(
        &self,
        Chosen { held, deliveries }: Chosen,
        prepared: Vec<Result<(), Cause>>,
        overseer: &dyn Overseer,
        handled: &mut Vec<LetterId>,
    ) -> Result<(), Cause> {
        let mut outcome = Ok(());
        for ((letter, delivery), fit) in held.into_iter().zip(deliveries).zip(prepared) {
            match fit {
                Ok(()) => {
                    self.acknowledge(&delivery).await?;
                    handled.push(letter.id);
                    // One by one: whoever is impatient may give this up in between.
                    overseer.handled(1);
                }
                Err(cause) => outcome = Err(cause),
            }
        }
        outcome
    }

    async fn acknowledge(&self, letter: &Delivery) -> Result<(), Cause> {
        let options = BasicAckOptions { multiple: false };
        answered(self.channel.basic_ack(letter.delivery_tag, options)).await
    }

    /// Gives back what it holds, and waits until nobody holds any letter: before the broker has
    /// noticed, it counts nothing of what was held, and what was acknowledged too late is still to
    /// come back. It waits no longer than that takes, since another operator may be looking.
    async fn end(self, connection: &SharedConnection) -> Result<(), Cause> {
        answered(self.channel.close(200, "looked".into())).await?;
        let until = Instant::now() + RETURN_DEADLINE;
        while connection.depth(topology::DEAD_LETTERS).await?.consumers > 0
            && Instant::now() < until
        {
            sleep(RETURN_POLL).await;
        }
        Ok(())
    }
}

/// Letters that are to be handled: what they are, and as they were delivered.
#[derive(Default)]
struct Chosen {
    held: Vec<HeldLetter>,
    deliveries: Vec<Delivery>,
}

/// What becomes of letters.
#[derive(Clone, Copy)]
enum Act<'a> {
    Requeue(&'a ConfirmingPublisher),
    Redact(&'a ConfirmingPublisher, &'a dyn Censor),
    Discard,
}

impl Act<'_> {
    /// Does what comes before a letter may be acknowledged; says for each whether it may.
    async fn prepare(self, chosen: &[Delivery]) -> Vec<Result<(), Cause>> {
        join_all(chosen.iter().map(|letter| self.prepare_one(letter))).await
    }

    async fn prepare_one(self, letter: &Delivery) -> Result<(), Cause> {
        let (publisher, message) = match self {
            Self::Discard => return Ok(()),
            Self::Requeue(publisher) => (publisher, letter::readdress(letter)),
            Self::Redact(publisher, censor) => match censor.judge(&letter::exhume(letter)) {
                Verdict::Discard => return Ok(()),
                Verdict::Replace(body) => (publisher, letter::rebury(letter, body)),
                Verdict::Keep => return Err("a letter is not what it was".into()),
            },
        };
        publisher.publish(message).await.map_err(Cause::from)
    }
}

/// Oversees what was overseen before, and only has to go.
struct Repeated;

#[async_trait]
impl Overseer for Repeated {
    async fn admit(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    async fn foresee(&self, _letters: &[HeldLetter]) -> Result<(), Cause> {
        Ok(())
    }

    fn handled(&self, _letters: usize) {}
}

impl Broker {
    /// Looks at up to `limit` letters, the oldest first, keeping of each what `see` makes of it.
    pub(super) async fn look<T>(
        &self,
        limit: u32,
        see: impl Fn(&Delivery) -> T + Send,
    ) -> Result<Vec<T>, Cause> {
        Ok(self.look_beside(limit, see).await?.0)
    }

    /// The same, and whether somebody else had letters in hand then.
    async fn look_beside<T>(
        &self,
        limit: u32,
        see: impl Fn(&Delivery) -> T + Send,
    ) -> Result<(Vec<T>, bool), Cause> {
        let mut walk = Walk::begin(&self.inspection, WALK_MAX, WALK_MAX).await?;
        let mut seen = Vec::new();
        while let Some(letter) = walk.next().await? {
            if seen.len() < limit as usize {
                seen.push(see(&letter));
            }
        }
        let has_company = walk.has_company;
        walk.end(&self.inspection).await?;
        Ok((seen, has_company))
    }

    async fn search(&self, id: &LetterId) -> Result<Option<FoundLetter>, Cause> {
        let mut walk = Walk::begin(&self.inspection, WALK_MAX, WALK_MAX).await?;
        let mut found = None;
        while let Some(delivery) = walk.next().await? {
            let letter = letter::exhume(&delivery);
            if found.is_none() && letter::id(&letter, &delivery) == *id {
                let properties = letter::properties(&delivery);
                found = Some(FoundLetter { id: id.clone(), letter, properties });
            }
        }
        walk.end(&self.inspection).await?;
        Ok(found)
    }

    async fn handle(
        &self,
        which: &Selection,
        act: Act<'_>,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        let mut handled = Vec::new();
        let done = self.go_through(which, act, overseer, &mut handled).await;
        Interrupted::unless(done, handled)
    }

    async fn go_through(
        &self,
        which: &Selection,
        act: Act<'_>,
        overseer: &dyn Overseer,
        handled: &mut Vec<LetterId>,
    ) -> Result<(), Cause> {
        let walk = match which {
            // Acknowledged as they come, so there is no need to hold many.
            Selection::All => {
                let held_max = 4 * u32::try_from(TOGETHER_MAX).unwrap_or(u32::MAX);
                Walk::begin(&self.inspection, u32::MAX, held_max).await?
            }
            Selection::These(_) | Selection::Like(_) => {
                Walk::begin(&self.inspection, WALK_MAX, WALK_MAX).await?
            }
        };
        let done = self.pass(walk, which, act, overseer, handled).await;
        done.and(self.see_off(handled).await)
    }

    /// Acknowledgements that were under way when a channel closed are lost, and what they were for
    /// comes back. It is handled; it only has to go.
    async fn see_off(&self, handled: &[LetterId]) -> Result<(), Cause> {
        let mut back: BTreeSet<_> = handled.iter().cloned().collect();
        while !back.is_empty() {
            let walk = Walk::begin(&self.inspection, WALK_MAX, WALK_MAX).await?;
            let (these, mut gone) = (Selection::These(back), Vec::new());
            self.pass(walk, &these, Act::Discard, &Repeated, &mut gone).await?;
            back = gone.into_iter().collect();
        }
        Ok(())
    }

    /// Walks once.
    async fn pass(
        &self,
        mut walk: Walk,
        which: &Selection,
        act: Act<'_>,
        overseer: &dyn Overseer,
        handled: &mut Vec<LetterId>,
    ) -> Result<(), Cause> {
        let done = walk.go(which, act, overseer, handled).await;
        done.and(walk.end(&self.inspection).await)
    }
}

#[async_trait]
impl DeadLetters for Broker {
    async fn list(&self, filter: &Filter, limit: u32) -> Result<Listing, ConsumeError> {
        let listed = |delivery: &Delivery| {
            let letter = letter::exhume(delivery);
            let id = letter::id(&letter, delivery);
            let BuriedLetter { body, code, detail, first_seen_at, attempts } = letter;
            let body_bytes = body.len();
            ListedLetter { id, code, detail, first_seen_at, attempts, body_bytes }
        };
        let looked = self.look_beside(WALK_MAX, listed).await;
        let (all, are_some_held) = looked.map_err(ConsumeError)?;
        Ok(Listing { are_some_held, ..Listing::of(all, filter, limit) })
    }

    async fn find(&self, id: &LetterId) -> Result<Option<FoundLetter>, ConsumeError> {
        self.search(id).await.map_err(ConsumeError)
    }

    async fn requeue(
        &self,
        which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        let publisher = ConfirmingPublisher::start(self, "supportline operator", None);
        // Without it the first publish fails, and says why.
        let _ = timeout(CALL_DEADLINE, publisher.ready()).await;
        self.handle(which, Act::Requeue(&publisher), overseer).await
    }

    async fn discard(
        &self,
        which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        self.handle(which, Act::Discard, overseer).await
    }

    async fn read(&self, see: &See<'_>) -> Result<bool, ConsumeError> {
        let shown = |delivery: &Delivery| {
            let letter = letter::exhume(delivery);
            see(&HeldLetter { id: letter::id(&letter, delivery), letter });
        };
        let looked = self.look_beside(WALK_MAX, shown).await;
        looked.map(|(_, are_some_held)| are_some_held).map_err(ConsumeError)
    }

    async fn redact(
        &self,
        censor: &dyn Censor,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        // Two walks: one that only looks leaves all letters where they are, and most often it is all.
        let judged = |delivery: &Delivery| {
            let letter = letter::exhume(delivery);
            (censor.judge(&letter) != Verdict::Keep).then(|| letter::id(&letter, delivery))
        };
        let looked = self.look(WALK_MAX, judged).await;
        let concerned = looked.map_err(|cause| Interrupted { handled: 0, cause })?;
        let concerned: BTreeSet<_> = concerned.into_iter().flatten().collect();
        if concerned.is_empty() {
            return Ok(Vec::new());
        }
        let publisher = ConfirmingPublisher::start(self, "supportline operator", None);
        // Without it the first publish fails, and says why.
        let _ = timeout(CALL_DEADLINE, publisher.ready()).await;
        let (which, act) = (Selection::These(concerned), Act::Redact(&publisher, censor));
        self.handle(&which, act, overseer).await
    }
}
