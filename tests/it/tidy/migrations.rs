//! Migrations of a database that others are working on.

use super::{File, assert_none, files};

/// The table that a statement makes an index of, if that is what it does.
fn indexed(statement: &str) -> Option<&str> {
    let rest = statement.trim_start().strip_prefix("CREATE ")?;
    let rest = rest.strip_prefix("UNIQUE ").unwrap_or(rest).strip_prefix("INDEX ")?;
    rest.split_once(" ON ")?.1.split([' ', '(']).next()
}

/// What is wrong with a migration of Postgres.
fn violations(path: &str, text: &str) -> Vec<String> {
    let code: Vec<_> = text.lines().filter(|line| !line.starts_with("--")).collect();
    let code = code.join("\n");
    let statements: Vec<_> = code.split(';').filter(|it| !it.trim().is_empty()).collect();
    let is_alone = text.starts_with("-- no-transaction\n") && statements.len() == 1;
    let is_new = |table: &str| code.contains(&format!("CREATE TABLE {table} ("));
    let indexed = statements.iter().filter_map(|it| Some((it, indexed(it)?)));
    indexed
        .filter(|(statement, table)| {
            !(is_new(table) || is_alone && statement.contains(" CONCURRENTLY "))
        })
        .map(|(_, table)| {
            format!(
                "{path}: an index of {table}, which can be large, is made CONCURRENTLY, in a file \
                 of its own that begins with `-- no-transaction`"
            )
        })
        .collect()
}

/// Beginnings of statements, and words in them, that keep a table from others for as long as it takes
/// to read or write all of it.
const LONG: [(&str, &str); 10] = [
    ("ALTER TABLE ", " TYPE "),
    ("ALTER TABLE ", " SET NOT NULL"),
    ("ALTER TABLE ", " UNIQUE"),
    ("ALTER TABLE ", " PRIMARY KEY"),
    ("ALTER TABLE ", " GENERATED "),
    ("ALTER TABLE ", " ADD CONSTRAINT "),
    ("UPDATE ", ""),
    ("DELETE FROM ", ""),
    ("LOCK ", ""),
    ("REINDEX ", ""),
];

/// What makes a check a matter of a moment: it is looked at later, or was before.
const SHORT: [&str; 2] = [" NOT VALID", " USING INDEX "];

/// What takes something away that the release before reads or leaves out.
const CONTRACTING: [(&str, &str); 5] = [
    ("DROP TABLE ", ""),
    ("DROP VIEW ", ""),
    ("ALTER TABLE ", " DROP COLUMN "),
    ("ALTER TABLE ", " RENAME "),
    ("ALTER TABLE ", " SET NOT NULL"),
];

fn is_one_of(statement: &str, kinds: &[(&str, &str)]) -> bool {
    kinds.iter().any(|(start, word)| statement.starts_with(start) && statement.contains(word))
}

/// What a migration must say of itself and does not.
fn unsaid(path: &str, text: &str) -> Vec<String> {
    let code: Vec<_> = text.lines().filter(|line| !line.starts_with("--")).collect();
    let code = code.join("\n");
    let statements = code.split(';').map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
    let is_new = |table: &str| code.contains(&format!("CREATE TABLE {table} ("));
    let of_a_table_in_use = |statement: &String| {
        let words = statement.split(' ').find(|word| word.chars().all(|c| !c.is_uppercase()));
        words.is_none_or(|table| !is_new(table))
    };
    let statements: Vec<_> = statements.filter(of_a_table_in_use).collect();
    let says = |word: &str| text.lines().any(|line| line.starts_with(&format!("-- {word}: ")));
    let is_long = |it: &&String| is_one_of(it, &LONG) && !SHORT.iter().any(|s| it.contains(s));
    let of_postgres = path.starts_with("backends/distributed/");
    let long = statements.iter().filter(is_long).filter(|_| of_postgres && !says("holds"));
    let long = long.map(|it| {
        format!("{path}: `{it}` can take long; do it otherwise, or say why not: `-- holds: …`")
    });
    let has_floor = text.contains("'schema_floor'") && says("contracts");
    let contracting = statements.iter().filter(|it| is_one_of(it, &CONTRACTING) && !has_floor);
    let contracting = contracting.map(|it| {
        format!(
            "{path}: `{it}` breaks the release before; a release later, with `-- contracts: …` and \
             the row 'schema_floor' of `installation` set to this migration's number"
        )
    });
    long.chain(contracting).collect()
}

/// The migrations of both backends.
fn migrations() -> Vec<File> {
    let is_one =
        |file: &File| file.path.starts_with("backends/") && file.path.contains("/migrations/");
    let found: Vec<_> = files().into_iter().filter(is_one).collect();
    assert!(found.len() >= 10, "{} migrations", found.len());
    found
}

/// A migration that was is never changed: the schemas it made tell it by its sum.
const OLDER_THAN_THE_RULE: &str = "backends/distributed/migrations/0003_events.sql";

#[test]
fn an_index_of_a_table_in_use_keeps_nobody_from_writing() {
    let ours = migrations();
    let is_checked = |file: &&File| {
        file.path.starts_with("backends/distributed/") && file.path != OLDER_THAN_THE_RULE
    };
    let of_postgres = ours.iter().filter(is_checked);
    let found: Vec<_> = of_postgres.flat_map(|file| violations(&file.path, &file.text)).collect();
    assert_none(&found);
}

#[test]
fn what_holds_a_table_or_takes_something_away_says_so() {
    let ours = migrations();
    let found: Vec<_> = ours.iter().flat_map(|file| unsaid(&file.path, &file.text)).collect();
    assert_none(&found);
}

#[test]
fn what_a_migration_does_not_say_is_noticed() {
    for (text, count) in [
        ("CREATE TABLE a (\n b int\n);\nALTER TABLE a ALTER COLUMN b TYPE text;\n", 0),
        ("ALTER TABLE a ADD COLUMN b text;\nALTER TABLE a ALTER COLUMN c DROP NOT NULL;\n", 0),
        ("ALTER TABLE a ALTER COLUMN b TYPE text;\n", 1),
        ("-- holds: it has one row\nALTER TABLE a ALTER COLUMN b TYPE text;\n", 0),
        ("ALTER TABLE a\n    ADD CONSTRAINT c CHECK (b > 0);\n", 1),
        ("ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID;\n", 0),
        ("ALTER TABLE a DROP CONSTRAINT c;\nUPDATE a SET b = 1;\n", 1),
        ("ALTER TABLE a DROP COLUMN b;\n", 1),
        ("-- contracts: nobody reads it\nALTER TABLE a DROP COLUMN b;\n", 1),
        (
            "-- contracts: nobody reads it\nALTER TABLE a DROP COLUMN b;\n\
             INSERT INTO installation (name, value) VALUES ('schema_floor', '7');\n",
            0,
        ),
        ("DROP TABLE a;\nALTER TABLE b RENAME TO c;\n", 2),
    ] {
        assert_eq!(unsaid("backends/distributed/x", text).len(), count, "{text}");
    }
}

#[test]
fn an_index_under_a_lock_is_noticed() {
    for (text, count) in [
        ("CREATE TABLE a (\n b int\n);\nCREATE INDEX c ON a (b);\n", 0),
        ("ALTER TABLE a ADD b int;\nCREATE INDEX c ON a (b);\n", 1),
        ("CREATE UNIQUE INDEX c ON a (b);\n", 1),
        ("CREATE INDEX CONCURRENTLY c ON a (b);\n", 1),
        ("-- no-transaction\nCREATE INDEX CONCURRENTLY c ON a (b);\n", 0),
        ("-- no-transaction\nCREATE INDEX c ON a (b);\n", 1),
        ("-- no-transaction\nCREATE INDEX CONCURRENTLY c ON a (b);\nSELECT 1;\n", 1),
    ] {
        assert_eq!(violations("x", text).len(), count, "{text}");
    }
}
