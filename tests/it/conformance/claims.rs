//! The promises of `common::ports::claims`.

use std::sync::Arc;
use std::time::{Duration, Instant};

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
    a_claim_that_another_was_told_of_is_not_released,
    a_claim_that_was_accepted_says_so_at_every_edge,
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
    let edges = [it.backend.edge().await.claims, it.backend.edge().await.claims];
    // A machine that is busy may be late for the first looks: then once more, with more time.
    let lengths = [300, 1_000, 4_000].map(Duration::from_millis);
    for (name, short) in (1..).map(name).zip(lengths) {
        let claimed_at = Instant::now();
        assert_eq!(edges[0].claim(name, id(1), short).await, Claimed::First);
        let mut early = 0;
        until(DEADLINE, "the claim ends", async || {
            // Asking again and again does not make it longer, at whichever edge.
            let claimed = edges[(early + 1) % 2].claim(name, id(2), LONG).await;
            early += usize::from(claimed != Claimed::First);
            claimed == Claimed::First
        })
        .await;
        assert!(claimed_at.elapsed() >= short.mul_f32(0.9));
        for claims in &edges {
            assert_eq!(claims.claim(name, id(3), LONG).await, Claimed::Taken(id(2)));
        }
        if early > 1 {
            return;
        }
    }
    panic!("a claim of seconds is never seen to hold");
}

async fn a_claim_is_released_by_its_id_alone(it: Installation) {
    let edges = [it.backend.edge().await.claims, it.backend.edge().await.claims];
    assert_eq!(edges[0].claim(name(1), id(1), LONG).await, Claimed::First);
    for (number, other) in [(1, 2), (2, 1)] {
        for claims in &edges {
            assert!(!claims.release(name(number), id(other)).await);
        }
    }
    assert_eq!(edges[1].claim(name(1), id(2), LONG).await, Claimed::Taken(id(1)));
    assert_eq!(edges[0].claim(name(2), id(1), LONG).await, Claimed::First);
    assert!(edges[0].release(name(2), id(1)).await);
    assert_eq!(edges[1].claim(name(2), id(2), LONG).await, Claimed::First);
}

async fn a_claim_that_another_was_told_of_is_not_released(it: Installation) {
    let edges = [it.backend.edge().await.claims, it.backend.edge().await.claims];
    for (number, told) in [(1, &edges[0]), (2, &edges[1])] {
        assert_eq!(edges[0].claim(name(number), id(1), LONG).await, Claimed::First);
        assert_eq!(told.claim(name(number), id(2), LONG).await, Claimed::Taken(id(1)));
        assert!(!edges[0].release(name(number), id(1)).await);
        for claims in &edges {
            assert_eq!(claims.claim(name(number), id(3), LONG).await, Claimed::Taken(id(1)));
        }
    }
}

async fn a_claim_that_was_accepted_says_so_at_every_edge(it: Installation) {
    let edges = [it.backend.edge().await.claims, it.backend.edge().await.claims];
    for (number, others) in [(1, 0), (2, 1)] {
        assert_eq!(edges[0].claim(name(number), id(1), LONG).await, Claimed::First);
        for other in 0..others {
            let told = edges[1].claim(name(number), id(3 + other), LONG).await;
            assert_eq!(told, Claimed::Taken(id(1)));
        }
        edges[1].accept(name(number), id(2)).await;
        edges[0].accept(name(number), id(1)).await;
        assert!(!edges[0].release(name(number), id(1)).await);
        for claims in &edges {
            assert_eq!(claims.claim(name(number), id(2), LONG).await, Claimed::Accepted(id(1)));
        }
    }
}
