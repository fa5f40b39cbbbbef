//! Futures that are not left half done.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;
use tracing::Instrument;

/// What goes on as a task of its own when whoever waits for it leaves. While nobody leaves it costs no
/// task: those who wait drive it themselves.
pub struct Finishing<T>(Option<Unfinished<T>>)
where
    T: Send + 'static;

type Unfinished<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T: Send> Finishing<T> {
    /// Goes to its end once it was polled.
    pub fn of(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<T: Send> Future for Finishing<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Out of its place meanwhile: what panics is over.
        let Some(mut unfinished) = self.0.take() else { return Poll::Pending };
        let polled = unfinished.as_mut().poll(context);
        if polled.is_pending() {
            self.0 = Some(unfinished);
        }
        polled
    }
}

impl<T: Send> Drop for Finishing<T> {
    fn drop(&mut self) {
        // With the runtime everything ends.
        if let (Some(unfinished), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(unfinished.in_current_span());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::AssertUnwindSafe,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use futures_util::FutureExt;
    use tokio::{sync::Notify, task::yield_now};

    use super::*;

    #[tokio::test]
    async fn what_is_left_is_finished_all_the_same() {
        let (gate, done) = (Arc::new(Notify::new()), Arc::<AtomicUsize>::default());
        let finishing = {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            Finishing::of(async move {
                gate.notified().await;
                done.fetch_add(1, Ordering::Relaxed)
            })
        };
        assert_eq!(finishing.now_or_never(), None);
        assert_eq!(done.load(Ordering::Relaxed), 0);
        gate.notify_one();
        while done.load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_ends_or_panics_ends_once() {
        assert_eq!(Finishing::of(async { 7 }).await, 7);
        let polled = Arc::<AtomicUsize>::default();
        let counting = Arc::clone(&polled);
        let panicking = Finishing::of(async move {
            counting.fetch_add(1, Ordering::Relaxed);
            panic!("half-way")
        });
        let panicked: Result<(), _> = AssertUnwindSafe(panicking).catch_unwind().await;
        assert!(panicked.is_err());
        yield_now().await;
        assert_eq!(polled.load(Ordering::Relaxed), 1);
    }
}
