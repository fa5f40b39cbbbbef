//! A backend as a whole: where the roles get their ports from.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{
    actions::ActionLog,
    audit::{OutboxAudit, QueueAudit, StoreAudit},
    cases::Cases,
    claims::Claims,
    dead_letters::DeadLetters,
    events::{EventLog, EventPublisher, Feed, Outbox},
    exports::Exports,
    health::HealthProbe,
    ledger::Ledger,
    limits::Limiter,
    people::People,
    queue::{ConsumerSource, Publisher, Receipt},
    records::{Records, SealSetter},
    search::{SearchWriter, TicketIndex},
    statistics::{StatisticsCache, StatisticsReader},
    store::{StoreError, TicketReader, TicketWriter},
    tokens::{TokenReader, TokenRegistry},
};

/// What the edge leans on.
pub struct EdgePorts {
    /// Where submissions go.
    pub publisher: Arc<dyn Publisher>,
    /// What workers answer, one item a worker's batch.
    pub receipts: mpsc::Receiver<Vec<Receipt>>,
    /// Where is known what is on its way already.
    pub claims: Arc<dyn Claims>,
    /// Where tickets are looked up.
    pub tickets: Arc<dyn TicketReader>,
    /// Where submitters answer.
    pub cases: Arc<dyn Cases>,
    /// Where counts are read when the cache has none.
    pub statistics: Arc<dyn StatisticsReader>,
    /// Where counts are read.
    pub cache: Arc<dyn StatisticsCache>,
    /// Where events are heard.
    pub feed: Arc<dyn Feed>,
    /// Where events are read again.
    pub event_log: Arc<dyn EventLog>,
    /// Who may see what only staff may.
    pub tokens: Arc<dyn TokenReader>,
    /// How often a client may do something.
    pub limiter: Arc<dyn Limiter>,
    /// Where is written down what was accepted and not heard of.
    pub ledger: Arc<dyn Ledger>,
    /// How much lies in the queue, and what in the dead letters.
    pub queue: Arc<dyn QueueAudit>,
    /// How all of them are doing.
    pub health: Arc<dyn HealthProbe>,
}

/// What a worker leans on.
pub struct WorkerPorts {
    /// Where submissions come from.
    pub consumers: Arc<dyn ConsumerSource>,
    /// Where tickets go.
    pub tickets: Arc<dyn TicketWriter>,
    /// Where what is too old is erased.
    pub people: Arc<dyn People>,
    /// Where counts are read.
    pub statistics: Arc<dyn StatisticsReader>,
    /// Where their snapshot goes.
    pub cache: Arc<dyn StatisticsCache>,
    /// Where the relay reads events.
    pub outbox: Arc<dyn Outbox>,
    /// Where the relay publishes them.
    pub events: Arc<dyn EventPublisher>,
    /// What is sealed.
    pub records: Arc<dyn SealSetter>,
    /// Where tickets are made ready to be searched.
    pub search: Arc<dyn SearchWriter>,
}

/// What `verify` looks into.
pub struct AuditPorts {
    /// The store's half.
    pub store: Arc<dyn StoreAudit>,
    /// The outbox's half.
    pub outbox: Arc<dyn OutboxAudit>,
    /// The queue's half.
    pub queue: Arc<dyn QueueAudit>,
    /// What was accepted and not heard of.
    pub ledger: Arc<dyn Ledger>,
    /// What is on record, and its seals.
    pub records: Arc<dyn Records>,
}

/// What an operator's commands lean on.
pub struct OperatorPorts {
    /// Where tokens are kept.
    pub tokens: Arc<dyn TokenRegistry>,
    /// What could not become a ticket.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What was accepted and not heard of.
    pub ledger: Arc<dyn Ledger>,
    /// What operators do.
    pub actions: Arc<dyn ActionLog>,
    /// Where tickets are read to be taken elsewhere.
    pub exports: Arc<dyn Exports>,
    /// Where tickets from elsewhere go.
    pub intakes: Arc<dyn Intakes>,
    /// What is stored about people.
    pub people: Arc<dyn People>,
    /// Their tickets, with all that was said about them.
    pub cases: Arc<dyn Cases>,
    /// All that is on record.
    pub records: Arc<dyn Records>,
}

/// What an import leans on.
pub struct IntakePorts {
    /// Where submissions go.
    pub publisher: Arc<dyn Publisher>,
    /// What workers answer, one item a worker's batch.
    pub receipts: mpsc::Receiver<Vec<Receipt>>,
    /// Where is known what is stored already.
    pub tickets: Arc<dyn TicketReader>,
}

/// Opens ports for imports, which are rare: between two of them nothing is connected.
#[async_trait]
pub trait Intakes: Send + Sync {
    /// Ports for one import.
    async fn open(&self) -> IntakePorts;
}

/// What the staff API leans on.
pub struct DeskPorts {
    /// Whom to let in.
    pub tokens: Arc<dyn TokenReader>,
    /// How often a client may present a token that admits nobody.
    pub limiter: Arc<dyn Limiter>,
    /// The tickets they work on.
    pub cases: Arc<dyn Cases>,
    /// Where those are listed and searched.
    pub index: Arc<dyn TicketIndex>,
    /// Where changes are heard of.
    pub feed: Arc<dyn Feed>,
    /// What staff may do there.
    pub operator: OperatorPorts,
    /// How all of them are doing.
    pub health: Arc<dyn HealthProbe>,
}

/// Opens ports. None of these waits for a server: ports connect on their own, again and again, and
/// say by their errors when they are not connected.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Ports for one edge.
    async fn edge(&self) -> EdgePorts;

    /// Ports for one worker.
    async fn worker(&self) -> WorkerPorts;

    /// Ports for an audit.
    async fn audit(&self) -> AuditPorts;

    /// Ports for the staff API.
    async fn desk(&self) -> DeskPorts;

    /// Ports for an operator.
    async fn operator(&self) -> OperatorPorts;

    /// Brings the store's schema up to date. Idempotent, and safe to run by several at a time.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Remembers the fingerprint of the number key at the first call, and tells at later ones
    /// whether it is the same: another key would make numbers that exist already.
    async fn adopt_key(&self, fingerprint: &str) -> Result<bool, StoreError>;

    /// The fingerprint that was remembered, if one was.
    async fn kept_key(&self) -> Result<Option<String>, StoreError>;

    /// Closes connections once the roles are done.
    async fn close(&self);
}
