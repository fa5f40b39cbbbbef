//! `supportline probe`: asks a running process whether it is ready, for a container's health check.
//!
//! An image of this program alone has no shell and no HTTP client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use axum::body::{Body, to_bytes};
use common::config::Config;
use hyper::{Request, client::conn::http1::handshake, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::terminal;

/// A process that needs longer to say that it is ready is not.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than any answer has that says why a process is not ready.
const BODY_BYTES_MAX: usize = 4_096;

/// Asks once. Success when the answer is 200.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let address = reachable(config.process.listen);
    let (status, body) = timeout(PATIENCE, ask(address))
        .await
        .with_context(|| format!("{address} does not answer within {PATIENCE:?}"))?
        .with_context(|| format!("{address} does not answer"))?;
    anyhow::ensure!(status == 200, "not ready: {address} says {status}: {}", body.trim());
    terminal::say(format_args!("{address} is ready"));
    Ok(ExitCode::SUCCESS)
}

/// The address at which a process that listens on `listen` is met on this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr) -> anyhow::Result<(u16, String)> {
    let stream = TcpStream::connect(address).await?;
    let (mut requests, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/readyz").header(HOST, address.to_string()).body(Body::empty())?;
    let response = requests.send_request(request).await?;
    let status = response.status().as_u16();
    let body = to_bytes(Body::new(response.into_body()), BODY_BYTES_MAX).await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_listens_everywhere_is_met_on_the_loopback_interface() {
        for (listen, expected) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), expected.parse().unwrap());
        }
    }
}
