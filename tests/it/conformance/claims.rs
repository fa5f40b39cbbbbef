//! The promises of `common::ports::claims`.

use std::sync::Arc;
use std::time::Duration;

use common::domain::SubmissionId;
use common::ports::claims::{ClaimName, Claimed, Claims};
use uuid::Uuid;

use super::installation::Installation;
use super::on_both_backends;
use crate::bed::wait::until;

on_both_backends! {
    of_many_claims_at_a_time_one_is_the_first,
    a_claim_ends_with_its_time,
    a_claim_is_released_by_its_id_alone,
}

const LONG: Duration = Duration::from_mins(10);
const DEADLINE: Duration = Duration::from_secs(10);

fn name(number: u8) -> ClaimName {
    ClaimName([number; 16])
}

fn id(number: u128) -> SubmissionId {
    Uuid::from_u128(number).into()
}

async fn of_many_claims_at_a_time_one_is_the_first(it: Installation) {
    let edges: [Arc<dyn Claims>; 2] =
        [it.backend.edge().await.claims, it.backend.edge().await.claims];
    for round in 0..20_u8 {
        let claiming = (1..=20_u128).map(|number| {
            let claims = Arc::clone(&edges[usize::from(number % 2 == 0)]);
            tokio::spawn(async move { claims.claim(name(round), id(number), LONG).await })
        });
        let claimed = futures_util::future::join_all(claiming.collect::<Vec<_>>()).await;
        let claimed: Vec<_> = (1..).zip(claimed.into_iter().map(Result::unwrap)).collect();
        let first: Vec<_> = claimed.iter().filter(|(_, it)| *it == Claimed::First).collect();
        assert_eq!(first.len(), 1, "{claimed:?}");
        let holder = Claimed::Taken(id(first[0].0));
        assert_eq!(claimed.iter().filter(|(_, it)| *it == holder).count(), 19, "{claimed:?}");
        for claims in &edges {
            assert_eq!(claims.claim(name(round), id(99), LONG).await, holder);
        }
    }
}

async fn a_claim_ends_with_its_time(it: Installation) {
    let claims = it.backend.edge().await.claims;
    let short = Duration::from_millis(300);
    let claimed_at = std::time::Instant::now();
    assert_eq!(claims.claim(name(1), id(1), short).await, Claimed::First);
    let mut early = 0;
    until(DEADLINE, "the claim ends", async || {
        let claimed = claims.claim(name(1), id(2), LONG).await;
        // Asking again and again does not make it longer.
        early += u32::from(claimed != Claimed::First);
        claimed == Claimed::First
    })
    .await;
    assert!(claimed_at.elapsed() >= short.mul_f32(0.9) && early > 0);
    assert_eq!(claims.claim(name(1), id(3), LONG).await, Claimed::Taken(id(2)));
}

async fn a_claim_is_released_by_its_id_alone(it: Installation) {
    let claims = it.backend.edge().await.claims;
    assert_eq!(claims.claim(name(1), id(1), LONG).await, Claimed::First);
    claims.release(name(1), id(2)).await;
    claims.release(name(2), id(1)).await;
    assert_eq!(claims.claim(name(1), id(2), LONG).await, Claimed::Taken(id(1)));
    claims.release(name(1), id(1)).await;
    assert_eq!(claims.claim(name(1), id(2), LONG).await, Claimed::First);
}
