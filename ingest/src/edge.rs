//! What every handler leans on, and the tasks behind it.

use std::{io, sync::Arc, time::Duration};

use common::{
    clock::{Clock, Entropy},
    config::CorsOrigins,
    domain::SubmissionIds,
    metrics::Exposition,
    ports::{backend::EdgePorts, cases::Cases, claims::Claims, events::EventLog, queue::Publisher},
};
use tokio::{sync::Semaphore, task::JoinError};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    Settings,
    accounts::Accounts,
    auth::Access,
    batcher::{self, Intake},
    condition::Condition,
    guesses::Guesses,
    health::Health,
    history::History,
    hub::{Bounds, Hub},
    limits::Limits,
    loader::Loader,
    measure,
    naming::NamingKeys,
    outlet::Outlet,
    progress::CATCH_UPS_MAX,
    reconcile::Reconciler,
    request::Around,
    snapshot::Snapshots,
    spool::{self, Spool, drain::Drain},
    stats::Memo,
    waiting::{self, Waiting},
};

/// What a request may take beside its wait for a number. All other waits together, ten seconds for
/// a body among them, are shorter; what takes longer will not end.
pub const REQUEST_SPARE: Duration = Duration::from_secs(30);

/// At the end, the spool is drained within so long or left for the next start.
const DRAIN_WAIT: Duration = Duration::from_secs(2);

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
    pub outlet: Arc<Outlet>,
    pub waiting: Arc<Waiting>,
    pub tickets: Loader,
    pub cases: Arc<dyn Cases>,
    pub look_ups: Condition,
    pub snapshots: Snapshots,
    pub history: History,
    /// To questions about the statistics.
    pub answers: Memo,
    pub event_log: Arc<dyn EventLog>,
    pub access: Access,
    pub limits: Arc<Limits>,
    pub health: Arc<Health>,
    pub hub: Arc<Hub>,
    pub catch_ups: Semaphore,
    /// Cancelled when the role should end, and with it every answer that has no end of its own.
    pub stop: CancellationToken,
    pub accounts: Arc<Accounts>,
    pub reconciler: Arc<Reconciler>,
    pub cors_origins: CorsOrigins,
    pub request_wait: Duration,
    pub exposition: Exposition,
    /// The `OpenAPI` document.
    pub document: &'static str,
}

impl Edge {
    /// What stands around every route.
    pub fn around(&self) -> Around<'_> {
        let Self { clock, entropy, request_wait, .. } = self;
        Around { clock: &**clock, entropy: &**entropy, request_wait: *request_wait }
    }
}

/// The tasks behind the handlers. Dropping them ends them.
pub struct Background {
    drained: CancellationToken,
    batcher: AbortOnDropHandle<()>,
    receipts: AbortOnDropHandle<()>,
    monitor: AbortOnDropHandle<()>,
    spooling: Option<Spooling>,
    _hub: AbortOnDropHandle<()>,
    _reconciling: AbortOnDropHandle<()>,
}

/// The spool and the tasks behind it.
struct Spooling {
    spool: Arc<Spool>,
    writer: AbortOnDropHandle<()>,
    _drain: AbortOnDropHandle<()>,
}

impl Spooling {
    fn of(
        settings: &Settings,
        publisher: &Arc<dyn Publisher>,
        accounts: &Arc<Accounts>,
        clock: &Arc<dyn Clock>,
    ) -> Option<Self> {
        let (spool, writer) = spool::spool(settings.spool.as_ref()?, Arc::clone(clock));
        let drain = Drain::new(Arc::clone(&spool), Arc::clone(publisher), Arc::clone(accounts));
        Some(Self { spool, writer: spawn(writer.run()), _drain: spawn(drain.run()) })
    }

    /// Tries for a moment to leave nothing behind.
    async fn finish(self) {
        let submissions = self.spool.drained(DRAIN_WAIT).await;
        if submissions > 0 {
            tracing::warn!(submissions, "left in the spool for the next start");
        }
    }
}

/// Waits for the end of a task that there may be none of.
async fn ended(spooling: &mut Option<Spooling>) -> Result<(), JoinError> {
    match spooling {
        Some(spooling) => (&mut spooling.writer).await,
        None => std::future::pending().await,
    }
}

impl Background {
    /// Waits until one of them has ended, which none should while there are handlers. Without it
    /// nothing is accepted, or nobody is told how things stand; a restart mends that.
    pub async fn failed(&mut self) -> io::Error {
        let (task, end) = tokio::select! {
            end = &mut self.batcher => ("the batcher", end),
            end = &mut self.receipts => ("the task that hands out receipts", end),
            end = &mut self.monitor => ("the monitor of health", end),
            end = ended(&mut self.spooling) => ("the task that writes to the spool", end),
        };
        // Not the panic's own words: they may quote what somebody sent.
        let how = if end.is_ok() { "ended" } else { "died" };
        io::Error::other(format!("{task} {how}"))
    }

    /// Waits for what was offered to be settled, and a moment for the spool to be drained. To be
    /// called once no handler is left.
    pub async fn finish(self) -> io::Result<()> {
        self.drained.cancel();
        self.batcher.await.map_err(io::Error::other)?;
        if let Some(spooling) = self.spooling {
            spooling.finish().await;
        }
        Ok(())
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
    let access = access(&ports, &clock, &entropy, settings);
    let limits = limits(&ports, &entropy, settings);
    measure::begin();
    let (accounts, waiting) = (Arc::<Accounts>::default(), Arc::new(Waiting::default()));
    let spooling = Spooling::of(settings, &ports.publisher, &accounts, &clock);
    let spool = spooling.as_ref().map(|it| it.spool.clone());
    let outlet = Arc::new(Outlet::new(ports.publisher, spool));
    let (intake, batcher) = batcher::intake(Arc::clone(&outlet));
    let health = Arc::new(Health::new(settings.version, Arc::clone(&outlet), stop.clone()));
    let hub = Arc::new(Hub::new(Bounds::public()));
    let reconciler = Arc::new(Reconciler {
        accounts: Arc::clone(&accounts),
        ledger: ports.ledger,
        queue: ports.queue,
        clock: Arc::clone(&clock),
        window: settings.unaccounted_after,
    });
    let drained = CancellationToken::new();
    let receipts = waiting::hand_out(ports.receipts, Arc::clone(&waiting), Arc::clone(&accounts));
    let background = Background {
        batcher: spawn(batcher.run(drained.clone())),
        drained,
        receipts: spawn(receipts),
        monitor: spawn(Arc::clone(&health).monitor(ports.health)),
        spooling,
        _hub: spawn(Arc::clone(&hub).run(ports.feed)),
        _reconciling: spawn(Arc::clone(&reconciler).run()),
    };
    let edge = Edge {
        answers: Memo::default(),
        history: History::new(Arc::clone(&ports.statistics)),
        snapshots: Snapshots::new(ports.cache, ports.statistics, Arc::clone(&clock)),
        access,
        clock,
        entropy,
        ids: SubmissionIds::new(&settings.number_key),
        naming_keys: NamingKeys::new(&settings.number_key),
        claims: ports.claims,
        repeats: Condition::new("look-up of what is sent again"),
        reply_wait: settings.reply_wait,
        intake,
        outlet,
        waiting,
        tickets: Loader::start(ports.tickets),
        cases: ports.cases,
        event_log: ports.event_log,
        look_ups: Condition::new("ticket look-up"),
        limits: Arc::new(limits),
        health,
        hub,
        catch_ups: Semaphore::new(CATCH_UPS_MAX),
        stop,
        accounts,
        reconciler,
        cors_origins: settings.cors_origins.clone(),
        request_wait: settings.reply_wait + REQUEST_SPARE,
        exposition: Arc::clone(&settings.exposition),
        document: settings.document,
    };
    (Arc::new(edge), background)
}

fn limits(ports: &EdgePorts, entropy: &Arc<dyn Entropy>, settings: &Settings) -> Limits {
    let (limiter, entropy) = (Arc::clone(&ports.limiter), Arc::clone(entropy));
    Limits::new(limiter, entropy, &settings.limits, &settings.number_key)
}

fn access(
    ports: &EdgePorts,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    settings: &Settings,
) -> Access {
    let (limiter, entropy) = (Arc::clone(&ports.limiter), Arc::clone(entropy));
    let guesses = Guesses::new(limiter, entropy, &settings.limits, &settings.number_key);
    let (admin, tokens) = (settings.admin_token.as_ref(), Arc::clone(&ports.tokens));
    Access::new(admin, tokens, Arc::clone(clock), guesses)
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
        Background {
            drained,
            batcher: task(),
            receipts: task(),
            monitor: task(),
            spooling: None,
            _hub: task(),
            _reconciling: task(),
        }
    }

    #[tokio::test]
    async fn a_task_that_dies_is_noticed_at_once() {
        let dies = || spawn(async { panic!("personal") });
        for (mut background, expected) in [
            (Background { batcher: dies(), ..background() }, "the batcher died"),
            (
                Background { receipts: dies(), ..background() },
                "the task that hands out receipts died",
            ),
            (Background { monitor: dies(), ..background() }, "the monitor of health died"),
        ] {
            assert_eq!(background.failed().await.to_string(), expected);
        }
    }
}
