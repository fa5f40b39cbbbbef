//! Where a process listens.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};

use thiserror::Error;
use tokio::net::TcpListener;

/// Binds the address. The first thing a role does: what is refused here has cost nothing yet.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { address, source })
}

/// The address cannot be had.
#[derive(Debug, Error)]
#[error("cannot listen on {address} (--listen takes another)")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

impl ListenError {
    /// Whether it never will be. One that is merely taken may be free the next time.
    pub fn is_final(&self) -> bool {
        matches!(self.source.kind(), ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied)
    }
}
