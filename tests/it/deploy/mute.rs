//! An edge that dies with each form in its hands: what may the proxy do with the form then?

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::visitor::Visitor;
use crate::bed::form::Form;

const WELL: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Says that it is well, and hangs up on every POST.
pub struct Mute {
    posts: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Mute {
    pub async fn start(listen: SocketAddr) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let posts = Arc::<AtomicU32>::default();
        let seen = Arc::clone(&posts);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(meet(stream, Arc::clone(&seen)));
            }
        });
        Self { posts, task }
    }

    /// How many forms it was given since it was last asked.
    fn posts(&self) -> u32 {
        self.posts.swap(0, Ordering::Relaxed)
    }

    /// A form that may have been taken is sent again only if it has a key to tell it by.
    pub async fn is_given_again_only_what_has_a_key(&self, proxy: SocketAddr) {
        let visitor = Visitor::number(50_005);
        let seen = visitor.post(proxy, &Form::valid(), "x-request-id: once\r\n").await;
        assert_eq!((seen.status, self.posts()), (502, 1), "{seen:?}");
        assert_eq!(seen.json()["requestId"], "once");
        let key = "idempotency-key: \"twice\"\r\n";
        let seen = visitor.post(proxy, &Form::valid(), key).await;
        let posts = self.posts();
        assert!(seen.status == 502 && posts > 1, "{posts} {seen:?}");
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn meet(mut stream: TcpStream, posts: Arc<AtomicU32>) {
    let mut request = Vec::new();
    // To its end: what hangs up with a part of it unread resets the connection, and the proxy may
    // still be writing.
    while !is_whole(&request) {
        match stream.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    if request.starts_with(b"POST") {
        posts.fetch_add(1, Ordering::Relaxed);
    } else {
        let _ = stream.write_all(WELL).await;
    }
}

/// Whether the head is there, and as much of a body as it promises.
fn is_whole(request: &[u8]) -> bool {
    const END: &[u8] = b"\r\n\r\n";
    let Some(head_bytes) = request.windows(END.len()).position(|it| it == END) else {
        return false;
    };
    let head = String::from_utf8_lossy(&request[..head_bytes]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let body_bytes = length.map_or(0, |length| length.parse().expect("a length"));
    request.len() >= head_bytes + END.len() + body_bytes
}
