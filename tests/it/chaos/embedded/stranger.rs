//! Clients who are slow, or hang up in the middle of what they send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::bed::seeded::Seeded;
use crate::chaos::clients::outcome;
use crate::chaos::ledger::{Ledger, Outcome};
use crate::chaos::manners::{request, send_slowly};
use crate::chaos::order::Order;

/// The part of what a seed decides; see [`crate::chaos::plan`].
const STRANGERS: u64 = 7;

/// Their forms have other addresses than the crowd's.
const OTHER_SEEDS: u64 = 1 << 40;

/// As long as anybody of the crowd has.
const PATIENCE: Duration = Duration::from_secs(4);

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(30);

/// Sends one form after the other until the end. A form that is not sent whole is not in the ledger:
/// a ticket of it would be nobody's.
pub async fn bother(
    seed: u64,
    edges: Vec<SocketAddr>,
    ledger: Arc<Ledger>,
    closing: CancellationToken,
) {
    let random = &mut Seeded::for_part(seed, STRANGERS);
    let mut number = 0;
    while !closing.is_cancelled() {
        let (edge, order) = (random.pick(&edges), Order::of(seed + OTHER_SEEDS, number));
        let order = Order { key: None, is_hasty: false, ..order };
        let request = request(edge, &order);
        match random.below(3) {
            0 => {
                let cut = random.below(request.len());
                // Whether it arrives does not matter.
                let _ = timeout(PATIENCE, hang_up(edge, &request[..cut])).await;
            }
            1 => {
                let attempt = ledger.attempt(&order, true).await;
                let _ = timeout(PATIENCE, hang_up(edge, &request)).await;
                ledger.told(attempt, Outcome::Unknown("hung up at the end".to_owned()));
            }
            _ => {
                let attempt = ledger.attempt(&order, true).await;
                let over = random.millis(8..=640);
                let told = match timeout(PATIENCE, send_slowly(edge, &order, over)).await {
                    Ok(Ok((status, body))) => outcome(status, &body),
                    _ => Outcome::Unknown("half an answer, or none".to_owned()),
                };
                ledger.told(attempt, told);
            }
        }
        number += 1;
        sleep(PAUSE).await;
    }
}

async fn hang_up(edge: SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(edge).await?;
    stream.write_all(bytes).await
}
