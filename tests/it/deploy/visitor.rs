//! Somebody with an address of their own who sends one request and reads the answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use crate::bed::form::Form;

/// Longer than any retry takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// One of the addresses of the loopback interface.
#[derive(Clone, Copy)]
pub struct Visitor(pub Ipv4Addr);

/// A status, the head and the body.
#[derive(Clone, Debug)]
pub struct Seen {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Visitor {
    /// The visitor with this number; no two that are less than 60,000 apart have one address.
    pub fn number(number: u32) -> Self {
        let [_, _, high, low] = (number % 60_000 + 1).to_be_bytes();
        Self(Ipv4Addr::new(127, 99, high, low))
    }

    pub async fn get(self, proxy: SocketAddr, path: &str, headers: &str) -> Seen {
        self.ask(proxy, &format!("GET {path} HTTP/1.1\r\n{headers}"), "").await
    }

    /// Sends the form.
    pub async fn post(self, proxy: SocketAddr, form: &Form, headers: &str) -> Seen {
        let body = form.json().to_string();
        let head = format!(
            "POST /api/support/ticket HTTP/1.1\r\n{headers}content-type: application/json\r\n\
             content-length: {}\r\n",
            body.len()
        );
        self.ask(proxy, &head, &body).await
    }

    /// Begins to read a stream that does not end, and stops at the first line that has `part`.
    pub async fn follow(self, proxy: SocketAddr, path: &str, part: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: support.example\r\n\r\n");
        let exchange = async {
            let mut stream = BufReader::new(self.connect(proxy).await?);
            stream.write_all(request.as_bytes()).await?;
            loop {
                let mut line = String::new();
                let is_end = stream.read_line(&mut line).await? == 0;
                if is_end || line.contains(part) {
                    return std::io::Result::Ok(line);
                }
            }
        };
        let line = tokio::time::timeout(DEADLINE, exchange).await;
        line.expect("the line comes in time").expect("a stream")
    }

    async fn connect(self, proxy: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.0, 0).into())?;
        socket.connect(proxy).await
    }

    async fn ask(self, proxy: SocketAddr, head: &str, body: &str) -> Seen {
        let request = format!("{head}host: support.example\r\nconnection: close\r\n\r\n{body}");
        let exchange = async {
            let mut stream = self.connect(proxy).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let answer = tokio::time::timeout(DEADLINE, exchange).await;
        let answer = answer.expect("an answer in time").expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        Seen { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}
