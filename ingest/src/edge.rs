//! What every handler leans on, and the tasks behind it.

use std::{io, sync::Arc, time::Duration};

use common::{
    clock::{Clock, Entropy},
    config::CorsOrigins,
    domain::SubmissionIds,
    metrics::Exposition,
    ports::{backend::EdgePorts, claims::Claims, events::EventLog, store::TicketReader},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    Settings,
    auth::Access,
    batcher::{self, Intake},
    condition::Condition,
    health::Health,
    hub::{Bounds, Hub},
    limits::Limits,
    measure,
    naming::NamingKeys,
    progress::CATCH_UPS_MAX,
    snapshot::Snapshots,
    unaccounted::Unaccounted,
    waiting::{self, Waiting},
};

/// What a request may take beside its wait for a number. All other waits together, ten seconds for
/// a body among them, are shorter; what takes longer will not end.
pub const REQUEST_SPARE: Duration = Duration::from_secs(30);

/// The state of the role, shared by all requests.
pub struct Edge {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub ids: SubmissionIds,
    pub naming_keys: NamingKeys,
    pub claims: Arc<dyn Claims>,
    pub repeats: Condition,
    pub reply_wait: Duration,
    pub intake: Intake,
    pub waiting: Arc<Waiting>,
    pub tickets: Arc<dyn TicketReader>,
    pub look_ups: Condition,
    pub snapshots: Snapshots,
    pub event_log: Arc<dyn EventLog>,
    pub access: Access,
    pub limits: Arc<Limits>,
    pub health: Arc<Health>,
    pub hub: Arc<Hub>,
    pub catch_ups: Semaphore,
    /// Cancelled when the role should end, and with it every answer that has no end of its own.
    pub stop: CancellationToken,
    pub unaccounted: Arc<Unaccounted>,
    pub cors_origins: CorsOrigins,
    pub request_wait: Duration,
    pub exposition: Exposition,
}

/// The tasks behind the handlers. Dropping them ends them.
pub struct Background {
    drained: CancellationToken,
    batcher: AbortOnDropHandle<()>,
    receipts: AbortOnDropHandle<()>,
    _monitor: AbortOnDropHandle<()>,
    _hub: AbortOnDropHandle<()>,
}

impl Background {
    /// Waits until a task without which nothing can be accepted has ended, which none should while
    /// there are handlers.
    pub async fn failed(&mut self) -> io::Error {
        let (task, end) = tokio::select! {
            end = &mut self.batcher => ("the batcher", end),
            end = &mut self.receipts => ("the task that hands out receipts", end),
        };
        // Not the panic's own words: they may quote what somebody sent.
        let how = if end.is_ok() { "ended" } else { "died" };
        io::Error::other(format!("{task} {how}"))
    }

    /// Waits for what was offered to be settled. To be called once no handler is left.
    pub async fn finish(self) -> io::Result<()> {
        self.drained.cancel();
        self.batcher.await.map_err(io::Error::other)
    }
}

/// Composes the state and starts the tasks.
pub fn start(
    ports: EdgePorts,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: &Settings,
    stop: CancellationToken,
) -> (Arc<Edge>, Background) {
    let (intake, batcher) = batcher::intake(Arc::clone(&ports.publisher));
    measure::begin();
    let waiting = Arc::new(Waiting::default());
    let health = Arc::new(Health::new(settings.version, ports.publisher, stop.clone()));
    let hub = Arc::new(Hub::new(Bounds::public()));
    let unaccounted = Arc::<Unaccounted>::default();
    let drained = CancellationToken::new();
    let background = Background {
        batcher: spawn(batcher.run(drained.clone())),
        drained,
        receipts: spawn(waiting::hand_out(
            ports.receipts,
            Arc::clone(&waiting),
            Arc::clone(&unaccounted),
        )),
        _monitor: spawn(Arc::clone(&health).monitor(ports.health)),
        _hub: spawn(Arc::clone(&hub).run(ports.feed)),
    };
    let limits =
        Limits::new(ports.limiter, Arc::clone(&entropy), &settings.limits, &settings.number_key);
    let edge = Edge {
        snapshots: Snapshots::new(ports.cache, ports.statistics, Arc::clone(&clock)),
        clock,
        entropy,
        ids: SubmissionIds::new(&settings.number_key),
        naming_keys: NamingKeys::new(&settings.number_key),
        claims: ports.claims,
        repeats: Condition::new("look-up of what is sent again"),
        reply_wait: settings.reply_wait,
        intake,
        waiting,
        tickets: ports.tickets,
        event_log: ports.event_log,
        look_ups: Condition::new("ticket look-up"),
        access: Access::new(settings.admin_token.as_ref(), ports.tokens),
        limits: Arc::new(limits),
        health,
        hub,
        catch_ups: Semaphore::new(CATCH_UPS_MAX),
        stop,
        unaccounted,
        cors_origins: settings.cors_origins.clone(),
        request_wait: settings.reply_wait + REQUEST_SPARE,
        exposition: Arc::clone(&settings.exposition),
    };
    (Arc::new(edge), background)
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn background() -> Background {
        let task = || spawn(std::future::pending());
        let drained = CancellationToken::new();
        Background { drained, batcher: task(), receipts: task(), _monitor: task(), _hub: task() }
    }

    #[tokio::test]
    async fn a_task_that_dies_is_noticed_at_once() {
        let dies = || spawn(async { panic!("personal") });
        let batcher = Background { batcher: dies(), ..background() }.failed().await;
        assert_eq!(batcher.to_string(), "the batcher died");
        let receipts = Background { receipts: dies(), ..background() }.failed().await;
        assert_eq!(receipts.to_string(), "the task that hands out receipts died");
    }
}
