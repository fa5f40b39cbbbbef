use std::time::Duration;

use common::{
    domain::{Form, NewTicket, Subject},
    ports::{
        audit::StoreAudit,
        backend::Backend as _,
        statistics::StatisticsReader,
        store::{Inserted, TicketReader, TicketWriter},
    },
};
use sqlx::Row;
use tempfile::TempDir;

use super::*;
use crate::{
    Backend,
    testing::{at, numbered, open, settings, submission, ticket},
};

/// One statement in a transaction of the writer's; answers the first column of the first row.
struct Statement(&'static str);

impl Work for Statement {
    type Answer = Option<String>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Option<String>, StoreError> {
        let row = sqlx::query(self.0).fetch_optional(connection).await.map_err(failure)?;
        Ok(row.and_then(|row| row.try_get_unchecked(0).ok()))
    }
}

async fn backend() -> (TempDir, Backend) {
    let dir = tempfile::tempdir().unwrap();
    let backend = open(dir.path()).await;
    (dir, backend)
}

/// Tickets, and that everything that goes with them does. Each question is one statement, since
/// the writer may still be at work on what a test has cancelled.
async fn consistent_tickets(store: &Store) -> i64 {
    assert_eq!(store.deviations().await.unwrap(), []);
    assert_eq!(store.unaudited().await.unwrap(), 0);
    let (tickets, audit_entries): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM tickets), (SELECT count(*) FROM audit_entries)",
    )
    .fetch_one(&store.readers)
    .await
    .unwrap();
    assert_eq!(tickets, audit_entries);
    tickets
}

#[tokio::test]
async fn the_schema_is_made_once_and_every_table_of_it_is_strict() {
    let (_dir, backend) = backend().await;
    backend.migrate().await.unwrap();
    let tables: Vec<(String, bool)> = sqlx::query_as(
        "SELECT name, strict FROM pragma_table_list
         WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx_%'
             -- The index of words is made of tables that are SQLite's own.
             AND name NOT LIKE 'ticket_words%'
         ORDER BY name",
    )
    .fetch_all(&backend.store.readers)
    .await
    .unwrap();
    let names: Vec<_> = tables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "audit_entries",
            "audit_seals",
            "dead_letters",
            "erasures",
            "idempotency_keys",
            "installation",
            "ledger",
            "operator_actions",
            "relay",
            "search_progress",
            "statistics",
            "tallies",
            "ticket_counters",
            "ticket_posts",
            "ticket_search",
            "ticket_tags",
            "tickets",
            "tokens"
        ]
    );
    assert!(tables.iter().all(|(_, strict)| *strict), "{tables:?}");
}

#[tokio::test]
async fn a_commit_is_synced_to_a_write_ahead_log() {
    let (_dir, backend) = backend().await;
    for (pragma, value) in [
        ("PRAGMA journal_mode", "wal"),
        // FULL
        ("PRAGMA synchronous", "2"),
        ("PRAGMA busy_timeout", "2000"),
    ] {
        let answer = backend.store.write(Statement(pragma)).await.unwrap();
        assert_eq!(answer.as_deref(), Some(value), "{pragma}");
    }
    let error = sqlx::query("DELETE FROM tickets").execute(&backend.store.readers).await;
    assert!(error.is_err(), "a reader can write");
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_drop() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await;
    assert!(Backend::open(settings(dir.path())).await.is_err(), "served twice");
    assert_eq!(first.store.insert(&[ticket(1), ticket(2)]).await.unwrap().len(), 2);
    drop(first);
    let second = open(dir.path()).await;
    let found = second.store.by_id(submission(2).id).await.unwrap().unwrap();
    assert_eq!((found.form, found.history.len()), (submission(2).form, 1));
    assert_eq!(consistent_tickets(&second.store).await, 2);
    second.close().await;
    assert!(!dir.path().join("supportline.db-wal").exists(), "closed, and the log not tidied away");
    open(dir.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_insertion_is_whole_or_absent_and_harms_no_other() {
    let (_dir, backend) = backend().await;
    let store = &backend.store;
    let mut cancelled = 0;
    for n in 0..200_u128 {
        let batch = [ticket(2 * n), ticket(2 * n + 1)];
        let wait = Duration::from_micros(u64::try_from(n).unwrap() * 5);
        cancelled += u32::from(tokio::time::timeout(wait, store.insert(&batch)).await.is_err());
        drop(tokio::time::timeout(wait, store.reserve(2026, 1)).await);
    }
    assert!(cancelled > 10, "{cancelled} of 200 were cancelled, too few to tell");
    assert_eq!(consistent_tickets(store).await % 2, 0);
    // Whatever became of them, the same call again ends in one ticket each.
    for n in 0..200_u128 {
        let answers = store.insert(&[ticket(2 * n), ticket(2 * n + 1)]).await.unwrap();
        for (answer, n) in answers.into_iter().zip([2 * n, 2 * n + 1]) {
            let expected = existing(n);
            assert!(answer == Inserted::New || answer == expected, "{n}: {answer:?}");
        }
    }
    assert_eq!(consistent_tickets(store).await, 400);
}

/// What the second insertion of the `n`-th submission is told.
fn existing(n: u128) -> Inserted {
    let NewTicket { submission, number, .. } = ticket(n);
    Inserted::Existing { number, submitted_at: submission.submitted_at }
}

#[tokio::test]
async fn one_id_twice_in_a_batch_is_one_ticket() {
    let (_dir, backend) = backend().await;
    let store = &backend.store;
    let mut other_form = numbered(1, 3);
    other_form.submission.form = Form { subject: Subject::Billing, ..submission(1).form };
    let batch = [ticket(1), numbered(1, 2), other_form, ticket(1), ticket(4)];
    let expected = [Inserted::New, existing(1), Inserted::Conflict, existing(1), Inserted::New];
    assert_eq!(store.insert(&batch).await.unwrap(), expected);
    assert_eq!(store.insert(&[numbered(1, 9)]).await.unwrap(), [existing(1)]);
    assert_eq!(consistent_tickets(store).await, 2);
}

#[tokio::test]
async fn a_number_given_twice_is_no_fault_of_the_submissions_and_nothing_is_stored() {
    let (_dir, backend) = backend().await;
    let store = &backend.store;
    store.insert(&[ticket(1)]).await.unwrap();
    let error = store.insert(&[ticket(2), numbered(3, 1)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(consistent_tickets(store).await, 1);
    assert_eq!(store.insert(&[ticket(2), ticket(3)]).await.unwrap(), vec![Inserted::New; 2]);
}

#[tokio::test]
async fn what_the_schema_forbids_is_rejected_and_a_missing_table_is_not() {
    let (_dir, backend) = backend().await;
    for (statement, rejected) in [
        ("INSERT INTO installation (name, value) VALUES ('a', NULL)", true),
        ("INSERT INTO ticket_counters (year, next) VALUES (2026, -1)", true),
        ("INSERT INTO ticket_counters (year, next) VALUES (2026, 'many')", true),
        ("INSERT INTO statistics VALUES ('status', 'open', 0, 1), ('status', 'open', 0, 1)", true),
        ("INSERT INTO nowhere (name) VALUES ('a')", false),
    ] {
        let error = backend.store.write(Statement(statement)).await.unwrap_err();
        assert_eq!(matches!(error, StoreError::Rejected(_)), rejected, "{statement}: {error:?}");
    }
}

#[tokio::test]
async fn audit_entries_outlive_an_erased_ticket() {
    let (_dir, backend) = backend().await;
    backend.store.insert(&[ticket(1)]).await.unwrap();
    backend.store.write(Statement("DELETE FROM tickets")).await.unwrap();
    let left = backend.store.write(Statement("SELECT ticket_id FROM audit_entries")).await;
    assert_eq!(left.unwrap(), Some(submission(1).id.to_string()));
}

#[tokio::test]
async fn a_text_that_met_an_earlier_rule_is_still_read() {
    let (_dir, backend) = backend().await;
    backend.store.insert(&[ticket(1)]).await.unwrap();
    let of_an_earlier_release = "UPDATE tickets SET name = '', email = 'ada', message = '',
        client_timestamp = 'yesterday', url = 'nowhere'";
    backend.store.write(Statement(of_an_earlier_release)).await.unwrap();
    let form = backend.store.by_id(submission(1).id).await.unwrap().unwrap().form;
    assert_eq!((form.name.as_str(), form.email.as_str()), ("", "ada"));
    assert_eq!(form.timestamp.as_str(), "yesterday");
    assert_eq!(form.url.unwrap().as_str(), "nowhere");
}

/// What a defect does.
struct Defect;

impl Work for Defect {
    type Answer = ();

    async fn run(self, _: &mut SqliteConnection) -> Result<(), StoreError> {
        panic!("a defect, for a test");
    }
}

#[tokio::test]
async fn a_panic_fails_its_own_work_and_no_other() {
    let (_dir, backend) = backend().await;
    let store = &backend.store;
    let error = store.write(Defect).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    store.probe().await.unwrap();
    assert_eq!(store.insert(&[ticket(1)]).await.unwrap(), [Inserted::New]);
    assert_eq!(consistent_tickets(store).await, 1);
}

#[tokio::test]
async fn reserving_nothing_is_a_write_that_hands_out_nothing() {
    let (dir, backend) = backend().await;
    let store = &backend.store;
    let log_bytes = || dir.path().join("supportline.db-wal").metadata().unwrap().len();
    assert_eq!(store.reserve(2026, 0).await.unwrap(), 0..0);
    store.reserve(2026, 3).await.unwrap();
    let before = log_bytes();
    assert_eq!(store.reserve(2026, 0).await.unwrap(), 3..3);
    assert!(log_bytes() > before, "nothing was written");
    assert_eq!(store.reserve(2026, 1).await.unwrap(), 3..4);
    store.write(Statement("PRAGMA query_only = 1")).await.unwrap();
    let error = store.reserve(2026, 0).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_heals() {
    let (_dir, backend) = backend().await;
    let store = &backend.store;
    store.insert(&[ticket(0)]).await.unwrap();
    // One page is less than SQLite allows, so it takes the size there is.
    store.write(Statement("PRAGMA max_page_count = 1")).await.unwrap();
    let batch: Vec<_> = (1..500).map(ticket).collect();
    let error = store.insert(&batch).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(consistent_tickets(store).await, 1);
    store.write(Statement("PRAGMA max_page_count = 1073741823")).await.unwrap();
    assert_eq!(store.insert(&batch).await.unwrap(), vec![Inserted::New; 499]);
    assert_eq!(consistent_tickets(store).await, 500);
}

#[tokio::test]
async fn counts_of_the_last_days_are_read_and_older_ones_are_not() {
    let (_dir, backend) = backend().await;
    let store = &backend.store;
    store.insert(&[ticket(1), ticket(2)]).await.unwrap();
    let last_day_seen = at("2027-11-22T00:00:00Z");
    let statistics = store.statistics(last_day_seen).await.unwrap();
    assert_eq!((statistics.total(), statistics.daily.len()), (2, 1));
    let statistics = store.statistics(last_day_seen + chrono::Duration::days(1)).await.unwrap();
    assert_eq!((statistics.total(), statistics.daily.len()), (2, 0));
}

#[tokio::test]
async fn a_wrong_or_missing_count_is_a_deviation_and_a_zero_is_none() {
    let (_dir, backend) = backend().await;
    let store = &backend.store;
    store.insert(&[ticket(1)]).await.unwrap();
    for statement in [
        "UPDATE statistics SET count = 5 WHERE dimension = 'status'",
        "DELETE FROM statistics WHERE dimension = 'priority'",
        "INSERT INTO statistics VALUES ('subject', 'billing', 0, 3), ('subject', 'general', 0, 0)",
        "INSERT INTO statistics VALUES ('subject', 'account', 0, 3), ('subject', 'account', 1, -3)",
        "UPDATE tickets SET resolved_at = '2026-11-24T00:00:00.000Z'",
    ] {
        store.write(Statement(statement)).await.unwrap();
    }
    let deviations = store.deviations().await.unwrap();
    let figures: Vec<_> = deviations
        .iter()
        .map(|found| (found.dimension.as_str(), found.value.as_str(), found.kept, found.recounted))
        .collect();
    assert_eq!(
        figures,
        [
            ("priority", "high", 0, 1),
            ("resolution_ms", "2026-11-24", 0, 86_400_001),
            ("resolution_time", "2026-11-24/262", 0, 1),
            ("resolved_in", "2026-11-24T00:00Z", 0, 1),
            ("resolved_on", "2026-11-24", 0, 1),
            ("status", "open", 5, 1),
            ("subject", "billing", 3, 0)
        ]
    );
}

#[tokio::test]
async fn an_audit_looks_on_beside_a_server_and_after_it() {
    let (dir, server) = backend().await;
    assert!(server.adopt_key("a").await.unwrap());
    server.store.insert(&[ticket(1)]).await.unwrap();
    let audit = Backend::open_for_audit(settings(dir.path())).await.unwrap();
    assert_eq!(consistent_tickets(&audit.store).await, 1);
    let error = audit.store.insert(&[ticket(2)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(matches!(audit.adopt_key("a").await, Err(StoreError::Unavailable(_))));
    server.store.insert(&[ticket(2)]).await.unwrap();
    assert_eq!(consistent_tickets(&audit.store).await, 2);
    audit.close().await;
    server.close().await;
    let audit = Backend::open_for_audit(settings(dir.path())).await.unwrap();
    assert_eq!(consistent_tickets(&audit.store).await, 2);
    let nowhere = dir.path().join("nowhere");
    assert!(Backend::open_for_audit(settings(&nowhere)).await.is_err());
    assert!(!nowhere.exists(), "an audit makes no directory");
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let (_dir, backend) = backend().await;
    backend.close().await;
    backend.close().await;
    let error = backend.store.insert(&[ticket(1)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(backend.store.probe().await.is_err());
}

#[tokio::test]
async fn no_look_up_reads_a_whole_table() {
    let (_dir, backend) = backend().await;
    for (sql, index) in [
        (
            concat!("EXPLAIN QUERY PLAN ", include_str!("../../sql/tickets_by_number.sql")),
            "SEARCH tickets USING INDEX tickets_number_key",
        ),
        (
            concat!("EXPLAIN QUERY PLAN ", include_str!("../../sql/tickets_by_id.sql")),
            "SEARCH tickets USING INDEX sqlite_autoindex_tickets_1",
        ),
        (
            concat!("EXPLAIN QUERY PLAN ", include_str!("../../sql/ticket_by_key.sql")),
            "SEARCH audit_entries USING INDEX audit_entries_ticket_id_idx",
        ),
        (
            concat!("EXPLAIN QUERY PLAN ", include_str!("../../sql/read_statistics.sql")),
            "SEARCH statistics USING PRIMARY KEY (dimension=? AND value>?)",
        ),
        (
            concat!("EXPLAIN QUERY PLAN ", include_str!("../../sql/audit_numbers.sql")),
            "SEARCH tickets USING INDEX tickets_number_key",
        ),
    ] {
        let rows = sqlx::query(sql).fetch_all(&backend.store.readers).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        assert!(plan.iter().any(|step| step.starts_with(index)), "{plan:#?}");
        // What was asked for is a table, too.
        let scans = plan.iter().filter(|step| step.starts_with("SCAN"));
        assert!(scans.clone().all(|step| step.starts_with("SCAN asked ")), "{plan:#?}");
    }
}
