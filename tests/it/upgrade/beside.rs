//! An old and a new edge, an old and a new worker, at rest beside each other: whatever one of them
//! knows or was told, the other knows too.

use std::path::Path;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::Value;

use super::load::{Load, Told, becomes_tickets, insist};
use super::node::Node;
use super::{PATIENCE, agrees, empty, passes_the_audit};
use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::instance::program;
use crate::bed::previous;
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, TICKETS, TestSystem};
use crate::bed::wait::{eventually, until};

const STATISTICS: &str = "/api/support/stats?days=7";

#[tokio::test(flavor = "multi_thread")]
async fn each_earlier_release_and_this_one_know_the_same() {
    for old in previous::all().await {
        know_the_same(old).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_and_a_new_edge_count_their_clients_together() {
    let backing = Servers::shared().await.backing().await;
    let plan = TestSystem::distributed(backing).with_ingest(0).with_worker(0);
    let system = plan.with_env("SUPPORT_LIMIT_CREATE", "3/10m").await;
    let old = previous::oldest().await;
    let old_edge = Node::start(&system, "edge-old", "ingest", &old).await;
    let new_edge = Node::start(&system, "edge-new", "ingest", program()).await;
    let edges = [old_edge.client(), new_edge.client()];
    for edge in edges {
        until(PATIENCE, "the cache is there", async || {
            let health = edge.get("/api/support/health").send().await.json();
            health["components"]["cache"]["status"] == "up"
        })
        .await;
    }
    let mut statuses = Vec::new();
    for edge in edges.iter().cycle().take(8) {
        let post = edge.post(TICKETS).header("prefer", "respond-async").json(&Form::valid());
        statuses.push(post.send().await.status.as_u16());
    }
    assert_eq!(statuses, [202, 202, 202, 429, 429, 429, 429, 429]);
}

async fn know_the_same(old: &Path) {
    let (system, new) = (empty().await, program());
    // Before the schema is new, so that the old ones may see to it that it is there.
    let old_worker = Node::start(&system, "worker-old", "worker", old).await;
    let old_edge = Node::start(&system, "edge-old", "ingest", old).await;
    let new_worker = Node::start(&system, "worker-new", "worker", new).await;
    let new_edge = Node::start(&system, "edge-new", "ingest", new).await;
    let edges = [old_edge.client(), new_edge.client()];

    let load = Load::on(edges);
    load.goes_on(200).await;
    let mut told = load.end().await;
    told.push(replays_at_either_edge(edges).await);
    told.push(replays_at_either_edge([edges[1], edges[0]]).await);
    told.push(a_repeat_without_a_key_is_a_duplicate(edges).await);
    told.push(a_repeat_without_a_key_is_a_duplicate([edges[1], edges[0]]).await);
    becomes_tickets(&told, &system).await;

    look_ups_agree(edges, &told).await;
    statistics_agree(edges, told.len()).await;
    tokens_are_known_at_either_edge(&system, old, edges).await;
    what_neither_reads_is_a_letter_to_both(&system, old).await;
    passes_the_audit(&system).await;
    drop((old_worker, new_worker));
}

async fn replays_at_either_edge([first, second]: [&Client; 2]) -> Told {
    let form = Form::valid();
    let message = form.json()["message"].as_str().unwrap().to_owned();
    let key = format!("\"replay-{}\"", message.replace(' ', "-"));
    let (told, _) = insist(&[first.clone(), first.clone()], 0, &form, &key).await;
    eventually(PATIENCE, "the other edge gives the first answer again", async || {
        let post = second.post(TICKETS).header("idempotency-key", &key).json(&form);
        let answer = post.send().await;
        let data = &answer.json()["data"];
        assert_eq!(data["id"], told.id.as_str(), "{answer:?}");
        assert_eq!(answer.header("idempotency-replayed"), Some("true"), "{answer:?}");
        if answer.status == 201 { Ok(()) } else { Err(answer) }
    })
    .await;
    // And the key with another form is refused there.
    let other = form.clone().subject("billing");
    let answer = second.post(TICKETS).header("idempotency-key", &key).json(&other).send().await;
    assert_eq!(answer.json()["code"], "idempotency_key_reused", "{answer:?}");
    Told { message, ..told }
}

async fn a_repeat_without_a_key_is_a_duplicate([first, second]: [&Client; 2]) -> Told {
    let form = Form::valid();
    let answer = first.post(TICKETS).json(&form).send().await.json();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (id, number) = (text(&answer["data"]["id"]), text(&answer["data"]["ticketNumber"]));
    let again = second.post(TICKETS).json(&form).send().await;
    assert_eq!(again.json()["data"]["id"], answer["data"]["id"], "{again:?}");
    assert!(again.status == 202 || again.json()["data"]["duplicate"] == true, "{again:?}");
    let message = text(&form.json()["message"]).unwrap();
    Told { id: id.expect("an id"), number, message }
}

async fn look_ups_agree([old, new]: [&Client; 2], told: &[Told]) {
    for told in told.iter().rev().take(20) {
        for name in [Some(&told.id), told.number.as_ref()].into_iter().flatten() {
            let look_up = async |edge: &Client| edge.get(&format!("{TICKETS}/{name}")).send().await;
            let (one, other) = (look_up(old).await.json(), look_up(new).await.json());
            assert_eq!(one["success"], true, "{one}");
            assert!(agrees(&one, &other), "{one}\n{other}");
        }
    }
}

async fn statistics_agree([old, new]: [&Client; 2], tickets: usize) {
    let ask = async |edge: &Client| edge.get(STATISTICS).bearer(ADMIN_TOKEN).send().await.json();
    eventually(PATIENCE, "both edges count all", async || {
        let (one, other) = (ask(old).await, ask(new).await);
        let counts_all = one["data"]["total"] == tickets as u64;
        if counts_all && agrees(&one, &other) { Ok(()) } else { Err((one, other)) }
    })
    .await;
}

async fn tokens_are_known_at_either_edge(system: &TestSystem, old: &Path, edges: [&Client; 2]) {
    let create = ["token", "create", "--role", "stats"];
    for (maker, revoker) in [(old, program()), (program(), old)] {
        let made = system.run_program(maker, &create).await;
        let token = made.stdout.trim_end();
        let statuses = async || {
            let ask = |edge: &Client| edge.get(STATISTICS).bearer(token).send();
            [ask(edges[0]).await.status.as_u16(), ask(edges[1]).await.status.as_u16()]
        };
        assert_eq!(statuses().await, [200, 200], "{made:?}");
        let revoked = system.run_program(revoker, &["token", "revoke", token]).await;
        assert!(revoked.status.success(), "{revoked:?}");
        assert_eq!(statuses().await, [401, 401]);
    }
}

/// An envelope of a version to come, whichever worker gets it.
async fn what_neither_reads_is_a_letter_to_both(system: &TestSystem, old: &Path) {
    let url = &system.backing().amqp_url;
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let later = br#"{"v":99,"submissions":[{"id":"?"}]}"#;
    for _ in 0..6 {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let exchange = "support.intake".into();
        channel.basic_publish(exchange, "".into(), options, later, properties).await.unwrap();
    }
    let letters = async |program: &Path| {
        let listed = system.run_program(program, &["dead-letters", "list", "--json"]).await;
        let mut letters = serde_json::from_str::<Vec<Value>>(&listed.stdout).unwrap_or_default();
        // The old one lists them as the queue has them, the new one the oldest first.
        letters.sort_by_cached_key(|letter| letter["id"].to_string());
        letters
    };
    // What an edge looks at meanwhile neither of them sees.
    let by_old = eventually(PATIENCE, "both list the six of them", async || {
        let (by_old, by_new) = (letters(old).await, letters(program()).await);
        let is_told = by_old.len() == 6 && agrees(&by_old.clone().into(), &by_new.clone().into());
        if is_told { Ok(by_old) } else { Err((by_old, by_new)) }
    })
    .await;
    assert!(by_old.iter().all(|letter| letter["code"] == "unknown-version"), "{by_old:?}");
    let discarded = system.run_program(old, &["dead-letters", "discard", "--all"]).await;
    assert!(discarded.status.success(), "{discarded:?}");
    assert_eq!(letters(program()).await, [Value::Null; 0]);
}
