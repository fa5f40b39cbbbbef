//! The conformance suite: what the ports promise, held against both backends.
//!
//! Each promise is one function that takes an [`Installation`]; `on_both_backends!` makes a test
//! of it for each backend. A function left out of that list is unused, which the build refuses.

mod actions;
mod audit;
mod cases;
mod claims;
pub mod dead_letters;
mod events;
mod excerpts;
mod exports;
pub mod installation;
mod keys;
mod ledger;
mod limits;
mod lists;
mod overseers;
mod people;
mod queue;
mod records;
mod search;
mod statistics;
mod store;
mod tokens;

/// Makes, of each function named, the tests `embedded::…` and `distributed::…`.
macro_rules! on_both_backends {
    ($($promise:ident,)+) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    super::$promise($crate::conformance::installation::Installation::embedded().await).await;
                }
            )+
        }

        mod distributed {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    super::$promise($crate::conformance::installation::Installation::distributed().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_backends;
