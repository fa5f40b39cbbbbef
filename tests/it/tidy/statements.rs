//! SQL: one statement a file, the same in both backends.

use std::collections::BTreeSet;
use std::fs;

use super::{assert_none, files, names_in, root};

const BACKENDS: [&str; 2] = ["distributed", "embedded"];

/// Statements of one backend alone, and why the other has none.
const WITHOUT_A_TWIN: &[(&str, &str, &str)] = &[
    ("embedded", "advance_search.sql", "Postgres does it inside take_in; SQLite cannot"),
    ("embedded", "entries_to_take_in.sql", "Postgres does it inside take_in; SQLite cannot"),
    ("embedded", "forget_erased.sql", "Postgres does it inside take_in; SQLite cannot"),
    ("embedded", "change_statistics.sql", "Postgres does it inside commit_steps; SQLite cannot"),
    ("embedded", "delete_tags.sql", "Postgres does it inside commit_steps; SQLite cannot"),
    (
        "embedded",
        "insert_change_entries.sql",
        "Postgres does it inside commit_steps; SQLite cannot",
    ),
    ("embedded", "insert_posts.sql", "Postgres does it inside commit_steps; SQLite cannot"),
    ("embedded", "insert_tags.sql", "Postgres does it inside commit_steps; SQLite cannot"),
    ("distributed", "common_matches.sql", "SQLite walks back from the newest by itself"),
    ("distributed", "exact_matches.sql", "SQLite plans all ways of a search in a moment"),
    ("distributed", "has_exact_match.sql", "SQLite plans all ways of a search in a moment"),
    ("distributed", "named_matches.sql", "SQLite walks back from the newest by itself"),
    ("distributed", "newest_matches.sql", "SQLite walks back from the newest by itself"),
    ("distributed", "probe_words.sql", "SQLite has no choice to make"),
    ("distributed", "rare_matches.sql", "SQLite walks back from the newest by itself"),
    ("embedded", "add_statistics.sql", "Postgres does it inside insert_tickets; SQLite cannot"),
    (
        "embedded",
        "insert_audit_entries.sql",
        "Postgres does it inside insert_tickets; SQLite cannot",
    ),
    (
        "embedded",
        "insert_idempotency_keys.sql",
        "Postgres does it inside insert_tickets; SQLite cannot",
    ),
    ("embedded", "change_tallies.sql", "Postgres does it inside commit_steps; SQLite cannot"),
    ("embedded", "return_counter.sql", "Postgres writes a row even when it stays as it is"),
    ("embedded", "audit_file.sql", "a server looks after its own files"),
    ("embedded", "count_dead_letters.sql", "dead letters lie in a queue of the broker"),
    ("embedded", "insert_dead_letter.sql", "dead letters lie in a queue of the broker"),
    ("embedded", "read_relay.sql", "Postgres reads it while it takes the lease"),
    ("distributed", "take_lease.sql", "embedded, the lease is in the memory of the only process"),
    (
        "distributed",
        "release_lease.sql",
        "embedded, the lease is in the memory of the only process",
    ),
    ("embedded", "list_dead_letters.sql", "dead letters lie in a queue of the broker"),
    ("embedded", "count_marked_dead_letters.sql", "dead letters lie in a queue of the broker"),
    ("embedded", "discard_dead_letters.sql", "dead letters lie in a queue of the broker"),
    ("embedded", "find_dead_letter.sql", "dead letters lie in a queue of the broker"),
    ("embedded", "forget_dead_letters.sql", "dead letters lie in a queue of the broker"),
    ("embedded", "marked_dead_letters.sql", "dead letters lie in a queue of the broker"),
    ("embedded", "requeue_dead_letters.sql", "dead letters lie in a queue of the broker"),
    (
        "embedded",
        "insert_erasure_entries.sql",
        "Postgres does it inside erase_tickets; SQLite cannot",
    ),
    ("embedded", "erase_posts.sql", "Postgres does it inside erase_tickets; SQLite cannot"),
    ("embedded", "erase_tags.sql", "Postgres does it inside erase_tickets; SQLite cannot"),
    ("embedded", "erase_search.sql", "Postgres does it inside erase_tickets; SQLite cannot"),
    ("embedded", "redact_dead_letter.sql", "dead letters lie in a queue of the broker"),
    ("embedded", "survey_dead_letters.sql", "dead letters lie in a queue of the broker"),
];

fn statements(backend: &str) -> BTreeSet<String> {
    names_in(&root().join("backends").join(backend).join("sql")).into_iter().collect()
}

#[test]
fn every_statement_is_used_and_named_in_its_first_line() {
    let files = files();
    let mut violations = Vec::new();
    for backend in BACKENDS {
        let sources = format!("backends/{backend}/src/");
        let is_product = |path: &str| path.starts_with(&sources) && !path.ends_with("/tests.rs");
        let product: Vec<_> = files.iter().filter(|file| is_product(&file.path)).collect();
        for name in statements(backend) {
            let path = format!("backends/{backend}/sql/{name}");
            let text = fs::read_to_string(root().join(&path)).unwrap();
            let heading = format!("-- {}: ", name.trim_end_matches(".sql"));
            if !text.starts_with(&heading) {
                violations.push(format!("{path}: begins with {heading:?}"));
            }
            if !product.iter().any(|file| file.text.contains(&format!("/sql/{name}\""))) {
                violations.push(format!("{path}: no source file includes it"));
            }
            if text.matches(';').count() > 1 {
                violations.push(format!("{path}: more than one statement"));
            }
        }
    }
    assert_none(&violations);
}

#[test]
fn the_backends_are_twins() {
    let [distributed, embedded] = BACKENDS.map(statements);
    let lonely: BTreeSet<_> = distributed.symmetric_difference(&embedded).cloned().collect();
    let explained: BTreeSet<_> =
        WITHOUT_A_TWIN.iter().map(|(_, name, _)| (*name).to_owned()).collect();
    assert_eq!(lonely, explained, "statements without a twin");
    for (backend, name, reason) in WITHOUT_A_TWIN {
        assert!(statements(backend).contains(*name), "{name}: {reason}");
    }
    let [migrations, twins] =
        BACKENDS.map(|backend| names_in(&root().join("backends").join(backend).join("migrations")));
    assert_eq!(migrations, twins, "migrations");
}
