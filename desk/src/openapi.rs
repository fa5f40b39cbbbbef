//! The desk's part of the `OpenAPI` document.

pub mod audit;
pub mod export;
pub mod import;
pub mod letters;
pub mod listing;
pub mod people;
pub mod schemas;
pub mod tickets;
pub mod tokens;

use http::openapi::{Chapter, Described};

use crate::routes;

/// What the desk serves.
pub fn chapter() -> Chapter {
    let described = |route: routes::Route| Described {
        path: route.path,
        method: route.method(),
        describe: route.describe,
        policy: None,
        is_shared: false,
        roles: route.roles,
    };
    Chapter { routes: routes::all().into_iter().map(described).collect(), groups: GROUPS }
}

/// The groups of operations, in the order in which they are shown.
const GROUPS: &[(&str, &str)] = &[
    (tickets::TAG, "What staff work on."),
    (export::TAG, "Tickets on their way elsewhere, and from elsewhere."),
    (letters::TAG, "What could not become a ticket."),
    (people::TAG, "What is stored about somebody, told and erased."),
    (tokens::TAG, "Who may ask for what only staff may."),
    (audit::TAG, "What was done, by whom, when and from where."),
];
