//! `supportline migrate`, before the first start and after it.

use super::{invoke, settings};
use crate::bed::folder::Folder;
use crate::bed::servers::{Backing, Servers};
use crate::cli::running::Running;

const NUMBER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn servers(backing: &Backing) -> [(&str, &str); 4] {
    [
        ("DATABASE_URL", &backing.database_url),
        ("AMQP_URL", &backing.amqp_url),
        ("REDIS_URL", &backing.redis_url),
        ("SUPPORT_NUMBER_KEY", NUMBER_KEY),
    ]
}

async fn migrate_is_idempotent(folder: &Folder, environment: &[(&str, &str)]) {
    for _ in 0..3 {
        let output = invoke(folder.path(), environment, &["migrate"]).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!((&*output.stdout, &*output.stderr), ("The schema is up to date.\n", ""));
    }
    // Several at a time, as a rolling release does.
    let at_once = (0..4).map(|_| invoke(folder.path(), environment, &["migrate"]));
    let outputs = futures_util::future::join_all(at_once).await;
    let well = outputs.iter().filter(|output| output.status.success()).count();
    // An embedded folder is one process's at a time; the others are told so and have done no harm.
    let is_embedded = environment.is_empty();
    assert!(if is_embedded { well >= 1 } else { well == 4 }, "{outputs:?}");
}

#[tokio::test]
async fn an_embedded_installation_is_migrated_as_often_as_one_likes() {
    let folder = Folder::new("migrate");
    migrate_is_idempotent(&folder, &[]).await;
    let unmigrated = settings(&[("SUPPORT_NO_MIGRATE", "true")]);
    Running::start("serve", folder.path(), &unmigrated).await;
}

#[tokio::test]
async fn a_distributed_installation_is_migrated_as_often_as_one_likes() {
    let folder = Folder::new("migrate");
    let backing = Servers::shared().await.backing().await;
    let environment = servers(&backing);
    migrate_is_idempotent(&folder, &environment).await;
    let unmigrated = [&environment[..], &[("SUPPORT_NO_MIGRATE", "true")]].concat();
    Running::start("worker", folder.path(), &settings(&unmigrated)).await;
}

/// The schema is the same under any key, and `migrate` may run where the key is not known.
#[tokio::test]
async fn migrate_takes_no_key_for_that_of_the_installation() {
    let folder = Folder::new("migrate");
    let backing = Servers::shared().await.backing().await;
    let own = servers(&backing);
    let other = "f".repeat(64);
    let foreign = [own[0], own[1], own[2], ("SUPPORT_NUMBER_KEY", other.as_str())];
    assert_eq!(invoke(folder.path(), &foreign, &["migrate"]).await.status.code(), Some(0));
    Running::start("worker", folder.path(), &settings(&own)).await;
    assert_eq!(invoke(folder.path(), &foreign, &["migrate"]).await.status.code(), Some(0));
    let embedded = Folder::new("migrate");
    assert_eq!(invoke(embedded.path(), &[], &["migrate"]).await.status.code(), Some(0));
    assert!(!embedded.join("data/number-key").exists());
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_told_in_one_line() {
    let folder = Folder::new("migrate");
    let environment = [("SUPPORT_NO_MIGRATE", "true"), ("SUPPORT_LISTEN", "127.0.0.1:0")];
    let output = invoke(folder.path(), &environment, &["serve"]).await;
    let line = super::only_line(&output, 1);
    assert!(line.starts_with("error: cannot prepare the store: "), "{line}");
}
