//! What only a socket can say: requests that are no HTTP, or that a proxy might read otherwise.

use std::fmt::Write;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::metrics::Metrics;
use super::{Api, on_both_systems};
use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::wait::within;

on_both_systems! {
    a_request_that_does_not_come_to_its_end_is_cut_off,
    slow_and_silent_clients_are_cut_off_while_others_are_served,
    a_length_beside_chunks_smuggles_nothing,
    what_is_no_http_is_refused_and_the_connection_closed,
    a_chunked_body_may_be_as_large_as_any_other_and_no_larger,
    who_asks_first_is_not_told_to_send_what_is_too_large,
    http_1_0_is_served_and_closed,
    what_is_asked_of_a_proxy_is_asked_of_the_wrong_one,
    a_head_has_its_bounds,
    bytes_that_are_no_text_in_headers_harm_nothing,
}

/// What a head or a body may take, which is ten seconds, and a moment to notice that it is over.
const CUT_OFF_WITHIN: Duration = Duration::from_secs(13);

/// Longer than that, also where the processors are busy.
const DEADLINE: Duration = Duration::from_mins(1);

/// What an answer may take while others are slow: what a person waits for.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

/// Longer than a connection may hold whose client does not read.
const UNREAD_DEADLINE: Duration = Duration::from_mins(1);

const POST: &str =
    "POST /api/support/ticket HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

/// Sends bytes and gives back all that comes until the other side closes, which it may do before
/// it has read everything.
async fn exchange(api: &Api, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(api.system.edge(0).address()).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(DEADLINE, exchange).await.expect("the connection is closed in time")
}

fn form() -> String {
    serde_json::to_string(&Form::valid()).unwrap()
}

/// How a response begins.
fn status(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

fn responses(answer: &str) -> usize {
    answer.matches("HTTP/1.").count()
}

async fn a_request_that_does_not_come_to_its_end_is_cut_off(api: Api) {
    let begun_at = Instant::now();
    let half_body = format!("{POST}content-length: 500\r\n\r\n{{\"name\":");
    let (head, body, silence) = tokio::join!(
        exchange(&api, b"POST /api/support/ticket HTTP/1.1\r\nho"),
        exchange(&api, half_body.as_bytes()),
        exchange(&api, b""),
    );
    assert_eq!((&*head, &*silence), ("", ""), "nothing was asked");
    assert_eq!(status(&body), "HTTP/1.1 408 Request Timeout", "{body}");
    assert!(body.contains("\"code\":\"body_timeout\""), "{body}");
    assert!(begun_at.elapsed() < within(CUT_OFF_WITHIN), "{:?}", begun_at.elapsed());
}

/// Sends the beginning, and then a drop every now and then until that fails; tells when.
async fn drip(api: &Api, beginning: &str, drop: &[u8]) -> Duration {
    let begun_at = Instant::now();
    let mut stream = TcpStream::connect(api.system.edge(0).address()).await.unwrap();
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    while begun_at.elapsed() < DEADLINE {
        let reading = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut answer));
        match reading.await {
            // Closed, or answered, which is the last there is to it.
            Ok(_) => return begun_at.elapsed(),
            Err(_) if stream.write_all(drop).await.is_err() => return begun_at.elapsed(),
            Err(_) => {}
        }
    }
    panic!("{beginning:?} is waited for for ever")
}

/// Asks and asks, and never reads, until the edge has counted that it gave up; tells when.
async fn never_read(api: &Api) -> Duration {
    let client = Client::new(api.system.edge(0).address());
    let given_up =
        async || Metrics::of(&client).await.sum("http_connections_cut_off_total", &["write"]);
    let before = given_up().await;
    let stream = TcpStream::connect(api.system.edge(0).address()).await.unwrap();
    let requests = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    let begun_at = Instant::now();
    while given_up().await <= before {
        assert!(begun_at.elapsed() < UNREAD_DEADLINE, "who never reads is waited for for ever");
        // However often it would block: whoever does not read cannot go on writing either.
        let _ = stream.try_write(requests.as_bytes());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun_at.elapsed()
}

async fn slow_and_silent_clients_are_cut_off_while_others_are_served(api: Api) {
    let body = format!("{POST}content-length: 5000\r\n\r\n{{\"name\":\"");
    let chunks = format!("{POST}transfer-encoding: chunked\r\n\r\n");
    let slow = async {
        tokio::join!(
            drip(&api, "GET /livez HTTP/1.1\r\n", b"x: y\r\n"),
            drip(&api, &body, b"x"),
            drip(&api, &chunks, b"1\r\n \r\n"),
            never_read(&api),
        )
    };
    let mut slow = std::pin::pin!(slow);
    let (mut served, mut slowest) = (0, Duration::ZERO);
    let (head, body, chunks, unread) = loop {
        let asked_at = Instant::now();
        tokio::select! {
            ended = &mut slow => break ended,
            answer = async {
                let answer = api.submit(&Form::valid()).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                answer
            } => assert!(answer.status.is_success(), "{answer:?}"),
        }
        served += 1;
        slowest = slowest.max(asked_at.elapsed());
    };
    for (which, ended) in [("head", head), ("body", body), ("chunks", chunks)] {
        let is_in_time = ended >= Duration::from_secs(9) && ended < within(CUT_OFF_WITHIN);
        assert!(is_in_time, "the slow {which} was cut off after {ended:?}");
    }
    assert!(unread >= Duration::from_secs(29), "{unread:?}");
    assert!(served > 20 && slowest < within(SERVED_WITHIN), "{served} served, {slowest:?}");
}

async fn a_length_beside_chunks_smuggles_nothing(api: Api) {
    let form = form();
    let hidden = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let chunks = format!("{:x}\r\n{form}\r\n0\r\n\r\n{hidden}", form.len());
    for framing in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "transfer-encoding: chunked",
    ] {
        let answer = exchange(&api, format!("{POST}{framing}\r\n\r\n{chunks}").as_bytes()).await;
        assert_eq!(responses(&answer), 1, "{framing}: {answer}");
        assert!(answer.contains("connection: close"), "{framing}: {answer}");
    }
    for framing in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: -1",
        "content-length: +5",
        "content-length: 0x10",
        "content-length: 99999999999999999999999",
        "transfer-encoding: identity, chunked, identity",
        "transfer-encoding: chunked, gzip",
    ] {
        let answer = exchange(&api, format!("{POST}{framing}\r\n\r\n{chunks}").as_bytes()).await;
        assert_eq!(status(&answer), "HTTP/1.1 400 Bad Request", "{framing}");
        assert_eq!(responses(&answer), 1, "{framing}: {answer}");
    }
}

async fn what_is_no_http_is_refused_and_the_connection_closed(api: Api) {
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET /livez HTTP/1.1\r\nhost: x\r\nbroken\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nx : y\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n",
        b"GET /li vez HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /livez HTTP/9.9\r\nhost: x\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let answer = exchange(&api, bytes).await;
        assert_eq!(status(&answer), "HTTP/1.1 400 Bad Request", "{}", bytes.escape_ascii());
    }
    let broken_chunks = format!("{POST}transfer-encoding: chunked\r\n\r\nxyz\r\n{{}}\r\n0\r\n\r\n");
    let answer = exchange(&api, broken_chunks.as_bytes()).await;
    assert_eq!(status(&answer), "HTTP/1.1 400 Bad Request");
    assert!(answer.contains("\"code\":\"incomplete_body\""), "{answer}");
}

async fn a_chunked_body_may_be_as_large_as_any_other_and_no_larger(api: Api) {
    for (bytes, expected) in [
        (65_536, "HTTP/1.1 201 Created"),
        (65_537, "HTTP/1.1 413 Payload Too Large"),
        (1_000_000, "HTTP/1.1 413 Payload Too Large"),
    ] {
        let form = form();
        let body = format!("{}{form}", " ".repeat(bytes - form.len()));
        let mut chunks = String::new();
        for chunk in body.as_bytes().chunks(1_000) {
            let text = str::from_utf8(chunk).unwrap();
            write!(chunks, "{:x}\r\n{text}\r\n", text.len()).unwrap();
        }
        let request = format!("{POST}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
        assert_eq!(status(&exchange(&api, request.as_bytes()).await), expected, "{bytes} bytes");
    }
}

async fn who_asks_first_is_not_told_to_send_what_is_too_large(api: Api) {
    let asked = format!("{POST}content-length: 65537\r\nexpect: 100-continue\r\n\r\n");
    let answer = exchange(&api, asked.as_bytes()).await;
    assert_eq!(status(&answer), "HTTP/1.1 413 Payload Too Large");
    assert_eq!(responses(&answer), 1, "{answer}");
    let form = form();
    let asked = format!(
        "{POST}content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n{form}",
        form.len()
    );
    let answer = exchange(&api, asked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created"), "{answer}");
}

async fn http_1_0_is_served_and_closed(api: Api) {
    let answer = exchange(&api, b"GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&answer), "HTTP/1.0 200 OK");
    assert!(answer.ends_with("{\"status\":\"ok\"}"), "{answer}");
    let form = form();
    let post = POST.replace("HTTP/1.1", "HTTP/1.0");
    let request = format!("{post}content-length: {}\r\n\r\n{form}", form.len());
    assert_eq!(status(&exchange(&api, request.as_bytes()).await), "HTTP/1.0 201 Created");
}

async fn what_is_asked_of_a_proxy_is_asked_of_the_wrong_one(api: Api) {
    for (request, expected) in [
        ("CONNECT evil.example:443 HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("OPTIONS * HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("TRACE / HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("GET http://evil.example/nowhere HTTP/1.1", "HTTP/1.1 404 Not Found"),
        ("GET http://evil.example/livez HTTP/1.1", "HTTP/1.1 200 OK"),
    ] {
        let bytes = format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = exchange(&api, bytes.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{request}");
        assert_eq!(responses(&answer), 1, "{request}: {answer}");
    }
}

async fn a_head_has_its_bounds(api: Api) {
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(100_000));
    let long_header = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let many_headers = format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    for request in [long_path, long_header, many_headers] {
        let answer = exchange(&api, request.as_bytes()).await;
        let refused = ["HTTP/1.1 414 URI Too Long", "HTTP/1.1 431 Request Header Fields Too Large"];
        assert!(refused.contains(&status(&answer)), "{request:.30}: {answer}");
    }
}

async fn bytes_that_are_no_text_in_headers_harm_nothing(api: Api) {
    let form = form();
    let agent = "x".repeat(8_000);
    for header in [
        b"user-agent: \xff\xfe \xc3\xa4".as_slice(),
        format!("user-agent: {agent}").as_bytes(),
        b"x-request-id: \xff",
        b"traceparent: \xff",
        b"prefer: \xff",
        b"x-forwarded-for: 1.2.3.4, \xff",
        b"forwarded: for=\"[::1]:80\";proto=\xff",
    ] {
        let head = format!("{POST}content-length: {}\r\nconnection: close\r\n", form.len());
        let request = [head.as_bytes(), header, b"\r\n\r\n", self::form().as_bytes()].concat();
        let answer = exchange(&api, &request).await;
        assert_eq!(status(&answer), "HTTP/1.1 201 Created", "{}", header.escape_ascii());
    }
}
