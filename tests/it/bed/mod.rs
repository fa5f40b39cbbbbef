//! The test bed: real servers and real processes of ours, and nothing left of them afterwards.
//!
//! ```text
//! let system = TestSystem::embedded().await;
//! let system = TestSystem::distributed(Servers::shared().await.backing().await)
//!     .with_ingest(2).with_worker(2).await;
//! let mut servers = Servers::own().await; // for a test that kills them
//! ```
//!
//! Linux only: it reads `/proc`.

#![allow(dead_code, reason = "a bed offers more verbs than the tests of one day use")]

pub mod changes;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod disk;
pub mod document;
pub mod event_stream;
pub mod example;
pub mod folder;
pub mod forgery;
pub mod form;
pub mod instance;
pub mod link;
pub mod namespace;
pub mod port;
pub mod port_mapper;
pub mod postgres;
pub mod previous;
pub mod process;
pub mod rabbitmq;
pub mod redis;
pub mod seeded;
pub mod server;
pub mod servers;
pub mod stranger;
pub mod system;
pub mod wait;
