//! Redis for what a request waits for: one connection, on which all calls travel at once, with a
//! deadline for each and none at all while Redis is known to be away.
//!
//! A task of its own keeps the connection, and asks something every second so that nobody on the way
//! takes it for unused. The first call that fails or is late takes it away from everybody; the task opens
//! another one, tries it with a write, and only then lends it out. So an outage costs the calls that meet
//! its beginning their deadline, and all others nothing. A connection that merely broke, since somebody
//! closed it or the server was restarted, is no outage: another is opened at once, and calls wait for it.
//!
//! ```text
//! let redis = Redis::connect(client);                       // needs a tokio runtime
//! let ask = |mut it| async move { redis::cmd("DBSIZE").query_async(&mut it).await };
//! let keys: u64 = redis.call(ask).await?;
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

/// How often the task asks. Shorter than anybody's patience with connections that rest, and what breaks
/// unnoticed is noticed by then.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// How long opening a connection may take, TLS and a name's resolution included. Nobody waits for it.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);

/// What a server says that can serve nobody for now: it is a replica since a failover, it loads its
/// memory, it has no room left or cannot save. Another may have its place by now.
const UNFIT: [&str; 7] =
    ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "OOM", "MISCONF"];

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

    /// Asks Redis, in no more than [`CALL_DEADLINE`]; those that meet a connection which is being opened,
    /// or has broken, may wait as long again for the next. What met a broken one is asked again, so it
    /// must not matter if it takes effect twice.
    pub(crate) async fn call<T, F: Future<Output = RedisResult<T>>>(
        &self,
        ask: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T, Away> {
        match self.ask(&ask).await {
            Err(error) if error.is_of_the_connection() => self.ask(&ask).await,
            answer => answer,
        }
    }

    async fn ask<T, F: Future<Output = RedisResult<T>>>(
        &self,
        ask: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T, Away> {
        let (generation, connection) = self.connection().await?;
        let error = match in_time(ask(connection)).await {
            Some(Ok(answer)) => return Ok(answer),
            // The server's own word on this call, and quick: the connection is as good as ever.
            Some(Err(error)) if error.code().is_some_and(|code| !UNFIT.contains(&code)) => {
                return Err(error.into());
            }
            Some(Err(error)) => Away::Failed(error),
            None => Away::Late,
        };
        lose(&self.state, generation, &error);
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
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// The answer of a server that hangs up.
    const NONE: &str = "";

    /// Answers each command: a `GET` as told, anything else with yes.
    async fn serve(stream: TcpStream, get: &'static str) -> Option<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        // A command is an array of strings, such as "*2", "$3", "GET", "$1", "a".
        while let Some(line) = lines.next_line().await.ok()? {
            let count: usize = line.strip_prefix('*')?.parse().ok()?;
            let mut words = Vec::new();
            for _ in 0..count {
                lines.next_line().await.ok()?;
                words.push(lines.next_line().await.ok()??);
            }
            let answer = if words[0] == "GET" { get } else { "+OK" };
            if answer == NONE {
                return None;
            }
            write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
        Some(())
    }

    /// A server that answers `GET` like this on its first connection, and with yes on later ones.
    async fn server(first: &'static str) -> (Redis, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let opened = Arc::<AtomicUsize>::default();
        let counting = Arc::clone(&opened);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let is_first = counting.fetch_add(1, Ordering::Relaxed) == 0;
                tokio::spawn(serve(stream, if is_first { first } else { "+OK" }));
            }
        });
        (Redis::connect(Client::open(url).unwrap()), opened)
    }

    async fn get(redis: &Redis) -> Result<String, Away> {
        redis.call(|mut it| async move { cmd("GET").arg("a").query_async(&mut it).await }).await
    }

    #[tokio::test]
    async fn a_server_that_can_serve_nobody_is_left_for_the_next_connection() {
        for word in ["READONLY replica", "LOADING memory", "OOM no room", "MISCONF no disk"] {
            let (redis, opened) = server(Box::leak(format!("-{word}").into_boxed_str())).await;
            assert!(matches!(get(&redis).await, Err(Away::Failed(_))), "{word}");
            assert!(matches!(get(&redis).await, Err(Away::NotConnected)), "{word}");
            let again = async {
                while get(&redis).await.is_err() {
                    sleep(SLICE).await;
                }
            };
            timeout(Duration::from_secs(20), again).await.unwrap();
            assert_eq!(opened.load(Ordering::Relaxed), 2, "{word}");
        }
    }

    /// As a server with a `timeout`, and whatever lies in between that takes a connection for unused.
    #[tokio::test]
    async fn a_connection_that_somebody_closed_costs_no_call() {
        let (redis, opened) = server(NONE).await;
        for _ in 0..3 {
            assert_eq!(get(&redis).await.unwrap(), "OK");
        }
        assert_eq!(opened.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_word_on_one_call_costs_no_connection() {
        let (redis, opened) = server("-WRONGTYPE of value").await;
        for _ in 0..3 {
            assert!(matches!(get(&redis).await, Err(Away::Failed(_))));
        }
        assert_eq!(opened.load(Ordering::Relaxed), 1);
    }

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
