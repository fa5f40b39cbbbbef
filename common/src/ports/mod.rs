//! What roles ask of backends, in the domain's verbs.
//!
//! Each port's documentation lists its guarantees; each guarantee is the name of a conformance
//! test that both backends pass.

pub mod actions;
pub mod audit;
pub mod backend;
pub mod cases;
pub mod claims;
pub mod dead_letters;
pub mod events;
pub mod exports;
pub mod health;
pub mod ledger;
pub mod limits;
pub mod people;
pub mod queue;
pub mod records;
pub mod search;
pub mod statistics;
pub mod store;
pub mod tokens;
