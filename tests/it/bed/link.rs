//! A TCP link that can be made to fail: a proxy between a process and a server.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::try_join;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::port::Port;

/// What is read at a time.
const PIECE_BYTES: usize = 32 * 1_024;

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They arrive.
    Pass,
    /// Each piece arrives so much later, and none before it.
    Delay(Duration),
    /// Connections are reset, those that are there and those that come.
    Cut,
    /// Connections stay and new ones are accepted, and nothing arrives. What was sent meanwhile
    /// arrives afterwards, as it does where packets were lost and are sent again.
    Blackhole,
    /// As a black hole, one way only.
    HalfOpen(Way),
    /// Each connection carries so many bytes more each way, and is closed in the middle of
    /// whatever that is the middle of.
    Truncate(usize),
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    Up,
    /// From the server.
    Down,
}

impl Mode {
    fn delivers(self, way: Way) -> bool {
        self != Self::Blackhole && self != Self::HalfOpen(way)
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// How often it was cut. A short cut could otherwise go unnoticed by a connection.
    cuts: u32,
}

/// A listener that passes on what it is sent, as its mode says; closed with all its connections
/// when it is dropped.
pub struct Link {
    port: Port,
    state: watch::Sender<State>,
    hurts: Arc<AtomicU64>,
    _accepting: AbortOnDropHandle<()>,
}

impl Link {
    /// A link to a server, which need not be there yet.
    pub async fn to(server: SocketAddr) -> Self {
        Self::to_any(vec![server]).await
    }

    /// A link to whichever of several servers takes the connection, each in its turn.
    pub async fn to_any(servers: Vec<SocketAddr>) -> Self {
        let port = Port::free();
        let listener = TcpListener::bind(port.address()).await.expect("listen on a port of ours");
        let (state, states) = watch::channel(State { mode: Mode::Pass, cuts: 0 });
        let servers = Servers { addresses: servers.into(), next: Arc::default() };
        let hurts = Arc::default();
        let states = States { state: states, hurts: Arc::clone(&hurts) };
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, servers, states)));
        Self { port, state, hurts, _accepting: accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// How often a mode made a difference so far: to a piece that came late or not yet, or to a
    /// connection that was closed or not made.
    pub fn hurts(&self) -> u64 {
        self.hurts.load(Ordering::Relaxed)
    }

    /// Changes what becomes of the bytes from now on.
    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| {
            state.mode = mode;
            state.cuts += u32::from(mode == Mode::Cut);
        });
    }
}

/// What a connection goes by.
#[derive(Clone)]
struct States {
    state: watch::Receiver<State>,
    hurts: Arc<AtomicU64>,
}

impl States {
    fn note(&self) {
        self.hurts.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until bytes are delivered that way, and says how.
    async fn delivered(&mut self, way: Way) -> io::Result<Mode> {
        let delivering = self.state.wait_for(|it| it.mode.delivers(way)).await;
        delivering.map(|state| state.mode).map_err(io::Error::other)
    }
}

#[derive(Clone)]
struct Servers {
    addresses: Arc<[SocketAddr]>,
    next: Arc<AtomicUsize>,
}

impl Servers {
    async fn connect(&self) -> io::Result<TcpStream> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut refused = Err(io::ErrorKind::NotFound.into());
        for place in 0..self.addresses.len() {
            let address = self.addresses[(first + place) % self.addresses.len()];
            refused = TcpStream::connect(address).await;
            if refused.is_ok() {
                break;
            }
        }
        refused
    }
}

async fn accept(listener: TcpListener, servers: Servers, states: States) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(carry(client, servers.clone(), states.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, to its end.
async fn carry(mut client: TcpStream, servers: Servers, mut states: States) {
    let State { mode, cuts: born } = *states.state.borrow_and_update();
    if mode == Mode::Blackhole {
        states.note();
    }
    let mut cuts = states.state.clone();
    let mut cut = pin!(cuts.wait_for(|it| it.mode == Mode::Cut || it.cuts != born));
    let connected = async {
        // A black hole accepts; the server hears of it later.
        states.state.wait_for(|it| it.mode != Mode::Blackhole).await.map_err(io::Error::other)?;
        servers.connect().await
    };
    let server = tokio::select! {
        _ = &mut cut => {
            states.note();
            Err(io::ErrorKind::ConnectionReset.into())
        }
        connected = connected => connected,
    };
    let Ok(mut server) = server else { return reset(&client) };
    // What waits here to be sent together would be a delay that nobody asked for.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let is_cut = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let up = pump(Way::Up, from_client, to_server, states.clone());
        let down = pump(Way::Down, from_server, to_client, states.clone());
        tokio::select! {
            _ = &mut cut => true,
            _ = try_join(up, down) => false,
        }
    };
    if is_cut {
        states.note();
        reset(&client);
        reset(&server);
    }
}

/// Makes the close that follows a reset, which is also how a dead machine's kernel answers.
fn reset(stream: &TcpStream) {
    // Fails only where there is nothing left to reset.
    let _ = stream.set_zero_linger();
}

/// Passes one way on until its end, or until the connection is to be closed as a whole.
async fn pump(
    way: Way,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut states: States,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = None;
    loop {
        // What is not read fills the sender's buffers, as it does where nothing is acknowledged.
        states.delivered(way).await?;
        let bytes = from.read(&mut piece).await?;
        if !states.state.borrow().mode.delivers(way) {
            states.note();
        }
        let mode = states.delivered(way).await?;
        if bytes == 0 {
            return to.shutdown().await;
        }
        let mut through = bytes;
        match mode {
            Mode::Delay(time) => {
                states.note();
                sleep(time).await;
            }
            Mode::Truncate(bytes_max) => through = bytes.min(*left.get_or_insert(bytes_max)),
            _ => left = None,
        }
        to.write_all(&piece[..through]).await?;
        left = left.map(|left| left - through);
        if through < bytes || left == Some(0) {
            states.note();
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
