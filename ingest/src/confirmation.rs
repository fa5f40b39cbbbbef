//! The word on a submission that was offered: whether it is safe. Whoever waits for a ticket's number
//! anyway is not woken by a yes, which most words are, and which changes nothing for them.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

use crate::outlet::Durability;

/// What is to be told, and to whom.
#[derive(Default)]
struct Word {
    /// One more than the place in [`WORDS`]; zero while there is none.
    durability: AtomicU8,
    /// Whether a yes is waited for, too.
    wants_yes: AtomicBool,
    waker: AtomicWaker,
}

const WORDS: [Durability; 4] =
    [Durability::Durable, Durability::Spooled, Durability::Refused, Durability::Open];

/// Whoever will know. Dropped without a word, it leaves the matter open.
pub struct Confirm(Arc<Word>);

/// Whoever wants to know.
pub struct Confirmation(Arc<Word>);

/// Both ends of it.
pub fn confirmation() -> (Confirm, Confirmation) {
    let word = Arc::<Word>::default();
    (Confirm(Arc::clone(&word)), Confirmation(word))
}

impl Confirm {
    pub fn tell(self, durability: Durability) {
        self.0.tell(durability);
    }

    /// Whether nobody wants to know any more.
    pub fn is_closed(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Drop for Confirm {
    fn drop(&mut self) {
        self.0.tell(Durability::Open);
    }
}

impl Word {
    /// The first word stands.
    fn tell(&self, durability: Durability) {
        let place = WORDS.iter().position(|word| *word == durability).unwrap_or(WORDS.len() - 1);
        let word = u8::try_from(place + 1).unwrap_or(u8::MAX);
        let told = self.durability.compare_exchange(0, word, Ordering::SeqCst, Ordering::SeqCst);
        if told.is_ok()
            && (durability != Durability::Durable || self.wants_yes.load(Ordering::SeqCst))
        {
            self.waker.wake();
        }
    }

    fn told(&self) -> Option<Durability> {
        let word = usize::from(self.durability.load(Ordering::SeqCst));
        WORDS.get(word.checked_sub(1)?).copied()
    }

    fn poll(&self, context: &Context<'_>, is_wanted: fn(Durability) -> bool) -> Poll<Durability> {
        self.waker.register(context.waker());
        self.told().filter(|word| is_wanted(*word)).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Confirmation {
    /// The word, whatever it is. Dropping the future loses nothing.
    pub async fn durability(&mut self) -> Durability {
        self.0.wants_yes.store(true, Ordering::SeqCst);
        poll_fn(|context| self.0.poll(context, |_| true)).await
    }

    /// Any word but yes, for which alone this wakes nobody.
    pub async fn trouble(&mut self) -> Durability {
        poll_fn(|context| self.0.poll(context, |word| word != Durability::Durable)).await
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures_util::FutureExt;
    use tokio::time::{Duration, timeout};

    use super::*;

    #[tokio::test]
    async fn a_yes_wakes_only_those_who_wait_for_it() {
        let (confirm, mut confirmation) = confirmation();
        let patience = Duration::from_millis(50);
        thread::scope(|scope| {
            scope.spawn(|| confirm.tell(Durability::Durable)).join().unwrap();
        });
        assert!(timeout(patience, confirmation.trouble()).await.is_err());
        assert_eq!(confirmation.durability().await, Durability::Durable);
        assert_eq!(confirmation.durability().await, Durability::Durable);
    }

    #[tokio::test]
    async fn whatever_else_is_told_wakes_everybody() {
        for word in [Durability::Spooled, Durability::Refused, Durability::Open] {
            let (confirm, mut confirmation) = confirmation();
            let telling = tokio::spawn(async move { confirm.tell(word) });
            assert_eq!(confirmation.trouble().await, word);
            assert_eq!(confirmation.durability().await, word);
            telling.await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_leaves_without_a_word_leaves_it_open() {
        let (confirm, mut confirmation) = confirmation();
        assert!(!confirm.is_closed());
        assert_eq!(confirmation.durability().now_or_never(), None);
        drop(confirm);
        assert_eq!(confirmation.trouble().await, Durability::Open);
        let (confirm, confirmation) = super::confirmation();
        drop(confirmation);
        assert!(confirm.is_closed());
    }

    /// The word and the wish to hear it come at the same time, in whatever order.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_yes_that_is_waited_for_is_never_missed() {
        for _ in 0..2_000 {
            let (confirm, mut confirmation) = confirmation();
            let waiting = tokio::spawn(async move { confirmation.durability().await });
            let telling = tokio::spawn(async move { confirm.tell(Durability::Durable) });
            let word = timeout(Duration::from_secs(10), waiting).await.expect("it is heard");
            assert_eq!(word.unwrap(), Durability::Durable);
            telling.await.unwrap();
        }
    }
}
