//! An upgrade under load as the operations guide has it, and a rollback, and the upgrade again.

use std::path::Path;

use super::load::{Load, becomes_tickets};
use super::node::Node;
use super::{empty, passes_the_audit};
use crate::bed::instance::program;
use crate::bed::previous;
use crate::flow::listener::Listener;

/// Forms accepted in each state of the installation, at the least.
const FORMS_A_STATE: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_from_each_earlier_release_and_its_rollback_lose_nothing() {
    for old in previous::all().await {
        goes_there_and_back(old).await;
    }
}

async fn goes_there_and_back(old: &Path) {
    let (system, new) = (empty().await, program());
    let workers = [
        Node::start(&system, "worker-1", "worker", old).await,
        Node::start(&system, "worker-2", "worker", old).await,
    ];
    let edges = [
        Node::start(&system, "edge-1", "ingest", old).await,
        Node::start(&system, "edge-2", "ingest", old).await,
    ];
    let listener = Listener::bind(&system.backing().amqp_url).await;
    let load = Load::on([edges[0].client(), edges[1].client()]);
    load.goes_on(FORMS_A_STATE).await;

    let migrated = system.run(&["migrate"]).await;
    assert!(migrated.status.success(), "{migrated:?}");
    // Old edges with new workers, all new, new edges with old workers, all old, and all new.
    for (nodes, program) in [
        (&workers, new),
        (&edges, new),
        (&workers, old),
        (&edges, old),
        (&edges, new),
        (&workers, new),
    ] {
        for node in nodes {
            node.becomes(program).await;
        }
        load.goes_on(FORMS_A_STATE).await;
    }
    let told = load.end().await;
    becomes_tickets(&told, &system).await;
    passes_the_audit(&system).await;
    let heard = listener.events(told.len()).await;
    assert_eq!(heard.len(), told.len(), "an event a ticket, whoever relayed");
    println!("{} forms, each one ticket, and {} events", told.len(), heard.len());
}
