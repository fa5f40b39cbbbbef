//! Which lane of a worker consumes which of several intake queues.
//!
//! Each lane consumes one: a queue that answers nobody then holds up the lane that tries it, and no
//! other, and what that lane has read of the others is not given back again and again. A worker has
//! more lanes than there are queues, so none is left out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The queues, and how many lanes have each.
pub(super) struct Rota(Arc<Mutex<Vec<Entry>>>);

struct Entry {
    queue: String,
    lanes: usize,
}

impl Rota {
    /// Nobody consumes any of them yet.
    pub(super) fn of(queues: impl Iterator<Item = String>) -> Self {
        Self(Arc::new(Mutex::new(queues.map(|queue| Entry { queue, lanes: 0 }).collect())))
    }

    /// The queue that fewest lanes have is the caller's, until the turn is dropped.
    pub(super) fn take(&self) -> Turn {
        let mut entries = lock(&self.0);
        let fewest = entries.iter().enumerate().min_by_key(|(_, entry)| entry.lanes);
        let index = fewest.map_or(0, |(index, _)| index);
        let entry = &mut entries[index];
        entry.lanes += 1;
        Turn { entries: Arc::clone(&self.0), index, queue: entry.queue.clone() }
    }
}

/// A lane's claim on a queue.
pub(super) struct Turn {
    entries: Arc<Mutex<Vec<Entry>>>,
    index: usize,
    queue: String,
}

impl Turn {
    /// The queue.
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.entries)[self.index].lanes -= 1;
    }
}

/// Nothing panics under the lock.
fn lock(entries: &Mutex<Vec<Entry>>) -> MutexGuard<'_, Vec<Entry>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_queue_is_left_out_and_a_lane_that_comes_back_fills_the_gap() {
        let rota = Rota::of(["a", "b", "c"].into_iter().map(str::to_owned));
        let mut turns: Vec<_> = (0..4).map(|_| rota.take()).collect();
        let queues: Vec<_> = turns.iter().map(Turn::queue).collect();
        assert_eq!(queues, ["a", "b", "c", "a"]);
        turns.remove(1);
        for _ in 0..3 {
            // Not even if it fails to open again and again.
            assert_eq!(rota.take().queue(), "b");
        }
    }
}
