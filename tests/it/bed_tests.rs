//! The test bed tested: its servers start, suffer and come back, and nothing of it is left.

mod links;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lapin::options::{BasicAckOptions, QueueDeclareOptions};
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::bed::client::Client;
use super::bed::disk::Disk;
use super::bed::folder::{Folder, home, inhabitants, watchdog};
use super::bed::namespace::Namespace;
use super::bed::port::Port;
use super::bed::postgres::Postgres;
use super::bed::process::{Process, command, run_well};
use super::bed::rabbitmq::RabbitMq;
use super::bed::redis::Redis;
use super::bed::server::{PATIENCE, Server};
use super::bed::servers::Servers;
use super::bed::wait::until;

/// Long enough to tell a server that does not answer from one that is about to.
const SILENCE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn each_test_gets_an_empty_place_on_three_servers_that_answer() {
    let servers = Servers::shared().await;
    let (mine, yours) = tokio::join!(servers.backing(), servers.backing());
    for backing in [&mine, &yours] {
        insert_a_row(&backing.database_url).await;
        publish_a_message(&channel(&backing.amqp_url).await).await;
        assert_eq!(backing.queues().await, [("bed".to_owned(), 1)]);
        let size = servers.redis.ask(backing.redis_database, "DBSIZE").await;
        assert_eq!(size, ":0");
        servers.redis.ask(backing.redis_database, "SET bed made").await;
    }
    assert_eq!(count_rows(&mine.database_url).await, 1);
}

#[tokio::test]
async fn a_postgres_keeps_its_rows_through_a_stop_a_kill_and_a_pause() {
    let mut postgres = Postgres::start().await;
    let url = postgres.create_database("bed").await;
    insert_a_row(&url).await;

    postgres.stop().await;
    assert!(PgConnection::connect(&url).await.is_err());
    postgres.start_again().await;
    insert_a_row(&url).await;

    postgres.kill();
    assert!(postgres.folder().is_deserted());
    postgres.start_again().await;
    insert_a_row(&url).await;

    let mut open = PgConnection::connect(&url).await.unwrap();
    postgres.pause();
    assert!(timeout(SILENCE, sqlx::query("SELECT 1").execute(&mut open)).await.is_err());
    assert!(timeout(SILENCE, PgConnection::connect(&url)).await.is_err());
    postgres.resume();
    assert_eq!(count_rows(&url).await, 3);
}

#[tokio::test]
async fn a_rabbitmq_keeps_its_messages_through_a_stop_a_kill_and_a_pause() {
    let mut rabbitmq = RabbitMq::start().await;
    let vhost = rabbitmq.fresh_vhost().await;
    let url = rabbitmq.url(&vhost);
    publish_a_message(&channel(&url).await).await;

    rabbitmq.stop().await;
    assert!(rabbitmq.folder().is_deserted());
    rabbitmq.start_again().await;
    publish_a_message(&channel(&url).await).await;

    rabbitmq.kill();
    assert!(rabbitmq.folder().is_deserted());
    rabbitmq.start_again().await;
    publish_a_message(&channel(&url).await).await;

    let open = channel(&url).await;
    rabbitmq.pause();
    assert!(timeout(SILENCE, publish_a_message(&open)).await.is_err());
    rabbitmq.resume();
    // The publish that was given up may still land: 3 or 4.
    assert!(take_all_messages(&channel(&url).await).await >= 3);
}

#[tokio::test]
async fn a_redis_comes_back_empty_from_a_kill_and_whole_from_a_pause() {
    let mut redis = Redis::start().await;
    redis.ask(7, "SET bed made").await;

    redis.kill();
    redis.start_again().await;
    assert_eq!(redis.ask(7, "DBSIZE").await, ":0");

    redis.ask(7, "SET bed made").await;
    redis.pause();
    assert!(timeout(SILENCE, redis.ask(7, "DBSIZE")).await.is_err());
    redis.resume();
    assert_eq!(redis.ask(7, "DBSIZE").await, ":1");

    redis.stop().await;
    assert!(redis.folder().is_deserted());
}

#[tokio::test]
async fn a_dropped_server_leaves_no_process_no_folder_and_no_shared_memory() {
    let mut postgres = Postgres::start().await;
    let path = postgres.folder().path().to_owned();
    let ids = postgres.folder().inhabitants();
    assert!(owns_shared_memory(&ids), "the test looks at the wrong place");
    postgres.pause(); // The worst case: nobody in there can clean up.
    drop(postgres);
    assert!(is_gone(&path, &ids));
}

#[tokio::test]
async fn a_watchdog_ends_and_removes_what_lives_in_its_folder() {
    let folder = tempfile::tempdir().unwrap().keep();
    let mut family = command("sh");
    // A child that has left for a session of its own, as daemons do.
    family.args(["-c", "setsid sleep 1000 & exec sleep 1000"]);
    let mut watchdog = watchdog(&folder);
    let parent = Process::new("family", &folder, family);
    parent.start();
    until(PATIENCE, "both sleep", async || inhabitants(&folder).len() == 2).await;
    let ids = inhabitants(&folder);

    drop(watchdog.stdin.take());
    watchdog.wait().unwrap();
    parent.wait(PATIENCE).await;
    assert!(is_gone(&folder, &ids));
}

#[tokio::test]
async fn nothing_is_left_of_a_test_binary_that_is_killed() {
    let (victim, _folder) = start_victim("is killed");
    let home = home_of(&victim).await;
    let ids = inhabitants(&home);
    assert!(ids.len() > 10, "three servers are more processes than {ids:?}");
    let (disk, network) = outside(&home);
    assert!(is_mounted(&disk) && network.exists(), "{disk:?} {network:?}");
    victim.kill();
    until(PATIENCE, "the watchdog is done", async || {
        is_gone(&home, &ids) && !is_mounted(&disk) && !network.exists()
    })
    .await;
}

#[tokio::test]
async fn nothing_is_left_of_a_test_binary_that_panics_or_ends() {
    for end in ["panics", "ends"] {
        let (victim, _folder) = start_victim(end);
        let home = home_of(&victim).await;
        let status = victim.wait(PATIENCE).await;
        assert_eq!(status.success(), end == "ends", "{}", victim.log());
        until(PATIENCE, "the watchdog is done", async || is_gone(&home, &[])).await;
    }
}

/// Run by the two tests above, in a test binary of its own.
#[tokio::test]
#[ignore = "leaves its servers to the watchdog; other tests run it and look"]
async fn victim() {
    let end = std::env::var("BED_VICTIM").unwrap_or_default();
    if end == "is killed" {
        let _servers = Servers::own().await;
        let folder = Folder::new("disk");
        let _disk = Disk::mount(&folder, "small", 1).await;
        let _namespace = Namespace::new().await;
        say_home();
        std::future::pending::<()>().await;
    }
    // Forgotten, as everything in a static is.
    std::mem::forget(Redis::start().await);
    say_home();
    assert_ne!(end, "panics");
}

#[tokio::test]
async fn a_child_inherits_no_setting_from_the_tests() {
    let folder = Folder::new("env");
    let environment = run_well("env", folder.path(), command("env"), PATIENCE).await;
    assert!(environment.contains("PATH="));
    assert!(!environment.contains("CARGO"), "{environment}");
}

#[test]
fn no_port_is_handed_out_twice() {
    let ports: Vec<Port> = (0..500).map(|_| Port::free()).collect();
    let numbers: HashSet<u16> = ports.iter().map(Port::number).collect();
    assert_eq!(numbers.len(), ports.len());
}

#[tokio::test]
async fn a_client_keeps_its_connection_until_the_server_closes_it() {
    let port = Port::free();
    let listener = tokio::net::TcpListener::bind(port.address()).await.unwrap();
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            answer_two_requests(listener.accept().await.unwrap().0).await;
        }
    });
    let client = Client::new(port.address());
    for _ in 0..4 {
        assert_eq!(client.post("/").json(&"hello").send().await.json(), "hello");
    }
    server.await.unwrap();
    assert!(client.get("/").try_send().await.is_err());
}

/// Plays a server that echoes a body of exactly seven bytes, twice, and says good-bye.
async fn answer_two_requests(mut stream: tokio::net::TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for connection in ["keep-alive", "close"] {
        let mut request = Vec::new();
        while !request.ends_with(b"\"hello\"") {
            request.push(stream.read_u8().await.unwrap());
        }
        let head = format!("HTTP/1.1 200 OK\r\nconnection: {connection}\r\ncontent-length: 7");
        stream.write_all(format!("{head}\r\n\r\n\"hello\"").as_bytes()).await.unwrap();
    }
}

async fn insert_a_row(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS bed (id serial); INSERT INTO bed DEFAULT VALUES")
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn count_rows(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM bed").fetch_one(&mut connection).await.unwrap()
}

/// A channel with confirms and the durable queue `bed`.
async fn channel(url: &str) -> Channel {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare("bed".into(), durable, quorum).await.unwrap();
    channel
}

async fn publish_a_message(channel: &Channel) {
    let options = BasicPublishOptions::default();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let publish = channel.basic_publish("".into(), "bed".into(), options, b"made", persistent);
    assert!(publish.await.unwrap().await.unwrap().is_ack());
}

async fn take_all_messages(channel: &Channel) -> usize {
    let mut count = 0;
    while let Some(message) =
        channel.basic_get("bed".into(), BasicGetOptions::default()).await.unwrap()
    {
        message.ack(BasicAckOptions::default()).await.unwrap();
        count += 1;
    }
    count
}

/// Starts this test binary a second time, to end as told.
fn start_victim(end: &str) -> (Process, Folder) {
    let folder = Folder::new("victim");
    let mut binary = command(std::env::current_exe().unwrap());
    binary.args(["--ignored", "--exact", "bed_tests::victim", "--nocapture"]);
    binary.env("BED_VICTIM", end);
    let victim = Process::new("victim", folder.path(), binary);
    victim.start();
    (victim, folder)
}

#[expect(clippy::print_stdout, reason = "how the victim tells its own folder")]
fn say_home() {
    println!("\nhome {}", home().display());
}

/// The victim's own folder, as soon as its servers are up.
async fn home_of(victim: &Process) -> PathBuf {
    let home = || {
        let output = victim.stdout();
        let lines = output.lines().filter_map(|line| line.strip_prefix("home "));
        lines.map(PathBuf::from).next()
    };
    until(PATIENCE, "the victim's servers are up", async || home().is_some()).await;
    home().unwrap()
}

/// The disk and the network namespace of the victim, by where the kernel shows them.
fn outside(home: &Path) -> (PathBuf, PathBuf) {
    let files = std::fs::read_dir(home).unwrap().flat_map(|it| {
        let folder = it.unwrap().path().read_dir().into_iter().flatten();
        folder.map(|file| file.unwrap().path()).collect::<Vec<_>>()
    });
    let files: Vec<_> = files.collect();
    let disk = files.iter().find(|file| file.ends_with("small")).expect("a disk").clone();
    let is_note = |file: &&PathBuf| file.extension().is_some_and(|it| it == "netns");
    let note = files.iter().find(is_note).expect("a namespace");
    (disk, Path::new("/run/netns").join(note.file_stem().unwrap()))
}

fn is_mounted(disk: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    mounts.lines().any(|line| line.split(' ').nth(1) == disk.to_str())
}

fn is_gone(folder: &Path, ids: &[u32]) -> bool {
    let alive = |id: &u32| Path::new(&format!("/proc/{id}/exe")).exists();
    !folder.exists()
        && inhabitants(folder).is_empty()
        && !ids.iter().any(alive)
        && !owns_shared_memory(ids)
}

/// Whether one of the processes, dead or alive, made a System V segment that still exists.
fn owns_shared_memory(ids: &[u32]) -> bool {
    let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let maker = |line: &str| line.split_whitespace().nth(4)?.parse::<u32>().ok();
    segments.lines().filter_map(maker).any(|maker| ids.contains(&maker))
}
