//! `GET /api/support/whoami`: which address a request is counted under, and why, for whoever sets
//! up the proxies in front.

use std::sync::Arc;

use axum::{extract::State, http::request::Parts, response::Response};
use common::{
    domain::Role,
    ports::limits::{Standing, Tally},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::enveloped,
    client::{Hop, Peer, Verdict, counted_as},
    edge::Edge,
    problem::{Problem, Success},
    standing::whole_seconds,
};

/// Answers for the request itself. It is counted nowhere.
pub async fn whoami(State(edge): State<Arc<Edge>>, head: Parts) -> Result<Response, Problem> {
    edge.access.authorize(&head, &[Role::Admin]).await?;
    let clients = &edge.limits.clients;
    let walk = clients.walk(head.extensions.get::<Peer>(), &head.headers);
    let (mut standings, tally) = edge.limits.standings(clients.partition_key(walk.address)).await;
    standings.extend(edge.access.standing(&head).await);
    let (header, trusted) = clients.trust();
    let data = Whoami {
        address: walk.address.to_string(),
        counted_as: counted_as(walk.address),
        peer: walk.hops.first().map(|hop| hop.said.clone()).unwrap_or_default(),
        header: header.as_str(),
        trusted_proxies: trusted.iter().map(ToString::to_string).collect(),
        chain: walk.hops.iter().map(Step::from).collect(),
        counted_by: match tally {
            Tally::Exact => "all instances",
            Tally::StandIn => "this instance",
        },
        limits: standings.iter().map(Limit::from).collect(),
    };
    enveloped(Success::Found, "How this request is counted", &data, edge.clock.now())
}

/// Which address a request is counted under, and why.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Whoami<'a> {
    address: String,
    counted_as: String,
    peer: String,
    header: &'static str,
    trusted_proxies: Vec<String>,
    chain: Vec<Step<'a>>,
    counted_by: &'static str,
    limits: Vec<Limit>,
}

/// A station on the way from the peer to the client.
#[derive(Serialize, ToSchema)]
#[schema(as = Hop)]
struct Step<'a> {
    said: &'a str,
    trusted: bool,
    why: &'static str,
}

impl<'a> From<&'a Hop> for Step<'a> {
    fn from(hop: &'a Hop) -> Self {
        let why = match hop.verdict {
            Verdict::Proxy => "a trusted proxy: the address it names is believed",
            Verdict::Client => "not a trusted proxy: this is the client",
            Verdict::Unreadable => "not an address: the hop before is taken for the client",
            Verdict::Disregarded => "written by somebody who is not trusted",
        };
        Self { said: &hop.said, trusted: hop.verdict == Verdict::Proxy, why }
    }
}

/// How the client stands with a policy.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Limit {
    policy: &'static str,
    quota: u32,
    window_seconds: u64,
    remaining: u32,
    reset_seconds: u64,
}

impl From<&Standing> for Limit {
    fn from(standing: &Standing) -> Self {
        Self {
            policy: standing.policy.as_str(),
            quota: standing.quota.count,
            window_seconds: standing.quota.window.as_secs(),
            remaining: standing.remaining,
            reset_seconds: whole_seconds(standing.reset),
        }
    }
}
