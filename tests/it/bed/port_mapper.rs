//! What Erlang's nodes ask for each other's ports: an `epmd` of the bed's own.
//!
//! The real one outlives whoever starts it, and knows one answer for everybody. This one ends with
//! its owner, and can send a node to another over a link of ours, which is how a test comes between
//! two nodes of a cluster.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::port::Port;

/// The questions: "I am here", "where is that one" and "who is here".
const ALIVE: u8 = 120;
const PORT_PLEASE: u8 = 122;
const NAMES: u8 = 110;

/// And the answers to the first two.
const ALIVE_TOLD: u8 = 118;
const PORT_TOLD: u8 = 119;

/// In an answer to "where": an ordinary node, over TCP, of the versions 5 and 6 of the protocol.
const ORDINARY: [u8; 6] = [77, 0, 0, 6, 0, 5];

/// A port mapper of one node, and of those who call that node. It runs on threads, not on the
/// runtime of whichever test was first to ask for a shared server.
pub struct PortMapper {
    port: Port,
    known: Arc<Known>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Known {
    has_ended: AtomicBool,
    /// Those who said themselves where they are.
    here: Mutex<HashMap<String, u16>>,
    /// Those of whom it was told.
    elsewhere: Mutex<HashMap<String, u16>>,
}

impl PortMapper {
    /// Starts one.
    pub fn start() -> Self {
        let (port, known) = (Port::free(), Arc::<Known>::default());
        let listener = TcpListener::bind(port.address()).expect("listen on a port of ours");
        let accepting = std::thread::spawn({
            let (known, number) = (Arc::clone(&known), port.number());
            move || accept(&listener, &known, number)
        });
        Self { port, known, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn number(&self) -> u16 {
        self.port.number()
    }

    /// Sends whoever asks for that node to this port.
    pub fn point(&self, node: &str, port: u16) {
        lock(&self.known.elsewhere).insert(node.to_owned(), port);
    }
}

impl Drop for PortMapper {
    fn drop(&mut self) {
        self.known.has_ended.store(true, Ordering::Relaxed);
        // It waits for a connection.
        let _ = TcpStream::connect(self.port.address());
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

fn accept(listener: &TcpListener, known: &Arc<Known>, number: u16) {
    for stream in listener.incoming().flatten() {
        if known.has_ended.load(Ordering::Relaxed) {
            return;
        }
        let known = Arc::clone(known);
        // Whoever says that it is here stays on the line for as long as that is so.
        std::thread::spawn(move || answer(stream, &known, number));
    }
}

fn answer(mut stream: TcpStream, known: &Known, number: u16) -> io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question)?;
    match question.split_first() {
        Some((&ALIVE, rest)) => keep(stream, known, rest),
        Some((&PORT_PLEASE, name)) => stream.write_all(&known.place_of(name)),
        Some((&NAMES, _)) => stream.write_all(&known.names(number)),
        _ => Ok(()),
    }
}

/// Remembers a node until it is gone.
fn keep(mut stream: TcpStream, known: &Known, told: &[u8]) -> io::Result<()> {
    let number = |at: usize| Some(u16::from_be_bytes([*told.get(at)?, *told.get(at + 1)?]));
    let name = number(8).and_then(|length| told.get(10..10 + usize::from(length)));
    let (Some(port), Some(name)) = (number(0), name) else { return Ok(()) };
    let name = String::from_utf8_lossy(name).into_owned();
    lock(&known.here).insert(name.clone(), port);
    // Tells two lives of a node apart; a life of its own has each connection's port.
    let life = u32::from(stream.peer_addr()?.port());
    let told = stream.write_all(&[&[ALIVE_TOLD, 0][..], &life.to_be_bytes()].concat());
    let gone = told.and_then(|()| stream.read(&mut [0]));
    let mut here = lock(&known.here);
    // Unless it is back already.
    if here.get(&name) == Some(&port) {
        here.remove(&name);
    }
    gone.map(drop)
}

impl Known {
    fn place_of(&self, name: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(name).into_owned();
        let place = lock(&self.elsewhere).get(&text).copied();
        let Some(port) = place.or_else(|| lock(&self.here).get(&text).copied()) else {
            return vec![PORT_TOLD, 1];
        };
        let length = u16::try_from(name.len()).expect("a short name");
        let port = port.to_be_bytes();
        [&[PORT_TOLD, 0][..], &port, &ORDINARY, &length.to_be_bytes(), name, &[0, 0]].concat()
    }

    fn names(&self, number: u16) -> Vec<u8> {
        let here = lock(&self.here);
        let lines = here.iter().map(|(name, port)| format!("name {name} at port {port}\n"));
        let lines: String = lines.collect();
        [&u32::from(number).to_be_bytes()[..], lines.as_bytes()].concat()
    }
}

/// A thread that panicked elsewhere does not spoil what is known.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
