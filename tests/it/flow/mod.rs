//! Flow tests: whole installations of real processes on real servers, one promise a test.

mod bulk;
mod changelogs;
mod crashers;
pub mod crowd;
mod crowd_tests;
mod erasure;
mod events;
pub mod exports;
mod faults;
mod keys;
mod limits;
mod links;
pub mod listener;
mod numbers;
mod poison;
mod progress;
mod progress_crowd;
mod relays;
mod retention;
mod search;
mod seeded_text;
mod spread;
pub mod stored;

/// A figure from the environment, for the long runs of the same tests: see the `Makefile`.
pub fn figure(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")),
        Err(_) => default,
    }
}
