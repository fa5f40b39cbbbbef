//! Processes whose links to the servers are bad, while those of others are not.

use std::time::Duration;

use common::ports::events::FeedItem;

use crate::bed::form::Form;
use crate::bed::link::Mode;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::until;
use crate::conformance::installation::Installation;

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cut_off_from_the_store_leaves_submissions_to_the_others() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    let (linked, links) = backing.over_links().await;
    let second = system.start_on("worker", &linked);
    second.ready().await;
    links.postgres.set(Mode::Cut);
    until(DEADLINE, "it says that it makes no tickets", async || {
        second.client().get("/readyz").send().await.status == 503
    })
    .await;
    for _ in 0..50 {
        let answer = system.submit(&Form::valid()).await;
        assert_eq!(answer.status, 201, "at once, by the other: {}", answer.text());
    }
    links.postgres.set(Mode::Pass);
    second.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_far_away_is_reached() {
    let backing = Servers::shared().await.backing().await;
    let (linked, links) = backing.over_links().await;
    // There and back takes a quarter of a second, as from one end of the world to the other.
    links.rabbitmq.set(Mode::Delay(Duration::from_millis(125)));
    let system = TestSystem::distributed(linked).await;
    let answer = system.submit(&Form::valid()).await;
    assert!(matches!(answer.status.as_u16(), 201 | 202), "{}", answer.text());
    system.settled(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_was_cut_off_tells_of_a_gap() {
    let backing = Servers::shared().await.backing().await;
    let (linked, links) = backing.over_links().await;
    let mut listener = Installation::on(linked).backend.edge().await.feed.subscribe();
    for _ in 0..2 {
        let heard = tokio::time::timeout(DEADLINE, listener.next()).await;
        assert_eq!(heard.expect("something is heard"), FeedItem::Gap);
        links.rabbitmq.set(Mode::Cut);
        links.rabbitmq.set(Mode::Pass);
    }
}
