//! What a link does to the bytes, in each of its modes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::SILENCE;
use crate::bed::link::{Link, Mode, Way};
use crate::bed::port::Port;
use crate::bed::server::PATIENCE;
use crate::bed::wait::until;

/// A server that says back what it hears, and `!` after each piece.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut piece = [0; 64];
                while let Ok(bytes @ 1..) = stream.read(&mut piece).await {
                    stream.write_all(&piece[..bytes]).await.unwrap();
                    stream.write_all(b"!").await.unwrap();
                }
            });
        }
    });
    address
}

struct Caller(TcpStream);

impl Caller {
    async fn of(link: &Link) -> Self {
        Self(TcpStream::connect(link.address()).await.unwrap())
    }

    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next bytes; `None` when the connection has ended, one way or another.
    async fn hears(&mut self, bytes: usize) -> Option<String> {
        let mut heard = vec![0; bytes];
        let read = timeout(PATIENCE, self.0.read_exact(&mut heard)).await.unwrap();
        read.ok().map(|_| String::from_utf8(heard).unwrap())
    }

    async fn hears_nothing(&mut self) {
        let mut byte = [0; 1];
        assert!(timeout(SILENCE, self.0.read(&mut byte)).await.is_err(), "{byte:?}");
    }

    /// Why the connection is over.
    async fn end(&mut self) -> std::io::Result<usize> {
        timeout(PATIENCE, self.0.read(&mut [0; 64])).await.unwrap()
    }
}

#[tokio::test]
async fn a_link_passes_both_ways_late_if_told_so_and_closes_as_its_ends_do() {
    let link = Link::to(echo().await).await;
    let mut caller = Caller::of(&link).await;
    caller.say("a").await;
    assert_eq!(caller.hears(2).await.unwrap(), "a!");
    assert_eq!(link.hurts(), 0);
    let delay = Duration::from_millis(80);
    link.set(Mode::Delay(delay));
    let said_at = Instant::now();
    caller.say("b").await;
    assert_eq!(caller.hears(2).await.unwrap(), "b!");
    assert!(said_at.elapsed() >= 2 * delay, "once each way");
    assert!(link.hurts() >= 2);
    caller.0.shutdown().await.unwrap();
    assert_eq!(caller.end().await.unwrap(), 0, "the server has closed, too");
}

#[tokio::test]
async fn a_cut_resets_connections_that_are_there_and_those_that_come() {
    let link = Link::to(echo().await).await;
    let mut caller = Caller::of(&link).await;
    caller.say("a").await;
    assert_eq!(caller.hears(2).await.unwrap(), "a!");
    link.set(Mode::Cut);
    let error = caller.end().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut late = Caller::of(&link).await;
    assert!(late.end().await.is_err());
    until(PATIENCE, "both were noted", async || link.hurts() == 2).await;
    link.set(Mode::Pass);
    let mut other = Caller::of(&link).await;
    other.say("b").await;
    assert_eq!(other.hears(2).await.unwrap(), "b!");
    // However short it is.
    link.set(Mode::Cut);
    link.set(Mode::Pass);
    assert!(other.end().await.is_err());
}

#[tokio::test]
async fn a_black_hole_keeps_connections_and_delivers_afterwards() {
    let link = Link::to(echo().await).await;
    let mut before = Caller::of(&link).await;
    link.set(Mode::Blackhole);
    assert_eq!(link.hurts(), 0, "nothing has met it");
    let mut during = Caller::of(&link).await;
    before.say("a").await;
    during.say("b").await;
    before.hears_nothing().await;
    during.hears_nothing().await;
    assert_eq!(link.hurts(), 2);
    link.set(Mode::Pass);
    assert_eq!(before.hears(2).await.unwrap(), "a!");
    assert_eq!(during.hears(2).await.unwrap(), "b!");
}

#[tokio::test]
async fn a_half_open_link_delivers_the_other_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = Link::to(listener.local_addr().unwrap()).await;
    let mut caller = Caller::of(&link).await;
    let mut server = Caller(listener.accept().await.unwrap().0);
    for stopped in [Way::Up, Way::Down] {
        let (heard, unheard) = match stopped {
            Way::Up => (&mut caller, &mut server),
            Way::Down => (&mut server, &mut caller),
        };
        link.set(Mode::HalfOpen(stopped));
        heard.say("a").await;
        unheard.say("b").await;
        assert_eq!(heard.hears(1).await.unwrap(), "b");
        unheard.hears_nothing().await;
        link.set(Mode::Pass);
        assert_eq!(unheard.hears(1).await.unwrap(), "a");
    }
}

#[tokio::test]
async fn a_truncating_link_closes_in_the_middle() {
    let link = Link::to(echo().await).await;
    let mut caller = Caller::of(&link).await;
    caller.say("ab").await;
    assert_eq!(caller.hears(3).await.unwrap(), "ab!");
    link.set(Mode::Truncate(3));
    caller.say("cdefg").await;
    // Three bytes arrive, and of the answer to them whatever was faster than the close.
    assert_eq!(caller.hears(5).await, None);
    assert_eq!(link.hurts(), 1);
}

#[tokio::test]
async fn a_link_leads_to_whichever_server_is_there() {
    let nobody = Port::free();
    let link = Link::to_any(vec![nobody.address(), echo().await]).await;
    for _ in 0..4 {
        let mut caller = Caller::of(&link).await;
        caller.say("a").await;
        assert_eq!(caller.hears(2).await.unwrap(), "a!");
    }
    let dead = Link::to(nobody.address()).await;
    assert!(Caller::of(&dead).await.end().await.is_err());
}
