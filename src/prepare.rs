//! What has to be true of the store before a worker may write to it.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use backon::Retryable;
use common::{
    chain,
    config::ConfigError,
    keys::NumberKey,
    ports::{backend::Backend, store::StoreError},
    retry::persistently,
};
use tokio::select;
use tokio_util::sync::CancellationToken;

use crate::{compose::Installation, lifecycle::Lifecycle};

/// A database that was just started is up within seconds; one that is away longer is not asked
/// more often than this.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// What a role cannot do without.
pub const CANNOT_PREPARE: &str = "cannot prepare the store";

/// Brings the schema up to date and sees to it that the store is numbered with our key.
#[derive(Clone)]
pub struct Preparation {
    backend: Arc<dyn Backend>,
    number_key: Arc<NumberKey>,
    migrate: bool,
}

impl Preparation {
    /// Of the installation's store; `migrate` says whether its schema is ours to change.
    pub fn new(installation: &Installation, migrate: bool) -> Self {
        let backend = Arc::clone(&installation.backend);
        Self { backend, number_key: Arc::clone(&installation.number_key), migrate }
    }

    /// Prepares the store, or says why that cannot be done now.
    pub async fn once(&self) -> anyhow::Result<()> {
        let is_ours = self.attempt().await.context(CANNOT_PREPARE)?;
        self.refuse_foreign(is_ours)
    }

    /// Prepares the store, however long it takes to answer, unless `stop` comes first; says whether it
    /// is prepared. Fails when trying again would not help.
    pub async fn until_done(&self, stop: &CancellationToken) -> anyhow::Result<bool> {
        let attempts = (|| self.attempt())
            .retry(persistently(RETRY_DELAY_MAX))
            .when(|error| matches!(error, StoreError::Unavailable(_)))
            .notify(|error, delay| {
                tracing::warn!(error = chain(error), ?delay, "the store cannot be prepared yet");
            });
        select! {
            is_ours = attempts => {
                self.refuse_foreign(is_ours.context(CANNOT_PREPARE)?)?;
                Ok(true)
            }
            () = stop.cancelled() => Ok(false),
        }
    }

    /// Prepares it beside the process's role, which need not wait for it.
    pub fn start(self, lifecycle: &mut Lifecycle) {
        lifecycle.start("preparation", |stop| async move {
            self.until_done(&stop).await?;
            stop.cancelled().await;
            Ok(())
        });
    }

    async fn attempt(&self) -> Result<bool, StoreError> {
        if self.migrate {
            self.backend.migrate().await?;
        }
        self.backend.adopt_key(&self.number_key.fingerprint()).await
    }

    fn refuse_foreign(&self, is_ours: bool) -> anyhow::Result<()> {
        if is_ours {
            return Ok(());
        }
        Err(ConfigError::ForeignNumberKey { fingerprint: self.number_key.fingerprint() }.into())
    }
}
