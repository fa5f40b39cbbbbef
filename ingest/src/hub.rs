//! Who follows which ticket on this instance, and the one task that tells them of changes.
//!
//! The task listens to one feed for all subscribers together, so what a change costs depends on
//! who follows that ticket and not on how many follow others; nobody asks the store again and again.
//! It listens while there is a subscriber, and a little longer.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::{
    domain::{Event, SubmissionId},
    metrics::{OneMore, SUBSCRIBERS},
    ports::events::{Feed, FeedItem},
};
use futures_util::FutureExt;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

/// What an instance takes on.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Subscribers in all. Each holds one of the server's 10,000 connections: half of them stay free
    /// for those who submit and look up, whatever happens here.
    pub subscribers_max: usize,
    /// Subscribers to one ticket: a submitter's tabs and devices. Whoever has an id cannot take the
    /// places of all others with it.
    pub subscribers_per_ticket_max: usize,
}

impl Bounds {
    /// Those of a public edge.
    pub const fn public() -> Self {
        Self { subscribers_max: 5_000, subscribers_per_ticket_max: 20 }
    }
}

/// Changes kept for a subscriber that is slow to take them. A ticket changes a few times in its
/// life; whoever is further behind is told to read the store instead.
const CHANGES_MAX: usize = 8;

/// How long the feed stays open without a subscriber: opening one takes the broker some work, and
/// the next subscriber is often the last one's next page.
const LINGER: Duration = Duration::from_secs(30);

/// Before listening again after a panic.
const PAUSE: Duration = Duration::from_secs(1);

/// Why there is no place for another subscriber.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// The subscribers of this instance.
pub struct Hub {
    bounds: Bounds,
    table: Mutex<HashMap<SubmissionId, Vec<Arc<Mailbox>>>>,
    /// How many there are. Changes under the table's lock, so it never contradicts it.
    count: watch::Sender<usize>,
}

/// What a subscriber should know.
#[derive(Debug)]
pub enum News {
    /// Its ticket changed.
    Changed(Arc<Event>),
    /// Its ticket may have changed: the store knows.
    Gap,
}

/// What a subscriber has not taken yet.
#[derive(Default)]
struct Mailbox {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

#[derive(Default)]
struct Waiting {
    has_gap: bool,
    changes: VecDeque<Arc<Event>>,
}

impl Hub {
    /// Nobody yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, table: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// Takes a place. From here on no change of the ticket is missed: it is told, or a gap is.
    pub fn subscribe(self: &Arc<Self>, id: SubmissionId) -> Result<Seat, Full> {
        let mut table = lock(&self.table);
        let of_ticket = table.get(&id).map_or(0, Vec::len);
        if *self.count.borrow() >= self.bounds.subscribers_max
            || of_ticket >= self.bounds.subscribers_per_ticket_max
        {
            return Err(Full);
        }
        let mailbox = Arc::<Mailbox>::default();
        table.entry(id).or_default().push(Arc::clone(&mailbox));
        self.count.send_modify(|count| *count += 1);
        Ok(Seat { hub: Arc::clone(self), id, mailbox, _counted: SUBSCRIBERS.one_more() })
    }

    /// How many subscribers there are.
    #[cfg(test)]
    pub fn subscribers(&self) -> usize {
        *self.count.borrow()
    }

    /// Listens and tells, without end. A panic ends one feed and not the hub.
    pub async fn run(self: Arc<Self>, feed: Arc<dyn Feed>) {
        let mut count = self.count.subscribe();
        loop {
            // The sender is this hub's own, so it is there.
            let _ = count.wait_for(|count| *count > 0).await;
            let listening = AssertUnwindSafe(self.listen(&*feed, &mut count)).catch_unwind();
            if listening.await.is_err() {
                tracing::error!("listening for changes died; beginning again");
                sleep(PAUSE).await;
            }
        }
    }

    /// Listens until there is nobody to tell.
    async fn listen(&self, feed: &dyn Feed, count: &mut watch::Receiver<usize>) {
        let mut items = feed.subscribe();
        let mut deserted = pin!(deserted(count));
        loop {
            tokio::select! {
                item = items.next() => self.tell(item),
                () = &mut deserted => return,
            }
        }
    }

    /// Tells whom it concerns: of a change those who follow the ticket, of a gap everybody.
    fn tell(&self, item: FeedItem) {
        let table = lock(&self.table);
        match item {
            FeedItem::Changed(event) => {
                let Some(mailboxes) = table.get(&event.ticket_id) else { return };
                for mailbox in mailboxes {
                    mailbox.put(Arc::clone(&event));
                }
            }
            FeedItem::Gap => {
                for mailbox in table.values().flatten() {
                    mailbox.put_gap();
                }
            }
        }
    }

    fn leave(&self, id: SubmissionId, mailbox: &Arc<Mailbox>) {
        let mut table = lock(&self.table);
        if let Some(mailboxes) = table.get_mut(&id) {
            mailboxes.retain(|it| !Arc::ptr_eq(it, mailbox));
            if mailboxes.is_empty() {
                table.remove(&id);
            }
        }
        self.count.send_modify(|count| *count -= 1);
    }
}

/// Waits until nobody has followed anything for a while.
async fn deserted(count: &mut watch::Receiver<usize>) {
    loop {
        let _ = count.wait_for(|count| *count == 0).await;
        if timeout(LINGER, count.wait_for(|count| *count > 0)).await.is_err() {
            return;
        }
    }
}

impl Mailbox {
    fn put(&self, event: Arc<Event>) {
        let mut waiting = lock(&self.waiting);
        if waiting.changes.len() < CHANGES_MAX {
            waiting.changes.push_back(event);
        } else {
            waiting.give_up();
        }
        drop(waiting);
        self.bell.notify_one();
    }

    fn put_gap(&self) {
        lock(&self.waiting).give_up();
        self.bell.notify_one();
    }

    fn take(&self) -> Option<News> {
        let mut waiting = lock(&self.waiting);
        if mem::take(&mut waiting.has_gap) {
            return Some(News::Gap);
        }
        waiting.changes.pop_front().map(News::Changed)
    }
}

impl Waiting {
    /// The store knows all of it.
    fn give_up(&mut self) {
        self.has_gap = true;
        self.changes = VecDeque::new();
    }
}

/// A subscriber's place. Dropping it, as happens when the connection ends, frees it.
pub struct Seat {
    hub: Arc<Hub>,
    id: SubmissionId,
    mailbox: Arc<Mailbox>,
    _counted: OneMore,
}

impl Seat {
    /// The ticket it is to.
    pub const fn id(&self) -> SubmissionId {
        self.id
    }

    /// Waits for the next news. Dropping the future loses none.
    pub async fn news(&mut self) -> News {
        loop {
            if let Some(news) = self.mailbox.take() {
                return news;
            }
            self.mailbox.bell.notified().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.leave(self.id, &self.mailbox);
    }
}

/// No code that can panic runs under these locks, so what they hold is sound whatever happened.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio_util::task::AbortOnDropHandle;
    use uuid::Uuid;

    use super::*;
    use crate::doubles::feed::{ScriptedFeed, change};

    const BOUNDS: Bounds = Bounds { subscribers_max: 5, subscribers_per_ticket_max: 3 };

    fn id(number: u128) -> SubmissionId {
        Uuid::from_u128(number).into()
    }

    struct Bed {
        hub: Arc<Hub>,
        feed: Arc<ScriptedFeed>,
        _task: AbortOnDropHandle<()>,
    }

    fn bed() -> Bed {
        let (hub, feed) = (Arc::new(Hub::new(BOUNDS)), Arc::<ScriptedFeed>::default());
        let task = tokio::spawn(Arc::clone(&hub).run(feed.clone()));
        Bed { hub, feed, _task: AbortOnDropHandle::new(task) }
    }

    /// The version told of, or 0 for a gap; nothing if there is no news.
    async fn news(seat: &mut Seat) -> Option<u64> {
        let news = timeout(Duration::from_millis(1), seat.news()).await.ok()?;
        Some(match news {
            News::Changed(event) => event.version.into(),
            News::Gap => 0,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_to_those_who_follow_the_ticket_and_to_nobody_else() {
        let bed = bed();
        let mut first = bed.hub.subscribe(id(1)).unwrap();
        let mut second = bed.hub.subscribe(id(1)).unwrap();
        let mut other = bed.hub.subscribe(id(2)).unwrap();
        bed.feed.opened(1).await;
        bed.feed.tell(change(id(1), 1));
        bed.feed.tell(change(id(3), 1));
        bed.feed.tell(change(id(1), 2));
        for seat in [&mut first, &mut second] {
            assert_eq!(news(seat).await, Some(1));
            assert_eq!(news(seat).await, Some(2));
            assert_eq!(news(seat).await, None);
        }
        assert_eq!(news(&mut other).await, None);
        bed.feed.tell_gap();
        for seat in [&mut first, &mut second, &mut other] {
            assert_eq!(news(seat).await, Some(0));
            assert_eq!(news(seat).await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_slow_subscriber_does_not_take_becomes_one_gap() {
        let bed = bed();
        let mut slow = bed.hub.subscribe(id(1)).unwrap();
        bed.feed.opened(1).await;
        for version in 1..=1_000 {
            bed.feed.tell(change(id(1), version));
        }
        let last = bed.hub.subscribe(id(2)).unwrap();
        bed.feed.tell(change(id(2), 1));
        let mut last = last;
        assert_eq!(news(&mut last).await, Some(1), "all before it is told");
        assert!(lock(&slow.mailbox.waiting).changes.capacity() <= 2 * CHANGES_MAX);
        assert_eq!(news(&mut slow).await, Some(0));
        let mut rest = Vec::new();
        while let Some(version) = news(&mut slow).await {
            rest.push(version);
        }
        assert!(rest.len() <= CHANGES_MAX, "{rest:?}");
        bed.feed.tell(change(id(1), 1_001));
        assert_eq!(news(&mut slow).await, Some(1_001));
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_bounded_and_come_free_again() {
        let bed = bed();
        let mut places: Vec<_> = (0..3).map(|_| bed.hub.subscribe(id(1)).unwrap()).collect();
        assert_eq!(bed.hub.subscribe(id(1)).err(), Some(Full), "for one ticket");
        places.push(bed.hub.subscribe(id(2)).unwrap());
        places.push(bed.hub.subscribe(id(3)).unwrap());
        assert_eq!(bed.hub.subscribe(id(4)).err(), Some(Full), "in all");
        assert_eq!(bed.hub.subscribers(), 5);
        places.remove(0);
        drop(bed.hub.subscribe(id(4)).unwrap());
        drop(bed.hub.subscribe(id(1)).unwrap());
        drop(places);
        assert_eq!(bed.hub.subscribers(), 0);
        assert!(lock(&bed.hub.table).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_feed_is_open_while_there_are_subscribers_and_a_little_longer() {
        let bed = bed();
        sleep(LINGER).await;
        assert_eq!(bed.feed.subscriptions(), 0, "nobody listens for nobody");
        let first = bed.hub.subscribe(id(1)).unwrap();
        bed.feed.opened(1).await;
        drop(first);
        sleep(LINGER / 2).await;
        let second = bed.hub.subscribe(id(1)).unwrap();
        sleep(LINGER * 2).await;
        assert_eq!((bed.feed.subscriptions(), bed.feed.is_open()), (1, true));
        drop(second);
        // Changes of other tickets keep it open no longer.
        for _ in 0..100 {
            sleep(LINGER / 50).await;
            bed.feed.tell(change(id(9), 1));
        }
        assert!(!bed.feed.is_open());
        let _third = bed.hub.subscribe(id(1)).unwrap();
        bed.feed.opened(2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_feed_that_dies_is_opened_again() {
        let bed = bed();
        let mut seat = bed.hub.subscribe(id(1)).unwrap();
        bed.feed.opened(1).await;
        bed.feed.die();
        bed.feed.opened(2).await;
        bed.feed.tell(change(id(1), 1));
        assert_eq!(news(&mut seat).await, Some(1));
    }
}
