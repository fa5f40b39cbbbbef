//! Redis for what a request waits for: one connection, on which all calls travel at once, with a
//! deadline for each and none at all while Redis is known to be away.
//!
//! A task of its own keeps the connection. The first call that fails or is late takes it away from
//! everybody; the task opens another one, tries it with a `PING`, and only then lends it out. So an
//! outage costs the calls that meet its beginning their deadline, and all others nothing.
//!
//! ```text
//! let redis = Redis::connect(client);                       // needs a tokio runtime
//! let length: u64 = redis.call(async |mut it| redis::cmd("DBSIZE").query_async(&mut it).await).await?;
//! ```

use std::{pin::pin, sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use common::chain;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, RedisError, RedisResult, aio::MultiplexedConnection, cmd,
};
use thiserror::Error;
use tokio::{
    sync::watch,
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
const SLICE: Duration = Duration::from_millis(10);
const SLICE_LAG_MAX: Duration = Duration::from_millis(5);
const STARVED_DEADLINE: Duration = Duration::from_secs(1);

/// How long opening a connection may take, TLS and a name's resolution included. Nobody waits for it.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);

/// Redis did not answer this call, and the caller has to go on without it.
#[derive(Debug, Error)]
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

#[derive(Clone)]
enum State {
    /// The first connection is being opened.
    Opening,
    /// Lent out, with how many were before it.
    Open(u64, MultiplexedConnection),
    Away,
}

/// A connection that is kept open.
pub(crate) struct Redis {
    state: Arc<watch::Sender<State>>,
    _keeper: AbortOnDropHandle<()>,
}

impl Redis {
    /// Begins to connect. Ends when it is dropped.
    pub(crate) fn connect(client: Client) -> Self {
        let state = Arc::new(watch::Sender::new(State::Opening));
        let keeper = tokio::spawn(keep(client, Arc::clone(&state)));
        Self { state, _keeper: AbortOnDropHandle::new(keeper) }
    }

    /// Asks Redis, in no more than [`CALL_DEADLINE`]; the first ones may wait as long again for the
    /// connection to open.
    pub(crate) async fn call<T>(
        &self,
        ask: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, Away> {
        let (generation, connection) = self.connection().await?;
        let error = match in_time(ask(connection)).await {
            Some(Ok(answer)) => return Ok(answer),
            // The server's own word, and quick: the connection is as good as ever.
            Some(Err(error)) if error.code().is_some() => return Err(error.into()),
            Some(Err(error)) => Away::Failed(error),
            None => Away::Late,
        };
        self.state.send_if_modified(|state| {
            let is_this = matches!(state, State::Open(current, _) if *current == generation);
            if is_this {
                tracing::warn!(cause = chain(&error), "Redis is away; going on without it");
                *state = State::Away;
            }
            is_this
        });
        Err(error)
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), Away> {
        let mut states = self.state.subscribe();
        let opened = states.wait_for(|state| !matches!(state, State::Opening));
        let Some(Ok(state)) = in_time(opened).await else {
            return Err(Away::NotConnected);
        };
        match &*state {
            State::Open(generation, connection) => Ok((*generation, connection.clone())),
            State::Opening | State::Away => Err(Away::NotConnected),
        }
    }
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
    let mut states = state.subscribe();
    for generation in 0.. {
        let mut pauses = pauses();
        let connection = loop {
            match open(&client).await {
                Ok(connection) => break connection,
                Err(error) => {
                    if matches!(state.send_replace(State::Away), State::Opening) {
                        tracing::info!(cause = chain(&error), "Redis is not there yet");
                    }
                }
            }
            sleep(pauses.next().unwrap_or_default()).await;
        };
        if generation > 0 {
            tracing::info!("Redis is there again");
        }
        state.send_replace(State::Open(generation, connection));
        if states.wait_for(|state| matches!(state, State::Away)).await.is_err() {
            return;
        }
        // One that was late because it is overloaded is left alone for a moment, too.
        sleep(self::pauses().next().unwrap_or_default()).await;
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

/// A connection on which Redis answers.
async fn open(client: &Client) -> Result<MultiplexedConnection, Away> {
    // A call has its own, shorter deadline.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(OPEN_DEADLINE))
        .set_response_timeout(Some(OPEN_DEADLINE));
    let opened = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        cmd("PING").query_async::<()>(&mut connection).await?;
        Ok(connection)
    };
    timeout(OPEN_DEADLINE, opened).await.unwrap_or(Err(Away::Late))
}

#[cfg(test)]
mod tests {
    use std::{future::pending, thread};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_is_given_up_at_the_deadline() {
        let asked_at = Instant::now();
        assert!(in_time(pending::<()>()).await.is_none());
        assert_eq!(asked_at.elapsed(), CALL_DEADLINE);
    }

    /// The thread is held up for longer than the deadline, as by a crowd of requests.
    #[tokio::test]
    async fn an_answer_that_waits_for_a_processor_is_not_late() {
        let crowd = tokio::spawn(async {
            for _ in 0..10 {
                thread::sleep(CALL_DEADLINE / 2);
                tokio::task::yield_now().await;
            }
        });
        let answer = async {
            sleep(CALL_DEADLINE * 2).await;
            "here"
        };
        assert_eq!(in_time(answer).await, Some("here"));
        crowd.await.unwrap();
    }
}
