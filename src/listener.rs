//! Where a process listens.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::TcpListener;

/// Binds the address. The first thing a role does: what is refused here has cost nothing yet.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (--listen takes another)"))
}
