//! How the parts that a role leans on are doing.

use async_trait::async_trait;
use thiserror::Error;

use crate::Cause;

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Takes submissions.
    Broker,
    /// Holds tickets.
    Store,
    /// Holds snapshots.
    Cache,
    /// Make tickets of submissions.
    Workers,
}

impl Component {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Broker, Self::Store, Self::Cache, Self::Workers];

    /// Its name in answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Store => "store",
            Self::Cache => "cache",
            Self::Workers => "workers",
        }
    }
}

/// Figures a component tells along, by name: `queued`, `count` …
pub type Figures = Vec<(&'static str, u64)>;

/// The component does not do its work. The cause is for the log, not for an answer.
#[derive(Debug, Error)]
#[error("the component does not answer")]
pub struct Unhealthy(#[source] pub Cause);

/// Asks a component.
#[async_trait]
pub trait HealthProbe: Send + Sync {
    /// One round trip to it. The caller sets the deadline by dropping the future.
    async fn probe(&self, component: Component) -> Result<Figures, Unhealthy>;
}
