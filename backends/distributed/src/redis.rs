//! Redis for what a request waits for: one connection, on which calls that wait at the same time travel
//! together, with a deadline for each and none at all while Redis is known to be away.
//!
//! With nobody else about, a call leaves at once and alone. The more there are, the less each of them
//! costs: what they share is the way to the connection and back, which is most of a call's price.
//!
//! A task of its own keeps the connection, and asks something every second so that nobody on the way
//! takes it for unused. The first call that fails or is late takes it away from everybody; the task opens
//! another one, tries it with a write, and only then lends it out. So an outage costs the calls that meet
//! its beginning their deadline, and all others nothing. A connection that merely broke, since somebody
//! closed it or the server was restarted, is no outage: another is opened at once, and calls wait for it.
//!
//! ```text
//! let redis = Redis::connect(client);                       // needs a tokio runtime
//! let keys: u64 = redis.call(redis::cmd("DBSIZE")).await?;
//! ```

use std::{mem, pin::pin, sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use common::chain;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, Value,
    aio::MultiplexedConnection, cmd,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// How long a call may take. On the same network it takes less than a millisecond, but with 50 ms
/// here a machine that was merely busy was taken for an outage. Who pays for a hang are the calls of
/// its first quarter of a second, once.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_millis(250);

/// Time in which this process waits for a processor is not Redis's: the answer may be there, unread.
/// So the deadline is counted in slices, and those that took much longer than they should do not
/// count, up to [`STARVED_DEADLINE`]. Without this, a crowd at an edge would look like an outage.
const SLICE: Duration = Duration::from_millis(50);
const SLICE_LAG_MAX: Duration = Duration::from_millis(5);
const STARVED_DEADLINE: Duration = Duration::from_secs(1);

/// Journeys at a time: while an answer is on its way back, others leave.
const JOURNEYS_MAX: usize = 2;

/// Calls on one journey. Redis answers so many in about a millisecond.
const TOGETHER_MAX: usize = 128;

/// Calls that wait for a journey. Those beyond wait to wait.
const WAITING_MAX: usize = 1_024;

/// How often the task asks. Shorter than anybody's patience with connections that rest, and what breaks
/// unnoticed is noticed by then.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// How long opening a connection may take, TLS and a name's resolution included. Nobody waits for it.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);

/// The codes of a server that can serve nobody for now: it is a replica since a failover, it loads its
/// memory, it has no room left or cannot save. Another may have its place by now.
const UNFIT: [&str; 7] =
    ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "OOM", "MISCONF"];

/// Redis did not answer this call, and the caller has to go on without it.
#[derive(Debug, Clone, Error)]
pub(crate) enum Away {
    /// There is no connection, and no time was lost on it.
    #[error("there is no connection to Redis")]
    NotConnected,
    /// Whether the call took effect is open.
    #[error("Redis did not answer in time")]
    Late,
    /// The server refused the call, or the connection broke; then whether it took effect is open.
    #[error("Redis failed")]
    Failed(#[from] RedisError),
}

impl Away {
    /// Whether only this connection is gone, as far as is known.
    fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_io_error())
    }
}

#[derive(Clone)]
enum State {
    /// A connection is being opened, the first one or in the place of one that broke.
    Opening,
    /// Lent out, with how many were before it.
    Open(u64, MultiplexedConnection),
    Away,
}

/// A connection that is kept open.
pub(crate) struct Redis {
    calls: mpsc::Sender<Call>,
    _keeper: AbortOnDropHandle<()>,
    _carrier: AbortOnDropHandle<()>,
}

/// Somebody who waits for an answer.
struct Call {
    command: Cmd,
    answer: oneshot::Sender<Result<Value, Away>>,
}

impl Redis {
    /// Begins to connect. Ends when it is dropped.
    pub(crate) fn connect(client: Client) -> Self {
        let state = Arc::new(watch::Sender::new(State::Opening));
        let (calls, waiting) = mpsc::channel(WAITING_MAX);
        let carrier = tokio::spawn(carry(waiting, Arc::clone(&state)));
        let keeper = tokio::spawn(keep(client, state));
        let [keeper, carrier] = [keeper, carrier].map(AbortOnDropHandle::new);
        Self { calls, _keeper: keeper, _carrier: carrier }
    }

    /// Asks Redis, in no more than [`CALL_DEADLINE`]; those that meet a connection which is being opened,
    /// or has broken, may wait as long again for the next. What met a broken one is asked again, so it
    /// must not matter if it takes effect twice.
    pub(crate) async fn call<T: FromRedisValue>(&self, command: Cmd) -> Result<T, Away> {
        let (answer, told) = oneshot::channel();
        let call = Call { command, answer };
        self.calls.send(call).await.map_err(|_| Away::NotConnected)?;
        let value = told.await.unwrap_or(Err(Away::NotConnected))?;
        let value = value.extract_error()?;
        Ok(T::from_redis_value(value).map_err(RedisError::from)?)
    }
}

/// Takes calls to Redis until nobody can ask any more.
async fn carry(mut waiting: mpsc::Receiver<Call>, state: Arc<watch::Sender<State>>) {
    let mut journeys = FuturesUnordered::new();
    let mut together = Vec::new();
    loop {
        tokio::select! {
            Some(()) = journeys.next() => {}
            count = waiting.recv_many(&mut together, TOGETHER_MAX), if journeys.len() < JOURNEYS_MAX => {
                if count == 0 {
                    return;
                }
                journeys.push(travel(&state, mem::take(&mut together)));
            }
        }
    }
}

async fn travel(state: &watch::Sender<State>, mut calls: Vec<Call>) {
    // Who has given up needs no answer. Where all have, nothing is asked: there would be no answer, and
    // its silence would be taken for Redis's.
    calls.retain(|call| !call.answer.is_closed());
    if calls.is_empty() {
        return;
    }
    let mut pipeline = Pipeline::with_capacity(calls.len());
    let mut answers = Vec::with_capacity(calls.len());
    for Call { command, answer } in calls {
        pipeline.add_command(command);
        answers.push(answer);
    }
    let told = match ask(state, &pipeline).await {
        Err(error) if error.is_of_the_connection() => ask(state, &pipeline).await,
        told => told,
    };
    // Nobody who has left meanwhile needs to hear.
    match told {
        Ok(values) => {
            for (answer, value) in answers.into_iter().zip(values) {
                let _ = answer.send(Ok(value));
            }
        }
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

/// Asks once. The server's own word on one call is that call's value.
async fn ask(state: &watch::Sender<State>, calls: &Pipeline) -> Result<Vec<Value>, Away> {
    let (generation, mut connection) = connection(state).await?;
    let answered = in_time(connection.send_packed_commands(calls, 0, calls.len())).await;
    let error = match answered {
        Some(Ok(values)) => {
            if let Some(error) = values.iter().find_map(unfit) {
                lose(state, generation, &Away::Failed(error));
            }
            return Ok(values);
        }
        Some(Err(error)) => Away::Failed(error),
        None => Away::Late,
    };
    lose(state, generation, &error);
    Err(error)
}

async fn connection(state: &watch::Sender<State>) -> Result<(u64, MultiplexedConnection), Away> {
    let mut states = state.subscribe();
    let opened = states.wait_for(|state| !matches!(state, State::Opening));
    let Some(Ok(state)) = in_time(opened).await else {
        return Err(Away::NotConnected);
    };
    match &*state {
        State::Open(generation, connection) => Ok((*generation, connection.clone())),
        State::Opening | State::Away => Err(Away::NotConnected),
    }
}

/// What a server says that can serve nobody for now. Any other word of its own on a call is quick, and
/// the connection as good as ever.
fn unfit(value: &Value) -> Option<RedisError> {
    let Value::ServerError(error) = value else { return None };
    let error = RedisError::from(error.clone());
    error.code().is_some_and(|code| UNFIT.contains(&code)).then_some(error)
}

/// Takes a connection away from everybody, unless somebody else has. What broke is opened anew at once;
/// who is late, or unfit, is left alone for a moment.
fn lose(state: &watch::Sender<State>, generation: u64, error: &Away) {
    state.send_if_modified(|state| {
        let is_this = matches!(state, State::Open(current, _) if *current == generation);
        if is_this && error.is_of_the_connection() {
            tracing::info!(cause = chain(error), "a connection to Redis broke; opening another");
            *state = State::Opening;
        } else if is_this {
            tracing::warn!(cause = chain(error), "Redis is away; going on without it");
            *state = State::Away;
        }
        is_this
    });
}

/// What comes within [`CALL_DEADLINE`] of time in which this process ran.
async fn in_time<T>(answer: impl Future<Output = T>) -> Option<T> {
    let mut answer = pin!(answer);
    let (asked_at, mut waited) = (Instant::now(), Duration::ZERO);
    while waited < CALL_DEADLINE && asked_at.elapsed() < STARVED_DEADLINE {
        let slice_at = Instant::now();
        if let Ok(answer) = timeout(SLICE, answer.as_mut()).await {
            return Some(answer);
        }
        if slice_at.elapsed() <= SLICE + SLICE_LAG_MAX {
            waited += SLICE;
        }
    }
    None
}

/// Opens a connection whenever there is none.
async fn keep(client: Client, state: Arc<watch::Sender<State>>) {
    for generation in 0.. {
        let mut pauses = pauses();
        let connection = loop {
            match open(&client).await {
                Ok(connection) => break connection,
                Err(error) => {
                    let cause = chain(&error);
                    match (state.send_replace(State::Away), generation) {
                        (State::Opening, 0) => tracing::info!(cause, "Redis is not there yet"),
                        (State::Opening, _) => {
                            tracing::warn!(cause, "Redis is away; going on without it");
                        }
                        _ => {}
                    }
                }
            }
            sleep(pauses.next().unwrap_or_default()).await;
        };
        if generation > 0 {
            tracing::info!("Redis is there again");
        }
        state.send_replace(State::Open(generation, connection.clone()));
        stay(connection, generation, &state).await;
        if matches!(*state.borrow(), State::Away) {
            // One that was late because it is overloaded is left alone for a moment, too.
            sleep(self::pauses().next().unwrap_or_default()).await;
        }
    }
}

/// Keeps a connection in use until it is lost.
async fn stay(
    mut connection: MultiplexedConnection,
    generation: u64,
    state: &watch::Sender<State>,
) {
    let mut states = state.subscribe();
    while timeout(PING_INTERVAL, states.wait_for(|it| !matches!(it, State::Open(..))))
        .await
        .is_err()
    {
        let error = match in_time(cmd("PING").query_async::<()>(&mut connection)).await {
            Some(Err(error)) if error.is_io_error() => Away::Failed(error),
            None => Away::Late,
            // What else it may have to say, it says to those who ask for more.
            Some(_) => continue,
        };
        lose(state, generation, &error);
    }
}

/// One to five seconds, drawn at random so that the instances do not come back in step.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_millis(2_500))
        .with_jitter()
        .without_max_times()
        .build()
}

/// A connection on which Redis takes writes.
async fn open(client: &Client) -> Result<MultiplexedConnection, Away> {
    // A call has its own, shorter deadline.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(OPEN_DEADLINE))
        .set_response_timeout(Some(OPEN_DEADLINE));
    let opened = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        // Not `PING`, to which a server that is unfit says yes.
        let mut write = cmd("SET");
        write.arg("supportline:probe").arg(1).arg("PX").arg(1_000);
        write.query_async::<()>(&mut connection).await?;
        Ok(connection)
    };
    timeout(OPEN_DEADLINE, opened).await.unwrap_or(Err(Away::Late))
}

#[cfg(test)]
mod tests;
