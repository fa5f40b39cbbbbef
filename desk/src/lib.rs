//! The staff API: what agents and administrators do over HTTP, below `/api/support/admin`.
//!
//! `routes.rs` says who may do what; nothing is reached past it. Every request is let in by
//! `gate.rs` first, and what changes anything is on record before it is done.

mod audit;
mod bulk;
mod cell;
mod changing;
mod desk;
#[cfg(test)]
mod doubles;
pub mod export;
mod fields;
mod gate;
pub mod import;
mod letters;
mod listing;
mod live;
mod openapi;
mod people;
mod rotation;
mod routes;
mod shown;
mod tickets;
mod times;
mod tokens;
mod transfer;
mod wanted;
mod wishes;

use std::{sync::Arc, time::Duration};

use axum::Router;
use common::{
    clock::{Clock, Entropy},
    config::Limits,
    keys::NumberKey,
    ports::backend::DeskPorts,
};
use http::openapi::Chapter;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

pub use people::Person;

/// What an operator decides about the desk.
pub struct Settings {
    /// The bootstrap key of role admin. Without one, or with an empty one, only tokens are admitted.
    pub admin_token: Option<SecretString>,
    /// How clients are told apart, and how often one may present a token that admits nobody.
    pub limits: Limits,
    /// The installation's secret, from which the keys of clients are derived.
    pub number_key: Arc<NumberKey>,
    /// How long a ticket is kept that nobody has touched: older ones are not imported.
    pub retention: Option<Duration>,
}

/// What a request may take: all waits together are shorter, so that what takes longer will not end.
const REQUEST_WAIT: Duration = Duration::from_secs(30);

/// What the desk serves, as the `OpenAPI` document tells it.
#[must_use]
pub fn chapter() -> Chapter {
    openapi::chapter()
}

/// The staff API, for a listener that it may share. It has no answer to what lies elsewhere. Answers that
/// have no end of their own end with `stop`.
pub fn router(
    ports: DeskPorts,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: &Settings,
    stop: CancellationToken,
) -> Router {
    routes::router(Arc::new(desk::Desk::new(ports, clock, entropy, settings, stop)))
}
