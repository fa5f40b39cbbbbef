//! `supportline probe`, which is a container's health check.

use super::running::Running;
use super::{invoke, only_line, settings};
use crate::bed::folder::Folder;
use crate::bed::port::Port;
use crate::bed::process::Process;
use crate::bed::wait::eventually;
use crate::{bed::instance::supportline, cli::DEADLINE};

#[tokio::test]
async fn a_process_that_is_ready_passes_the_probe() {
    let folder = Folder::new("probe");
    let serve = Running::start("serve", folder.path(), &settings(&[])).await;
    let address = serve.address().to_string();
    let output = invoke(folder.path(), &[("SUPPORT_LISTEN", &address)], &["probe"]).await;
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""));
    assert_eq!(output.stdout, format!("{address} is ready\n"));
    serve.kill();
    let output = invoke(folder.path(), &[], &["probe", "--listen", &address]).await;
    let line = only_line(&output, 1);
    assert!(line.starts_with(&format!("error: {address} does not answer: ")), "{line}");
}

/// It answers, and says that it would take nothing: there is no broker.
#[tokio::test]
async fn a_process_that_is_not_ready_fails_the_probe() {
    let folder = Folder::new("probe");
    let (port, nowhere) = (Port::free(), Port::free());
    let address = port.address().to_string();
    let environment = settings(&[
        ("SUPPORT_LISTEN", &address),
        ("DATABASE_URL", &format!("postgres://{}/x", nowhere.address())),
        ("AMQP_URL", &format!("amqp://{}", nowhere.address())),
        ("REDIS_URL", &format!("redis://{}", nowhere.address())),
        ("SUPPORT_NUMBER_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ]);
    let mut command = supportline(&environment);
    command.arg("ingest");
    let ingest = Process::new("ingest", folder.path(), command);
    ingest.start();
    eventually(DEADLINE, "the probe is told that it is not ready", async || {
        assert!(ingest.is_running(), "{}", ingest.log());
        let pairs: Vec<_> = environment.iter().map(|(name, value)| (&**name, &**value)).collect();
        let output = invoke(folder.path(), &pairs, &["probe"]).await;
        let line = only_line(&output, 1).to_owned();
        let expected = format!("error: not ready: {address} says 503: ");
        if line.starts_with(&expected) { Ok(()) } else { Err(line) }
    })
    .await;
}
