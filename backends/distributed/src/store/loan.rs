//! Connections that find their way back.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{PgConnection, Postgres, pool::PoolConnection};
use tokio::time::timeout;

/// How long a connection may take to show that it can be used again: a round trip, and what was left
/// of a query that was given up.
const RETURN_DEADLINE: Duration = Duration::from_secs(1);

/// A connection lent by the pool.
///
/// Left to itself, a connection of sqlx 0.9 that is dropped goes back through a ping without a
/// deadline, and keeps its place in the pool meanwhile (`return_to_pool` in `pool/connection.rs`):
/// once a server has vanished without hanging up, each query that was given up, and each that had
/// just ended, takes a place away until TCP gives up, after a quarter of an hour. An `after_release`
/// hook would not do: that ping follows it, and closing "hard" first flushes what is unwritten.
///
/// So this does the same under a deadline. What is dropped by it is the connection, which closes its
/// socket without waiting, and the guard of its place, which thereby is free.
pub(super) struct Loan(PoolConnection<Postgres>);

impl Loan {
    pub(super) const fn of(connection: PoolConnection<Postgres>) -> Self {
        Self(connection)
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        tokio::spawn(timeout(RETURN_DEADLINE, self.0.return_to_pool()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::Semaphore,
    };

    use crate::store::Store;

    use super::*;

    /// What it says to all that comes after it has let a client in.
    const READY: &[u8] = b"Z\0\0\0\x05I";
    const NOTHING: &[u8] = b"";

    async fn let_in(mut client: TcpStream, then: &[u8]) {
        let mut received = [0; 1_024];
        // To the question for TLS: no. To the name and database: welcome, and ready.
        assert_eq!(client.read(&mut received).await.unwrap(), 8);
        client.write_all(b"N").await.unwrap();
        assert_ne!(client.read(&mut received).await.unwrap(), 0);
        client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
        while client.read(&mut received).await.is_ok_and(|length| length > 0) {
            client.write_all(then).await.unwrap();
        }
    }

    /// A store on a server that lets nobody in while its gate is shut, and how many have come.
    async fn store_on(
        gate: &Arc<Semaphore>,
        then: &'static [u8],
        connections_max: u32,
    ) -> (Store, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://a:b@{}/c", listener.local_addr().unwrap());
        let clients = Arc::new(AtomicUsize::new(0));
        let (counted, gate) = (Arc::clone(&clients), Arc::clone(gate));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let gate = Arc::clone(&gate);
                tokio::spawn(async move {
                    let _passed = gate.acquire().await.unwrap();
                    let_in(client, then).await;
                });
            }
        });
        (Store::new(&url.into(), connections_max).unwrap(), clients)
    }

    #[tokio::test]
    async fn who_gives_up_early_does_not_knock_again_and_again() {
        let gate = Arc::new(Semaphore::new(0));
        let (store, clients) = store_on(&gate, READY, 2).await;
        for _ in 0..20 {
            let given_up = timeout(Duration::from_millis(10), store.lend()).await;
            assert!(given_up.is_err(), "let in through a shut gate");
        }
        gate.add_permits(2);
        store.lend().await.expect("what was opened for those who left is there for the next");
        assert!(clients.load(Ordering::Relaxed) <= 2, "{clients:?} for a pool of two");
    }

    #[tokio::test]
    async fn a_server_that_falls_silent_keeps_no_place_in_the_pool() {
        let (store, clients) = store_on(&Arc::new(Semaphore::new(2)), NOTHING, 1).await;
        for client in 1..=2 {
            let given_up = timeout(Duration::from_millis(1_500), store.probe()).await;
            assert!(given_up.is_err(), "{given_up:?}");
            assert_eq!(clients.load(Ordering::Relaxed), client);
        }
    }
}
