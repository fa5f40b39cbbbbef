//! One backend, empty and migrated, and the means to make what goes into it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use common::clock::{Clock, SystemClock, SystemEntropy};
use common::domain::{
    Case, Change, ClientTimestamp, Email, Form, Message, Name, NewTicket, PageUrl, PersonKey,
    Priority, Subject, Submission, TicketNumber, UserAgent, UserId,
};
use common::keys::NumberKey;
use common::ports::backend::{Backend, EdgePorts, WorkerPorts};
use common::ports::cases::{Author, Cases, Reference, Step};
use common::ports::limits::{Limiter, PartitionKey, Slot, Tally};
use common::trace::Trace;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::bed::folder::Folder;
use crate::bed::forgery;
use crate::bed::servers::{Backing, Servers};
use crate::bed::wait::until;

/// A backend under test.
pub struct Installation {
    pub backend: Arc<dyn Backend>,
    place: Place,
}

enum Place {
    Embedded(Folder),
    Distributed(Backing),
}

impl Installation {
    /// On `SQLite`, in a folder of its own.
    pub async fn embedded() -> Self {
        let folder = Folder::new("conformance");
        let settings =
            embedded::Settings { data_dir: folder.join("data"), clock: Arc::new(SystemClock) };
        let backend = embedded::Backend::open(settings).await.unwrap();
        Self { backend: Arc::new(backend), place: Place::Embedded(folder) }.migrated().await
    }

    /// On Postgres, RabbitMQ and Redis, in places of its own.
    pub async fn distributed() -> Self {
        let backing = Servers::shared().await.backing().await;
        Self::on(backing).migrated().await
    }

    /// On servers' places that something else uses too.
    pub fn on(backing: Backing) -> Self {
        let backend = Arc::new(Self::distributed_backend(&backing));
        Self { backend, place: Place::Distributed(backing) }
    }

    /// What is behind the ports there, for what no port offers.
    pub fn distributed_backend(backing: &Backing) -> distributed::Backend {
        let settings = distributed::Settings {
            database_url: backing.database_url.clone().into(),
            amqp_url: backing.amqp_url.clone().into(),
            redis_url: backing.redis_url.clone().into(),
            intake_queues: 1,
            edge_connections_max: 8,
            worker_connections_max: 8,
            clock: Arc::new(SystemClock),
        };
        distributed::Backend::new(&settings).unwrap()
    }

    async fn migrated(self) -> Self {
        self.backend.migrate().await.unwrap();
        assert!(self.backend.adopt_key("0123456789abcdef").await.unwrap());
        self
    }

    /// Runs a worker in this process, whose clock shows what `clock` does, until it is dropped.
    pub async fn run_worker(&self, clock: Arc<dyn Clock>) -> RunningWorker {
        let ports = self.backend.worker().await;
        Self::run_worker_on(ports, clock)
    }

    /// The same on ports that the test has changed.
    pub fn run_worker_on(ports: WorkerPorts, clock: Arc<dyn Clock>) -> RunningWorker {
        Self::start_worker(ports, clock, None)
    }

    /// The same, of which tickets are kept only so long.
    pub async fn run_keeping(&self, clock: Arc<dyn Clock>, kept: Duration) -> RunningWorker {
        Self::start_worker(self.backend.worker().await, clock, Some(kept))
    }

    fn start_worker(
        ports: WorkerPorts,
        clock: Arc<dyn Clock>,
        retention: Option<Duration>,
    ) -> RunningWorker {
        let stop = CancellationToken::new();
        let settings = worker::Settings {
            lanes: 2,
            batch_submissions_max: 500,
            retention,
            number_key: number_key(),
        };
        let running = tokio::spawn(worker::run(
            ports,
            clock,
            Arc::new(SystemEntropy),
            settings,
            worker::State::new(),
            stop.clone(),
        ));
        RunningWorker { _running: running, _stop: stop.drop_guard() }
    }

    /// A limiter that goes by this clock, as of another instance each time; embedded there is one.
    pub async fn limiter(&self, clock: Arc<dyn Clock>) -> Arc<dyn Limiter> {
        let limiter: Arc<dyn Limiter> = match &self.place {
            Place::Embedded(_) => Arc::new(embedded::MemoryLimiter::new(clock)),
            Place::Distributed(backing) => {
                distributed::limiter(&backing.redis_url.clone().into(), clock).unwrap()
            }
        };
        until(Duration::from_secs(20), "the limiter counts exactly", async || {
            let nobody = PartitionKey::new([0; 16]);
            limiter.take(nobody, &[], Slot(Uuid::nil())).await.tally == Tally::Exact
        })
        .await;
        limiter
    }

    /// Whether instances are there that share what they count.
    pub const fn has_instances(&self) -> bool {
        matches!(self.place, Place::Distributed(_))
    }

    /// Makes the store reject tickets whose message is `poison`.
    pub async fn forbid_poison(&self) {
        self.tamper(match &self.place {
            Place::Embedded(_) => {
                "CREATE TRIGGER tickets_poison_check BEFORE INSERT ON tickets \
                 WHEN NEW.message = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END"
            }
            Place::Distributed(_) => {
                "ALTER TABLE tickets ADD CONSTRAINT tickets_poison_check CHECK (message <> 'poison')"
            }
        })
        .await;
    }

    /// Makes each insertion of tickets take its time, where several can run at once.
    pub async fn slow_insertions_down(&self) {
        if self.has_many_writers() {
            self.tamper(
                "CREATE FUNCTION wait_a_moment() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$",
            )
            .await;
            self.tamper(
                "CREATE TRIGGER tickets_take_long AFTER INSERT ON tickets \
                 FOR EACH STATEMENT EXECUTE FUNCTION wait_a_moment()",
            )
            .await;
        }
    }

    /// Whether two transactions can write at a time.
    pub const fn has_many_writers(&self) -> bool {
        matches!(self.place, Place::Distributed(_))
    }

    /// Runs a statement behind the backend's back, and leaves its transaction open.
    pub async fn begin(&self, statement: &'static str) -> Open {
        match &self.place {
            Place::Embedded(folder) => {
                let url = format!("sqlite:{}", folder.join("data/supportline.db").display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                connection.execute(sqlx::query(statement)).await.unwrap();
                Open::Sqlite(connection)
            }
            Place::Distributed(backing) => {
                let mut connection = PgConnection::connect(&backing.database_url).await.unwrap();
                connection.execute("BEGIN").await.unwrap();
                connection.execute(sqlx::query(statement)).await.unwrap();
                Open::Postgres(connection)
            }
        }
    }

    /// Runs a statement behind the backend's back, and says how many rows it changed.
    pub async fn tampered(&self, statement: &'static str) -> u64 {
        match &self.place {
            Place::Embedded(folder) => {
                let url = format!("sqlite:{}", folder.join("data/supportline.db").display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection.execute(sqlx::query(statement)).await.unwrap().rows_affected()
            }
            Place::Distributed(backing) => {
                let mut connection = PgConnection::connect(&backing.database_url).await.unwrap();
                connection.execute(sqlx::query(statement)).await.unwrap().rows_affected()
            }
        }
    }

    /// Runs a statement behind the backend's back.
    pub async fn tamper(&self, statement: &'static str) {
        self.try_to_tamper(statement).await.unwrap();
    }

    /// The same by somebody who has taken away what keeps the record as it is.
    pub async fn forge(&self, statement: &'static str) {
        match &self.place {
            Place::Embedded(folder) => forgery::in_sqlite(folder, statement).await,
            Place::Distributed(backing) => {
                forgery::in_postgres(&backing.database_url, statement).await;
            }
        }
    }

    /// The same, where the database may refuse.
    pub async fn try_to_tamper(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        match &self.place {
            Place::Embedded(folder) => {
                let url = format!("sqlite:{}", folder.join("data/supportline.db").display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection.execute(sqlx::query(statement)).await.map(drop)
            }
            Place::Distributed(backing) => {
                let mut connection = PgConnection::connect(&backing.database_url).await.unwrap();
                connection.execute(sqlx::query(statement)).await.map(drop)
            }
        }
    }
}

/// A transaction behind the backend's back that has written and not yet committed.
pub enum Open {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Open {
    /// Ends it.
    pub async fn commit(self) {
        match self {
            Self::Sqlite(mut connection) => connection.execute("COMMIT").await.map(drop),
            Self::Postgres(mut connection) => connection.execute("COMMIT").await.map(drop),
        }
        .unwrap();
    }
}

/// A worker in this process; it ends when this is dropped.
pub struct RunningWorker {
    _running: JoinHandle<()>,
    _stop: DropGuard,
}

/// Publishes submissions until each has its receipt: those are a courtesy, and one may be lost while
/// a connection is still being opened. The numbers stand in the order of the submissions.
pub async fn publish_until_told(
    edge: &mut EdgePorts,
    submissions: &[Submission],
) -> Vec<TicketNumber> {
    let mut numbers = HashMap::new();
    let telling = async {
        while numbers.len() < submissions.len() {
            let deadline = Duration::from_secs(20);
            until(deadline, "the publisher is ready", async || edge.publisher.is_ready()).await;
            let published = edge.publisher.publish(submissions.to_vec()).await;
            let told_until = tokio::time::Instant::now() + Duration::from_secs(2);
            while published.is_ok() && numbers.len() < submissions.len() {
                let batch = tokio::time::timeout_at(told_until, edge.receipts.recv()).await;
                let Ok(Some(batch)) = batch else { break };
                let awaited = batch.into_iter().map(|receipt| (receipt.id, receipt.number));
                numbers.extend(awaited.filter(|(id, _)| submissions.iter().any(|it| it.id == *id)));
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), telling).await.expect("every receipt comes");
    submissions.iter().map(|submission| numbers[&submission.id].clone()).collect()
}

/// The key of every worker in this process.
pub fn number_key() -> Arc<NumberKey> {
    Arc::new(NumberKey::from_hex(&"5".repeat(64)).unwrap())
}

/// A submission of its own, the `number`-th; every optional field filled, every text peculiar.
pub fn submission(number: u32) -> Submission {
    Submission {
        id: Uuid::now_v7().into(),
        key: None,
        submitted_at: SystemClock.now(),
        form: Form {
            name: Name::parse(&format!("Ada «{number}» O'Hara\t👩‍👩‍👧 مرحبا")).unwrap(),
            email: Email::parse(&format!("ada+{number}@example.org")).unwrap(),
            subject: Subject::ALL[number as usize % Subject::ALL.len()],
            message: Message::parse(&format!(
                "'; DROP TABLE tickets; --\r\n\t\"{{{number}}}\" \\x00 𠀀"
            ))
            .unwrap(),
            timestamp: ClientTimestamp::parse("2026-11-22T10:30:00.123456+01:00").unwrap(),
            user_id: Some(UserId::parse("").unwrap()),
            user_agent: Some(UserAgent::parse("Mozilla/5.0 (ß)").unwrap()),
            url: Some(PageUrl::parse("https://example.org/ä?b=c#d").unwrap()),
        },
        trace: Trace::of_request(None, None, &SystemEntropy),
    }
}

/// A ticket of its own with this number.
pub fn ticket(number: u32) -> NewTicket {
    let submission = submission(number);
    NewTicket {
        number: format!("SUP-2026-{number:06}").parse().unwrap(),
        priority: Priority::from(submission.form.subject),
        person: PersonKey::new(&number_key()).hash_of(&submission.form.email),
        submission,
    }
}

/// Tickets with the numbers given.
pub fn tickets(numbers: std::ops::Range<u32>) -> Vec<NewTicket> {
    numbers.map(ticket).collect()
}

/// Does that to a ticket at that time.
pub async fn done(cases: &dyn Cases, ticket: &NewTicket, at: DateTime<Utc>, change: &Change) {
    let reference = Reference::Id(ticket.submission.id);
    let before: Case = cases.find(&[reference]).await.unwrap().remove(0).unwrap();
    let outcome = before.after(change, at, None).unwrap();
    let author = Author {
        actor: "admin-key".to_owned(),
        name: None,
        address: None,
        trace: Trace::of_request(None, None, &SystemEntropy),
    };
    assert_eq!(cases.commit(&[Step { before, outcome, author }], true).await.unwrap(), [true]);
}
