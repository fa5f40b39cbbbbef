//! `supportline verify`: holds the parts of an installation against each other.

mod accounts;
mod events;
mod file;
mod numbers;
mod queue;
mod report;
mod seals;
mod statistics;

use std::process::ExitCode;

use common::{
    config::{Backends, Config},
    domain::{NumberCipher, Record},
    ports::backend::AuditPorts,
    seals::SealKey,
};

use crate::compose::Installation;
use report::Report;

/// Prints a line for each check. Success only when everything holds and nothing was out of reach.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let installation = Installation::open_for_audit(&config).await?;
    let AuditPorts { store, outbox, queue, ledger, records } = installation.backend.audit().await;
    let (store, queue) = (store.as_ref(), queue.as_ref());
    let cipher = NumberCipher::new(&installation.number_key);

    let mut report = Report::default();
    file::check(&mut report, store).await;
    let kept = installation.backend.kept_key().await;
    let ours = installation.number_key.fingerprint();
    report.add("number key", kept.map(|kept| numbers::check_key(kept.as_deref(), &ours)));
    report.add("ticket numbers", numbers::check(store, &cipher).await);
    report.add("statistics", statistics::check(store).await);
    report.add("audit entries", statistics::check_audit_entries(store).await);
    report.add("audit trails", statistics::check_trails(store).await);
    let key = SealKey::new(&installation.number_key);
    for record in Record::ALL {
        report.add("audit seals", seals::check(records.as_ref(), &key, *record).await);
    }
    report.add("events", events::check(outbox.as_ref()).await);
    report.add("dead letters", queue::check_dead_letters(queue).await);
    report.add("accounts", accounts::check(ledger.as_ref()).await);
    // An embedded installation's queue is inside the process that serves it, but for the letters
    // that are to be tried again; nothing is routed there.
    let is_distributed = matches!(config.backends, Backends::Distributed(_));
    if is_distributed {
        report.add("routing", queue::check_routing(queue).await);
    }
    if is_distributed || queue.depths().await.is_ok_and(|depths| depths.queued > 0) {
        report.add("queue", queue::depth(queue).await);
    }
    installation.backend.close().await;
    Ok(if report.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
