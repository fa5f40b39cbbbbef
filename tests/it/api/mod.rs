//! What a client sees: real requests to real processes, the same on both backends.
//!
//! The tests of this module share one running installation per backend. Each makes a client of its
//! own, since a kept connection ends with the runtime that opened it.
//!
//! `UPDATE_EXPECT=1 cargo test --test it embedded` rewrites the snapshots; with both backends at once
//! each would be written twice into the same place.

mod admin;
mod bad_input;
mod document;
mod examples;
mod headers;
mod health;
mod limits;
mod listing;
mod look_ups;
pub mod metrics;
mod on_record;
mod paths;
mod prefer;
mod problems;
mod progress;
mod repeats;
mod shown;
mod sockets;
mod staff_refusals;
mod statistics;
mod submissions;
mod table;
mod tickets;
mod transfers;

use tokio::sync::OnceCell;

use crate::bed::client::{Answer, Client};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, Plan, TICKETS, TestSystem};

/// Makes, of each function named, the tests `embedded::…` and `distributed::…`. A function left
/// out is unused, which the build refuses.
macro_rules! on_both_systems {
    ($($test:ident,)+) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::api::Api::embedded().await).await;
                }
            )+
        }

        mod distributed {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::api::Api::distributed().await).await;
                }
            )+
        }
    };
}
use on_both_systems;

/// Where statistics are asked for.
const STATISTICS: &str = "/api/support/stats";

/// An installation that waits for a ticket's number as long as the client waits for the answer, or
/// nearly: where the processors are busy, a number may take longer than the two seconds by default.
fn patient(plan: Plan) -> Plan {
    plan.with_env("SUPPORT_REPLY_WAIT", "8s")
}

/// The public API of a running installation.
struct Api {
    system: &'static TestSystem,
    client: Client,
}

impl Api {
    /// One process, on `SQLite`.
    async fn embedded() -> Self {
        static SYSTEM: OnceCell<TestSystem> = OnceCell::const_new();
        Self::of(SYSTEM.get_or_init(|| patient(TestSystem::embedded()).start()).await)
    }

    /// An edge and a worker, on three servers.
    async fn distributed() -> Self {
        static SYSTEM: OnceCell<TestSystem> = OnceCell::const_new();
        let start = async || {
            let backing = Servers::shared().await.backing().await;
            patient(TestSystem::distributed(backing)).start().await
        };
        Self::of(SYSTEM.get_or_init(start).await)
    }

    fn of(system: &'static TestSystem) -> Self {
        Self { system, client: Client::of_the_api(system.edge(0).address()) }
    }

    /// Asks for a path.
    async fn get(&self, path: &str) -> Answer {
        self.client.get(path).send().await
    }

    /// Submits a form.
    async fn submit(&self, form: &Form) -> Answer {
        self.client.post(TICKETS).json(form).send().await
    }

    /// Submits whatever bytes as JSON.
    async fn submit_bytes(&self, body: impl Into<bytes::Bytes>) -> Answer {
        let request = self.client.post(TICKETS).header("content-type", "application/json");
        request.body(body).send().await
    }

    /// Looks a ticket up by its number or by the submission's id.
    async fn look_up(&self, number_or_id: &str) -> Answer {
        self.get(&format!("{TICKETS}/{number_or_id}")).await
    }
}
