//! Erases tickets that nobody has touched for longer than an installation keeps them: one worker at a
//! time, a few tickets in a transaction, with all the time in the world.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use common::{
    chain,
    clock::{Clock, Entropy},
    ports::{
        people::{ERASED_TOGETHER, Erasure, People, SeenTicket},
        store::StoreError,
    },
    trace::Trace,
};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often a worker asks whether it is its turn.
const ASKING_INTERVAL: Duration = Duration::from_mins(1);

/// Nobody looks again for so long: a look reads all tickets there are.
const TURN: Duration = Duration::from_hours(1);

/// Tickets found in one look.
const FOUND_MAX: u32 = 10_000;

/// Between two transactions: whoever makes tickets comes first.
const PAUSE: Duration = Duration::from_millis(50);

/// Who erases, as the trail has it.
const ACTOR: &str = "retention";

/// One a worker; of all, one at a time works.
pub(crate) struct Retention {
    people: Arc<dyn People>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    kept: Duration,
}

impl Retention {
    pub(crate) fn new(
        people: Arc<dyn People>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        kept: Duration,
    ) -> Self {
        Self { people, clock, entropy, kept }
    }

    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(ASKING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let looking = async {
                ticks.tick().await;
                self.look().await
            };
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = looking => looked,
            };
            match looked {
                Ok(0) => {}
                Ok(tickets) => info!(tickets, "erased what is older than it may be"),
                Err(error) => warn!(error = chain(&error), "what is too old stays for now"),
            }
        }
    }

    /// One look, if it is this worker's turn. Says how many it has erased.
    async fn look(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        if !self.people.take_turn(now, now + TURN).await? {
            return Ok(0);
        }
        let mut erased = 0;
        loop {
            let found = self.people.untouched(now - self.kept, FOUND_MAX).await?;
            for tickets in found.chunks(ERASED_TOGETHER) {
                erased += self.erase(tickets, now).await?;
                sleep(PAUSE).await;
            }
            if found.len() < FOUND_MAX as usize {
                return Ok(erased);
            }
        }
    }

    /// Whoever touches one in between keeps it.
    async fn erase(&self, tickets: &[SeenTicket], at: DateTime<Utc>) -> Result<usize, StoreError> {
        let trace = Trace::of_request(None, None, &*self.entropy);
        let erasure = Erasure { at, actor: ACTOR.to_owned(), address: None, trace };
        Ok(self.people.erase(tickets, &erasure).await?.len())
    }
}
