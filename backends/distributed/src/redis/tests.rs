use std::{
    future::pending,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use futures_util::FutureExt;
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
    let mut get = cmd("GET");
    get.arg("a");
    redis.call(get).await
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
async fn calls_that_were_all_given_up_cost_no_connection() {
    let (redis, opened) = server("+OK").await;
    assert_eq!(get(&redis).await.unwrap(), "OK");
    for _ in 0..3 {
        assert!(get(&redis).now_or_never().is_none());
        // Longer than a server may be silent.
        sleep(CALL_DEADLINE * 2).await;
        assert_eq!(get(&redis).await.unwrap(), "OK");
    }
    assert_eq!(opened.load(Ordering::Relaxed), 1);
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
