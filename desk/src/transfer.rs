//! What goes out as a long answer: piece by piece, at the pace of whoever takes it, for as long as they may
//! and the desk runs. One that cannot be finished ends without its last chunk, which no client can take
//! for its end.

use std::{array, future::Future, io, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use common::{chain, ports::store::StoreError};
use futures_util::stream;
use http::{
    auth::{Principal, Stay},
    problem::Problem,
};
use thiserror::Error;
use tokio::{sync::OwnedSemaphorePermit, time::sleep};

use crate::{desk::Desk, live::STANDING_AGE_MAX};

/// How long after each failure in a row the store is asked again. A database that is started anew or
/// taken over is back by then; whoever takes the answer need not begin anew.
const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Waits for a store that is away, some seconds.
pub struct Patience(array::IntoIter<Duration, { RETRY_DELAYS.len() }>);

impl Patience {
    pub fn new() -> Self {
        Self(RETRY_DELAYS.into_iter())
    }

    /// Returns when it is time to ask again; with the error once there is no use in it.
    pub async fn wait(&mut self, error: StoreError) -> Result<(), StoreError> {
        match (error, self.0.next()) {
            (StoreError::Unavailable(_), Some(delay)) => sleep(delay).await,
            (error, _) => return Err(error),
        }
        Ok(())
    }
}

/// What is sent, one piece after the other.
pub trait Pieces: Send + 'static {
    /// The next one, which may be empty; none at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;
}

/// A place among all that goes out and in, and whose it is.
pub struct Transfer {
    desk: Arc<Desk>,
    stay: Stay,
    _place: OwnedSemaphorePermit,
}

/// Why an answer is not finished.
#[derive(Debug, Error)]
enum Break {
    #[error("the desk stops")]
    Stop,
    #[error("whoever asked is not admitted any more")]
    Unadmitted,
    #[error("what is sent is out of reach")]
    Store(#[source] StoreError),
}

impl Transfer {
    /// Takes a place.
    pub fn begin(desk: &Arc<Desk>, principal: &Principal) -> Result<Self, Problem> {
        let place = desk.transfer()?;
        Ok(Self { desk: Arc::clone(desk), stay: Stay::of(principal), _place: place })
    }

    /// An answer's body: what is there already, and all pieces behind it, each read when it is taken.
    pub fn body(self, first: Vec<u8>, pieces: impl Pieces) -> Body {
        let sending = Sending { transfer: self, pieces, first: Some(first) };
        Body::from_stream(stream::unfold(sending, Sending::next))
    }

    async fn next(&mut self, pieces: &mut impl Pieces) -> Result<Option<Vec<u8>>, Break> {
        let desk = &*self.desk;
        let admitted_piece = async {
            if !desk.access.still_admits(&mut self.stay, STANDING_AGE_MAX).await {
                return Err(Break::Unadmitted);
            }
            pieces.next().await.map_err(Break::Store)
        };
        let piece = desk.stop.run_until_cancelled(admitted_piece).await;
        piece.unwrap_or(Err(Break::Stop))
    }
}

/// An answer under way.
struct Sending<P> {
    transfer: Transfer,
    pieces: P,
    /// What is to be sent before the next piece; `None` behind a failure.
    first: Option<Vec<u8>>,
}

impl<P: Pieces> Sending<P> {
    async fn next(mut self) -> Option<(Result<Bytes, io::Error>, Self)> {
        let mut piece = self.first.take()?;
        // Many may be empty in a row, and an empty chunk would be the last.
        while piece.is_empty() {
            match self.transfer.next(&mut self.pieces).await {
                Ok(Some(next)) => piece = next,
                Ok(None) => return None,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "an export breaks off");
                    // Not the store's own words: hyper may log them.
                    return Some((Err(io::Error::other("the export breaks off")), self));
                }
            }
        }
        self.first = Some(Vec::new());
        Some((Ok(piece.into()), self))
    }
}
