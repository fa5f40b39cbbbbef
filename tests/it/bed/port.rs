//! TCP ports that nobody else will take, even while their server is down.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range from which Linux picks the local port of an outgoing connection (32768 and
/// up): a killed server must find its port free again when it comes back.
pub const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

/// A port of 127.0.0.1, ours until it is dropped.
pub struct Port {
    number: u16,
    /// An abstract Unix socket named after the port: the kernel gives a name to one process of
    /// the machine at a time and takes it back when that one dies, of whatever.
    _claim: UnixListener,
}

impl Port {
    /// Claims a port on which nothing listens.
    pub fn free() -> Self {
        // Two test binaries at once start far apart, so that they seldom ask for the same one.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let start = std::process::id().wrapping_mul(7_919);
        (0..COUNT)
            .map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST)
            .filter_map(|number| u16::try_from(number).ok())
            .find_map(Self::claim)
            .expect("a free port between 10000 and 32000")
    }

    fn claim(number: u16) -> Option<Self> {
        let name = format!("supportline-port-{number}");
        let address = UnixAddress::from_abstract_name(name).expect("a socket name");
        let claim = UnixListener::bind_addr(&address).ok()?;
        // Asked by connecting: a listener of ours, even a closed one, could live on for a moment
        // in a child that another test is just starting.
        let unused = TcpStream::connect((Ipv4Addr::LOCALHOST, number)).is_err();
        unused.then_some(Self { number, _claim: claim })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its address on the loopback interface.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
