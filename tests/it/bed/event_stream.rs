//! A client of server-sent events, as a browser's `EventSource` is one.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, HOST};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::Failure;
use super::system::TICKETS;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// What to resume after.
    pub id: String,
    /// Its name.
    pub event: String,
    /// What it says.
    pub data: Value,
}

/// An open stream of a ticket's progress.
pub struct EventStream {
    /// The answer's headers.
    pub headers: HeaderMap,
    /// All that came, to the byte.
    pub text: String,
    read: usize,
    body: Incoming,
    /// The connection is closed when this is dropped.
    _connection: SendRequest<Empty<Bytes>>,
}

impl EventStream {
    /// Opens one; fails the test when it is refused.
    pub async fn open(address: SocketAddr, id: &str, last_event_id: Option<&str>) -> Self {
        Self::try_open(address, id, last_event_id).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Opens one at a server that may refuse.
    pub async fn try_open(
        address: SocketAddr,
        id: &str,
        last_event_id: Option<&str>,
    ) -> Result<Self, Failure> {
        let last = last_event_id.map(|last| ("last-event-id", last));
        Self::of(address, &format!("{TICKETS}/{id}/events"), last).await
    }

    /// Opens the one that staff follow all tickets by.
    pub async fn of_staff(address: SocketAddr, token: &str) -> Self {
        let path = "/api/support/admin/tickets/events";
        let bearer = format!("Bearer {token}");
        let opened = Self::of(address, path, Some(("authorization", &bearer))).await;
        opened.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn of(
        address: SocketAddr,
        path: &str,
        header: Option<(&'static str, &str)>,
    ) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        let (mut connection, serving) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(serving);
        let mut request = Request::get(path)
            .header(HOST, address.to_string())
            .header(ACCEPT, "text/event-stream");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = connection.send_request(request.body(Empty::new())?).await?;
        let (head, body) = answer.into_parts();
        if head.status != 200 {
            let body = body.collect().await?.to_bytes();
            return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)).into());
        }
        let text = String::new();
        Ok(Self { headers: head.headers, text, read: 0, body, _connection: connection })
    }

    /// Waits for the next event. `None` when the stream came to its end; fails the test at the
    /// deadline.
    pub async fn next(&mut self, deadline: Duration) -> Option<ServerEvent> {
        let next = timeout(deadline, self.read_on()).await;
        next.unwrap_or_else(|_| panic!("no event within {deadline:?} after {:?}", self.text))
    }

    async fn read_on(&mut self) -> Option<ServerEvent> {
        loop {
            while let Some((block, _)) = self.text[self.read..].split_once("\n\n") {
                let event = parse(block);
                self.read += block.len() + 2;
                if event.is_some() {
                    return event;
                }
            }
            let frame = self.body.frame().await?.expect("a stream that does not break off");
            let data = frame.into_data().expect("data");
            self.text += str::from_utf8(&data).expect("text");
        }
    }
}

/// An event, unless the block is a comment or says when to come back.
fn parse(block: &str) -> Option<ServerEvent> {
    let field = |name: &str| {
        let prefix = format!("{name}: ");
        block.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
    };
    let data = serde_json::from_str(&field("data")?).expect("JSON");
    Some(ServerEvent { id: field("id").unwrap_or_default(), event: field("event")?, data })
}
