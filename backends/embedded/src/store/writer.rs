//! The one task that writes.

use async_trait::async_trait;
use common::{ended, ports::store::StoreError};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot};

use super::{failure, migrate};

/// Works that wait for the writer. Every lane and every probe has one at a time, so more than this
/// means that something else is wrong, and callers wait.
const WAITING_MAX: usize = 64;

/// What is done in one transaction, whole or not at all.
pub(super) trait Work: Send + 'static {
    /// What its caller gets to know.
    type Answer: Send + 'static;

    /// Does it. The caller of this commits when it says `Ok`, and rolls back when not.
    fn run(
        self,
        connection: &mut SqliteConnection,
    ) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;
}

/// Gives work to the task. Ends the task when the last one is dropped.
pub(super) struct Writer {
    messages: mpsc::Sender<Message>,
}

enum Message {
    Job(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

impl Writer {
    /// Connects, and starts the task.
    pub(super) async fn start(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let connection = options.connect().await?;
        let (messages, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(options, connection, waiting));
        Ok(Self { messages })
    }

    /// Does the work in a transaction of its own. Dropping the future before the work is taken on
    /// undoes nothing, since nothing was done; dropping it later only loses the answer.
    pub(super) async fn transact<W: Work>(&self, work: W) -> Result<W::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Box::new(Transaction { work, answer }), answered).await
    }

    /// Brings the schema up to date. The migrator begins its own transactions; being alone on the
    /// only connection that writes is what makes it safe to run twice at a time.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Box::new(Migration { answer }), answered).await
    }

    /// Ends the task once the work given to it before is done.
    pub(super) async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.messages.send(Message::Close(closed)).await.is_ok() {
            // An error here says that the task is gone, which is what was asked for.
            drop(done.await);
        }
    }

    async fn ask<T>(
        &self,
        job: Box<dyn Job>,
        answered: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let unavailable = |cause: &'static str| StoreError::Unavailable(cause.into());
        let sent = self.messages.send(Message::Job(job)).await;
        sent.map_err(|_| unavailable("the store's writer is closed"))?;
        answered.await.map_err(|_| unavailable("the store's writer gave the work up"))?
    }
}

async fn write(
    options: SqliteConnectOptions,
    connection: SqliteConnection,
    mut waiting: mpsc::Receiver<Message>,
) {
    let mut connection = Some(connection);
    let mut closed = None;
    while let Some(message) = waiting.recv().await {
        match message {
            Message::Job(job) => {
                // In a task of its own, so that a panic ends that one and not the writer.
                let taken_on = tokio::spawn(take_on(job, connection, options.clone()));
                connection = taken_on.await.unwrap_or_else(|error| {
                    let error = ended(&error);
                    tracing::error!(error, "the store's writer goes on with a new connection");
                    None
                });
            }
            Message::Close(done) => {
                closed = Some(done);
                break;
            }
        }
    }
    if let Some(connection) = connection
        && let Err(error) = connection.close().await
    {
        tracing::warn!(%error, "the database did not close cleanly; nothing committed is lost");
    }
    drop(closed);
}

/// Runs a job, on a new connection if the last one was given up; returns the one to go on with.
async fn take_on(
    job: Box<dyn Job>,
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
) -> Option<SqliteConnection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => match options.connect().await {
            Ok(connection) => connection,
            Err(error) => {
                job.refuse(failure(error));
                return None;
            }
        },
    };
    match job.run(&mut connection).await {
        Left::Clean => Some(connection),
        Left::Doubtful => None,
    }
}

/// How a job leaves the connection.
enum Left {
    /// Outside any transaction.
    Clean,
    /// Perhaps within one: a commit or a rollback failed. Closing it rolls back for certain.
    Doubtful,
}

/// Work of any type, with the way back to its caller. A caller that is gone does not matter.
#[async_trait]
trait Job: Send {
    async fn run(self: Box<Self>, connection: &mut SqliteConnection) -> Left;

    fn refuse(self: Box<Self>, error: StoreError);
}

struct Transaction<W: Work> {
    work: W,
    answer: oneshot::Sender<Result<W::Answer, StoreError>>,
}

#[async_trait]
impl<W: Work> Job for Transaction<W> {
    async fn run(self: Box<Self>, connection: &mut SqliteConnection) -> Left {
        let (result, left) = match transact(self.work, connection).await {
            Ok(answer) => (Ok(answer), Left::Clean),
            Err((error, left)) => (Err(error), left),
        };
        drop(self.answer.send(result));
        left
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.answer.send(Err(error)));
    }
}

async fn transact<W: Work>(
    work: W,
    connection: &mut SqliteConnection,
) -> Result<W::Answer, (StoreError, Left)> {
    // Immediate takes the write lock first: a transaction that starts by reading could be refused
    // half-way.
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(|error| (failure(error), Left::Doubtful))?;
    match work.run(&mut transaction).await {
        Ok(answer) => {
            let committed = transaction.commit().await;
            committed.map(|()| answer).map_err(|error| (failure(error), Left::Doubtful))
        }
        Err(error) => {
            // Fails where SQLite has rolled back by itself, as it does on a full disk.
            let rolled_back = transaction.rollback().await;
            Err((error, rolled_back.map_or(Left::Doubtful, |()| Left::Clean)))
        }
    }
}

struct Migration {
    answer: oneshot::Sender<Result<(), StoreError>>,
}

#[async_trait]
impl Job for Migration {
    async fn run(self: Box<Self>, connection: &mut SqliteConnection) -> Left {
        let result = migrate(connection).await;
        let left = if result.is_ok() { Left::Clean } else { Left::Doubtful };
        drop(self.answer.send(result));
        left
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.answer.send(Err(error)));
    }
}
