//! `supportline token …`, beside a running installation and without one.

use std::time::Duration;

use serde_json::{Value, json};

use super::{invoke, only_line, settings};
use crate::bed::client::Client;
use crate::bed::folder::Folder;
use crate::bed::instance::supportline;
use crate::bed::process::{Output, command, run};
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, TestSystem};
use crate::bed::wait::until;

const STATISTICS: &str = "/api/support/stats";

/// Makes a token: itself, and its id.
async fn create(system: &TestSystem, arguments: &[&str]) -> (String, String) {
    let output = system.run(&[&["token", "create"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let token = output.stdout.trim_end().to_owned();
    assert_eq!((token.len(), &token[..4], output.stdout.lines().count()), (68, "slt_", 1));
    assert!(!output.stderr.contains(&token[4..]), "the explanation does not hold the token");
    let id = output.stderr.split(' ').nth(1).unwrap().to_owned();
    (token, id)
}

async fn listed(system: &TestSystem) -> Vec<Value> {
    let output = system.run(&["token", "list", "--json"]).await;
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{output:?}");
    serde_json::from_str(&output.stdout).unwrap()
}

async fn status(client: &Client, token: &str) -> u16 {
    client.get(STATISTICS).bearer(token).send().await.status.as_u16()
}

async fn a_tokens_life(system: &TestSystem, edges: usize) {
    let clients: Vec<_> = (0..edges).map(|index| system.edge(index).client()).collect();
    assert_eq!(listed(system).await, [Value::Null; 0]);
    let (mut tokens, mut ids) = (Vec::new(), Vec::new());
    for arguments in [
        &["--role", "admin"][..],
        &["--role", "agent", "--name", "Ada O'Hara"],
        &["--role=stats", "--expires", "30d", "--name=grafana"],
    ] {
        let (token, id) = create(system, arguments).await;
        for client in &clients {
            assert_eq!(status(client, &token).await, 200, "{arguments:?}");
        }
        tokens.push(token);
        ids.push(id);
    }

    let list = listed(system).await;
    let told = list.iter().map(|it| json!([it["id"], it["role"], it["name"]]));
    let expected = [
        json!([ids[0], "admin", null]),
        json!([ids[1], "agent", "Ada O'Hara"]),
        json!([ids[2], "stats", "grafana"]),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert!(list[2]["expiresAt"].is_string() && list[0].get("expiresAt").is_none());
    assert!(list.iter().all(|it| it["standing"] == "active"));
    let table = system.run(&["token", "list"]).await.stdout;
    assert!(table.starts_with("ID            ROLE   STANDING  CREATED"), "{table}");
    for token in &tokens {
        assert!(!table.contains(&token[4..20]) && !list[0].to_string().contains(&token[4..20]));
    }

    // By its id, and by the token itself.
    for (named_by, token) in [(&ids[1], &tokens[1]), (&tokens[0], &tokens[0])] {
        let output = system.run(&["token", "revoke", named_by]).await;
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{output:?}");
        for client in &clients {
            assert_eq!(status(client, token).await, 401, "from the next request on");
        }
    }
    assert_eq!(status(clients[0], &tokens[2]).await, 200, "the others are what they were");
    assert_eq!(status(clients[0], ADMIN_TOKEN).await, 200);
    let again = system.run(&["token", "revoke", &ids[1]]).await;
    assert!(again.stdout.contains("was revoked before, at 20"), "{again:?}");
    let unknown = system.run(&["token", "revoke", "0123456789ab"]).await;
    assert_eq!(only_line(&unknown, 1), "error: there is no token 0123456789ab");
}

async fn a_token_expires(system: &TestSystem) {
    let (token, _) = create(system, &["--role", "stats", "--expires", "2s"]).await;
    let client = system.client();
    until(Duration::from_secs(10), "it has expired", async || status(client, &token).await == 401)
        .await;
    let standing = listed(system).await.last().unwrap()["standing"].clone();
    assert_eq!(standing, "expired");
}

async fn a_token_is_rotated(system: &TestSystem) {
    let (old, id) = create(system, &["--role", "stats", "--name", "Ada"]).await;
    let output = system.run(&["token", "rotate", &id, "--overlap", "6s", "--expires=30d"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let new = output.stdout.trim_end().to_owned();
    assert_eq!((new.len(), output.stdout.lines().count()), (68, 1));
    assert!(output.stderr.contains(&format!("Token {id} admits until 20")), "{output:?}");
    let client = system.client();
    assert_eq!((status(client, &old).await, status(client, &new).await), (200, 200));
    let list = listed(system).await;
    let told: Vec<_> = list.iter().filter(|it| it["name"] == "Ada").collect();
    assert_eq!((told.len(), &told[0]["standing"]), (2, &json!("active")));
    until(Duration::from_secs(20), "the overlap is over", async || {
        status(client, &old).await == 401
    })
    .await;
    assert_eq!(status(client, &new).await, 200);
    let again = system.run(&["token", "rotate", &id]).await;
    assert_eq!(only_line(&again, 1), format!("error: token {id} is expired: make a new one"));
    let log = system.run(&["dead-letters", "log", "--json"]).await.stdout;
    let log: Vec<Value> = serde_json::from_str(&log).unwrap();
    let done: Vec<_> =
        log.iter().filter(|it| it["subject"] == id).map(|it| &it["action"]).collect();
    assert_eq!(done, ["token.rotate", "token.create"]);
    assert!(log.iter().all(|it| it["actor"].as_str().unwrap().starts_with("user:")));
    assert!(!log.iter().any(|it| it.to_string().contains(&new[4..20])));
}

#[tokio::test]
async fn tokens_are_made_and_revoked_beside_a_running_installation_embedded() {
    let system = TestSystem::embedded().await;
    a_tokens_life(&system, 1).await;
    a_token_is_rotated(&system).await;
    a_token_expires(&system).await;
    // And beside none: the next one that runs knows them.
    system.stop_gracefully().await;
    let (token, id) = create(&system, &["--role", "stats"]).await;
    system.edge(0).start_again().await;
    assert_eq!(status(system.client(), &token).await, 200);
    system.stop_gracefully().await;
    assert!(system.run(&["token", "revoke", &id]).await.status.success());
    system.edge(0).start_again().await;
    assert_eq!(status(system.client(), &token).await, 401);
}

#[tokio::test]
async fn tokens_are_made_and_revoked_beside_a_running_installation_distributed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_ingest(2).await;
    a_tokens_life(&system, 2).await;
    a_token_is_rotated(&system).await;
    a_token_expires(&system).await;
}

#[tokio::test]
async fn without_the_database_the_bootstrap_key_is_known_and_tokens_wait() {
    let servers = Servers::own().await;
    let system = TestSystem::distributed(servers.backing().await).await;
    let (token, _) = create(&system, &["--role", "stats"]).await;
    assert_eq!(status(system.client(), &token).await, 200);
    crate::bed::server::Server::process(&servers.postgres).kill();
    let unknown = format!("slt_{}", "0".repeat(64));
    assert_eq!(status(system.client(), &token).await, 503);
    assert_eq!(status(system.client(), &unknown).await, 503);
    assert_eq!(status(system.client(), "neither").await, 401);
    let known = system.client().get("/api/support/whoami").bearer(ADMIN_TOKEN).send().await;
    assert_eq!(known.status, 200, "{}", known.text());
    let output = system.run(&["token", "list"]).await;
    assert!(only_line(&output, 1).starts_with("error: the tokens are out of reach"), "{output:?}");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_and_nothing_is_made() {
    let folder = Folder::new("tokens");
    for arguments in [
        &["token"][..],
        &["token", "create"],
        &["token", "create", "--role", "root"],
        &["token", "create", "--role", "Admin"],
        &["token", "create", "--role", "admin", "--expires", "30"],
        &["token", "create", "--role", "admin", "--expires", "0d"],
        &["token", "create", "--role", "admin", "--expires=-1d"],
        &["token", "create", "--role", "admin", "--name", ""],
        &["token", "create", "--role", "admin", "--name", "two\nlines"],
        &["token", "create", "--role", "admin", "extra"],
        &["token", "create", "--role", "admin", "--listen", "127.0.0.1:1"],
        &["token", "revoke"],
        &["token", "rotate"],
        &["token", "rotate", "95344202d105", "--overlap", "31d"],
        &["audit"],
        &["audit", "export", "--record", "all"],
        &["audit", "export", "--after", "7"],
        &["audit", "export", "--from", "yesterday"],
        &["token", "list", "--all"],
        &["token", "make"],
    ] {
        let output = invoke(folder.path(), &[], arguments).await;
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), ""), "{arguments:?}");
    }
    // Well asked, where there is no installation.
    let output = invoke(folder.path(), &[], &["token", "create", "--role", "admin"]).await;
    only_line(&output, 2);
    assert!(!folder.join("data").exists());
}

/// Runs a line of a shell in which `$0` is the program and `$1` the data folder.
async fn in_a_shell(system: &TestSystem, line: &str) -> Output {
    let data = system.folder().join("data").display().to_string();
    let program = supportline(&settings(&[]));
    let mut shell = command("sh");
    shell.args(["-c", line]).arg(program.get_program()).arg(data);
    run("shell", system.folder().path(), shell, Duration::from_secs(30)).await
}

#[tokio::test]
async fn a_token_that_cannot_be_printed_is_revoked() {
    let system = TestSystem::embedded().await;
    let create = "\"$0\" token create --role admin --data-dir \"$1\" > /dev/full";
    let output = in_a_shell(&system, create).await;
    let line = only_line(&output, 1);
    assert!(line.starts_with("error: the token could not be printed, and was revoked"), "{line}");
    assert_eq!(listed(&system).await[0]["standing"], "revoked");
}

#[tokio::test]
async fn a_list_that_is_cut_off_is_a_failure_unless_its_reader_has_seen_enough() {
    let system = TestSystem::embedded().await;
    for list in ["token list", "token list --json", "config"] {
        let line = format!("\"$0\" {list} --data-dir \"$1\" > /dev/full");
        only_line(&in_a_shell(&system, &line).await, 1);
        // The reader is gone before the writer begins.
        let line = format!("{{ sleep 1; \"$0\" {list} --data-dir \"$1\"; echo $? >&2; }} | true");
        let output = in_a_shell(&system, &line).await;
        assert_eq!(output.stderr, "0\n", "{list}");
    }
}

/// The key is for numbers, and neither tokens nor dead letters have any.
#[tokio::test]
async fn operators_need_no_number_key_beside_an_installation_that_has_it_from_a_setting() {
    let system = TestSystem::embedded().with_env("SUPPORT_NUMBER_KEY", &"7".repeat(64)).await;
    for command in ["token list", "dead-letters list"] {
        let output = in_a_shell(&system, &format!("\"$0\" {command} --data-dir \"$1\"")).await;
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{command}");
    }
}
