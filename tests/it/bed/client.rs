//! A small HTTP client. It never sends a request twice: how often is what tests are about. And it
//! holds every answer of the public API against the `OpenAPI` document.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::document::Document;

/// Nothing we serve may take longer, whatever is broken behind it.
const DEADLINE: Duration = Duration::from_secs(10);

/// A server closes a connection that was idle for ten seconds. One that was nearly as long could be
/// closed with a request already on its way, of which nobody knows what became.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Speaks HTTP/1.1 to one address over as many kept connections as it has requests at once.
/// Clones share the connections.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    idle: Arc<Mutex<Vec<Idle>>>,
    is_of_the_api: bool,
}

struct Idle {
    connection: SendRequest<Full<Bytes>>,
    since: Instant,
}

impl Client {
    /// A client of the server at `address`; connects when it is first used.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, idle: Arc::default(), is_of_the_api: false }
    }

    /// A client of a public edge: an answer that the document does not describe fails the test.
    pub fn of_the_api(address: SocketAddr) -> Self {
        Self { is_of_the_api: true, ..Self::new(address) }
    }

    /// Begins a GET request.
    pub fn get(&self, path: &str) -> Asking {
        self.request(Method::GET, path)
    }

    /// Begins a POST request.
    pub fn post(&self, path: &str) -> Asking {
        self.request(Method::POST, path)
    }

    /// Begins any request.
    pub fn request(&self, method: Method, path: &str) -> Asking {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a path");
        let host = self.address.to_string().parse().expect("a host");
        request.headers_mut().insert(HOST, host);
        Asking { client: self.clone(), request }
    }

    /// Sends bytes that need not be HTTP, on a connection of their own, and gives back all that
    /// comes until the server closes it. (It keeps it open after a good HTTP/1.1 request, unless
    /// that says `connection: close`.)
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(bytes).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        let answer = tokio::time::timeout(DEADLINE, exchange).await;
        answer.expect("the server closes the connection in time").expect("raw bytes are exchanged")
    }

    /// Closes the kept connections; one to a process that was just killed looks alive for a while.
    pub fn disconnect(&self) {
        self.idle.lock().expect("no panic under this lock").clear();
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Answer, Failure> {
        let (method, path) = (request.method().clone(), request.uri().clone());
        let mut request = request.map(Full::new);
        let (response, connection) = loop {
            let (mut connection, is_kept) = self.connection().await?;
            match connection.try_send_request(request).await {
                Ok(response) => break (response, connection),
                Err(mut error) => match error.take_message() {
                    // Not a byte of it was sent: the server had closed the kept connection.
                    Some(unsent) if is_kept => request = unsent,
                    _ => return Err(error.into_error().into()),
                },
            }
        };
        let (head, mut body) = response.into_parts();
        let is_stream = head.headers.get(CONTENT_TYPE).is_some_and(|it| it == "text/event-stream");
        let body = if is_stream {
            // It has no end: its first message will do, and the connection is no good afterwards.
            match body.frame().await {
                Some(first) => first?.into_data().map_err(|_| "a stream of no data")?,
                None => Bytes::new(),
            }
        } else {
            let body = body.collect().await?.to_bytes();
            let idle = Idle { connection, since: Instant::now() };
            self.idle.lock().expect("no panic under this lock").push(idle);
            body
        };
        let answer = Answer { status: head.status, headers: head.headers, body };
        if self.is_of_the_api {
            assert_is_described(&method, path.path(), &answer);
        }
        Ok(answer)
    }

    /// A connection, and whether it was used before.
    async fn connection(&self) -> Result<(SendRequest<Full<Bytes>>, bool), Failure> {
        while let Some(Idle { mut connection, since }) = self.pop_idle() {
            // Err: the server has closed it in the meantime, as it may.
            if since.elapsed() < IDLE_MAX && connection.ready().await.is_ok() {
                return Ok((connection, true));
            }
        }
        let stream = TcpStream::connect(self.address).await?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok((requests, false))
    }

    fn pop_idle(&self) -> Option<Idle> {
        self.idle.lock().expect("no panic under this lock").pop()
    }
}

/// The `OpenAPI` document, of every role there is.
pub fn openapi() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        http::openapi::document(&[ingest::chapter(), desk::chapter()]).to_string()
    });
    &TEXT
}

fn assert_is_described(method: &Method, path: &str, answer: &Answer) {
    static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::parse(openapi()));
    let Answer { status, headers, body } = answer;
    let violations = DOCUMENT.violations(method, path, *status, headers, body);
    let told = violations.join("\n");
    assert!(violations.is_empty(), "{method} {path} answers {answer:?}, and the document:\n{told}");
}

/// Why there is no answer: a broken or refused connection, or the deadline.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A request being written.
#[must_use = "nothing is asked before `send`"]
pub struct Asking {
    client: Client,
    request: Request<Bytes>,
}

impl Asking {
    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().expect("a header value"));
        self
    }

    /// Adds a bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// Sets a JSON body and its content type.
    pub fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("JSON");
        self.header(CONTENT_TYPE.as_str(), "application/json").body(body)
    }

    /// Sets a body without saying what it is.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sends it; fails the test, naming the request, when no answer comes.
    pub async fn send(self) -> Answer {
        let name =
            format!("{} {}{}", self.request.method(), self.client.address, self.request.uri());
        self.try_send().await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Sends it to a server that may be dead or dying.
    pub async fn try_send(self) -> Result<Answer, Failure> {
        match tokio::time::timeout(DEADLINE, self.client.exchange(self.request)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {DEADLINE:?}").into()),
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; it compares with a number.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header of visible characters"))
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        self.parse()
    }

    /// The body as JSON of a known shape.
    pub fn parse<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in an answer {}: {:?}", self.status, self.body))
    }
}
