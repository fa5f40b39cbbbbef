//! Clients that are no well-behaved programs: some hang up in the middle of their request, some send
//! it little by little.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::order::Order;
use crate::bed::system::TICKETS;

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once, over a connection that is kept.
    Plain,
    /// So many thousandths of it; then the client is gone.
    InPart(u64),
    /// All of it, in pieces, over so long.
    Slow(Duration),
}

/// Pieces in which a slow client sends.
const PIECES: u32 = 8;

impl Manner {
    /// Whether a whole request can arrive.
    pub fn is_whole(self) -> bool {
        !matches!(self, Self::InPart(_))
    }
}

/// Sends the order's request as far as that, and goes.
pub async fn send_in_part(edge: SocketAddr, order: &Order, permille: u64) -> io::Result<usize> {
    let bytes = request(edge, order);
    // Whatever the number, never all of it.
    let through = bytes.len() * usize::try_from(permille).expect("of a thousand") / 1_001;
    let mut stream = TcpStream::connect(edge).await?;
    stream.write_all(&bytes[..through]).await?;
    if permille.is_multiple_of(2) {
        stream.set_zero_linger()?;
    }
    Ok(through)
}

/// Sends the order's request over so long; gives back status and body of the answer.
pub async fn send_slowly(
    edge: SocketAddr,
    order: &Order,
    over: Duration,
) -> io::Result<(u16, Vec<u8>)> {
    let bytes = request(edge, order);
    let mut stream = TcpStream::connect(edge).await?;
    for piece in bytes.chunks(bytes.len() / PIECES as usize + 1) {
        stream.write_all(piece).await?;
        sleep(over / PIECES).await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    parse(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The order's request as it is sent: its connection ends with the answer.
pub fn request(edge: SocketAddr, order: &Order) -> Vec<u8> {
    let body = serde_json::to_vec(&order.form).expect("JSON");
    let mut head = format!(
        "POST {TICKETS} HTTP/1.1\r\nhost: {edge}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    if let Some(key) = &order.key {
        let key = format!("idempotency-key: \"{key}\"\r\n");
        head.push_str(&key);
    }
    if order.is_hasty {
        head += "prefer: respond-async\r\n";
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

/// Status and body of an answer that came whole.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let head_bytes = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..head_bytes]).ok()?.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let body = answer[head_bytes + 4..].to_vec();
    (body.len() == length.parse::<usize>().ok()?).then_some((status, body))
}

#[test]
fn an_answer_is_read_when_it_came_whole() {
    let whole = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(parse(whole), Some((201, b"{}".to_vec())));
    assert_eq!(parse(&whole[..whole.len() - 1]), None);
    assert_eq!(parse(&whole[..10]), None);
}
