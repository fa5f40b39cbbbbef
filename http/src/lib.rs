//! What roles that answer over HTTP share: the accept loop, what every request gets, problem
//! documents and the success envelope, who asks and whether they may, bodies, changes that others come
//! before, and the building blocks of the `OpenAPI` document.
//!
//! No route is here. What a role serves, and the words of its own, are the role's.

pub mod answer;
pub mod auth;
pub mod body;
pub mod client;
pub mod condition;
pub mod contention;
pub mod form;
pub mod guesses;
pub mod measure;
pub mod openapi;
pub mod problem;
pub mod query;
pub mod request;
pub mod server;
pub mod sse;
pub mod standing;
