//! How a process that runs until it is told to stop is told, and how it does.
//!
//! The first SIGTERM or SIGINT is a request: the roles stop one after the other, the last started
//! first, each finishing what it has accepted before the next is told. The second one, or the end
//! of the grace, is an order: what is still running is dropped, which loses nothing that was
//! promised, as a kill would not.

use std::{io, process::ExitCode, time::Duration};

use common::{chain, ended};
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::{self, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::is_bad_setting;

/// A process and its roles.
pub struct Lifecycle {
    grace: Duration,
    requests: mpsc::Receiver<&'static str>,
    stopping: CancellationToken,
    roles: Roles,
}

impl Lifecycle {
    /// Listens for signals from here on; what comes before the roles run is not lost.
    pub fn new(grace: Duration) -> io::Result<Self> {
        let (sender, requests) = mpsc::channel(2);
        for (kind, name) in
            [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT")]
        {
            let (mut signals, sender) = (signal(kind)?, sender.clone());
            tokio::spawn(async move {
                while signals.recv().await.is_some() && sender.send(name).await.is_ok() {}
            });
        }
        Ok(Self::stopped_by(requests, grace))
    }

    fn stopped_by(requests: mpsc::Receiver<&'static str>, grace: Duration) -> Self {
        Self { grace, requests, stopping: CancellationToken::new(), roles: Roles::default() }
    }

    /// Cancelled as soon as the process begins to stop: it is not ready any more.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Starts a role. Its token tells it that its turn to stop has come: once all that were started
    /// after it, and may lean on it, have ended.
    pub fn start<R>(&mut self, name: &'static str, role: impl FnOnce(CancellationToken) -> R)
    where
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.roles.start(name, role);
    }

    /// Runs until a signal comes or a role ends by itself, then stops: the roles in turn, `close`
    /// last. Success only when a signal asked for it and all of them finished; an error when a role
    /// found that a setting has to be changed.
    pub async fn run(mut self, close: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
        let was_asked = select! {
            request = self.requests.recv() => {
                tracing::info!(signal = request, "stopping");
                true
            }
            () = self.roles.ended() => false,
        };
        self.stopping.cancel();
        let finish = async {
            let finished = self.roles.stop().await;
            close.await;
            finished
        };
        let finished = select! {
            finished = finish => finished,
            signal = self.requests.recv() => {
                tracing::error!(signal, "stopped before everything was finished");
                false
            }
            () = tokio::time::sleep(self.grace) => {
                tracing::error!(grace = ?self.grace, "stopped before everything was finished");
                false
            }
        };
        if let Some(refusal) = self.roles.refusal {
            return Err(refusal);
        }
        if was_asked && finished {
            tracing::info!("stopped, with everything finished");
            Ok(ExitCode::SUCCESS)
        } else {
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The running roles; dropping them aborts what still runs.
#[derive(Default)]
struct Roles {
    tasks: JoinSet<anyhow::Result<()>>,
    started: Vec<Role>,
    /// What a role ended of that only another setting would help against.
    refusal: Option<anyhow::Error>,
}

struct Role {
    name: &'static str,
    task: task::Id,
    stop: CancellationToken,
    has_ended: bool,
}

impl Roles {
    fn start<R>(&mut self, name: &'static str, role: impl FnOnce(CancellationToken) -> R)
    where
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = self.tasks.spawn(role(stop.clone())).id();
        self.started.push(Role { name, task, stop, has_ended: false });
    }

    /// Waits until one of them has ended, which none should before it is told to.
    async fn ended(&mut self) {
        self.next_end().await;
    }

    /// Tells each in turn to stop and waits until it has. False when one failed.
    async fn stop(&mut self) -> bool {
        let mut all_well = true;
        for index in (0..self.started.len()).rev() {
            self.started[index].stop.cancel();
            while !self.started[index].has_ended {
                all_well &= self.next_end().await;
            }
        }
        all_well
    }

    /// Waits for the next end, whoever's, and logs it unless it was due. True when it was.
    async fn next_end(&mut self) -> bool {
        let Some(end) = self.tasks.join_next_with_id().await else { return true };
        let (task, result) = match end {
            Ok((task, result)) => (task, result),
            Err(error) => (error.id(), Err(anyhow::anyhow!(ended(&error)))),
        };
        let Some(role) = self.started.iter_mut().find(|role| role.task == task) else {
            return true;
        };
        role.has_ended = true;
        match result {
            Ok(()) if role.stop.is_cancelled() => return true,
            Ok(()) => tracing::error!(role = role.name, "the role ended by itself; stopping"),
            // The program's last line says it.
            Err(error) if error.chain().any(is_bad_setting) => self.refusal = Some(error),
            Err(error) => {
                tracing::error!(role = role.name, error = chain(error.as_ref()), "the role failed");
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future,
        sync::{Arc, Mutex},
    };

    use common::config::ConfigError;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    type Journal = Arc<Mutex<Vec<&'static str>>>;

    fn lifecycle(grace: Duration) -> (mpsc::Sender<&'static str>, Lifecycle) {
        let (signals, requests) = mpsc::channel(2);
        (signals, Lifecycle::stopped_by(requests, grace))
    }

    /// A role that ends when it is told to, and writes down that it has.
    fn obedient(lifecycle: &mut Lifecycle, name: &'static str, journal: &Journal) {
        let journal = Arc::clone(journal);
        lifecycle.start(name, |stop| async move {
            stop.cancelled().await;
            // A role that is told at the same time as the next would be overtaken by it here.
            tokio::task::yield_now().await;
            journal.lock().unwrap().push(name);
            Ok(())
        });
    }

    #[tokio::test]
    async fn the_last_role_started_stops_first_and_the_backend_closes_last() {
        let (signals, mut lifecycle) = lifecycle(LONG);
        let journal = Journal::default();
        obedient(&mut lifecycle, "worker", &journal);
        obedient(&mut lifecycle, "ingest", &journal);
        let stopping = lifecycle.stopping();
        signals.send("SIGTERM").await.unwrap();
        let code = lifecycle.run(async { journal.lock().unwrap().push("backend") }).await.unwrap();
        assert_eq!(code, ExitCode::SUCCESS);
        assert_eq!(*journal.lock().unwrap(), ["ingest", "worker", "backend"]);
        assert!(stopping.is_cancelled());
    }

    #[tokio::test]
    async fn a_role_that_ends_by_itself_stops_the_others() {
        let (_signals, mut lifecycle) = lifecycle(LONG);
        let journal = Journal::default();
        obedient(&mut lifecycle, "ingest", &journal);
        lifecycle.start("worker", |_| async { Ok(()) });
        assert_eq!(lifecycle.run(future::ready(())).await.unwrap(), ExitCode::FAILURE);
        assert_eq!(*journal.lock().unwrap(), ["ingest"]);
    }

    #[tokio::test]
    async fn a_role_that_fails_or_panics_makes_the_exit_a_failure() {
        for fails in [true, false] {
            let (_signals, mut lifecycle) = lifecycle(LONG);
            lifecycle.start("worker", move |_| async move {
                assert!(fails, "a panic");
                anyhow::bail!("a failure")
            });
            assert_eq!(lifecycle.run(future::ready(())).await.unwrap(), ExitCode::FAILURE);
        }
    }

    #[tokio::test]
    async fn a_role_that_refuses_a_setting_stops_the_others_and_is_heard() {
        let (_signals, mut lifecycle) = lifecycle(LONG);
        let journal = Journal::default();
        obedient(&mut lifecycle, "ingest", &journal);
        lifecycle.start("preparation", |_| async {
            Err(ConfigError::ForeignNumberKey { fingerprint: "00aa".to_owned() }.into())
        });
        let refusal = lifecycle.run(future::ready(())).await.unwrap_err();
        assert!(refusal.to_string().contains("number-key"), "{refusal}");
        assert_eq!(*journal.lock().unwrap(), ["ingest"]);
    }

    #[tokio::test]
    async fn a_role_that_fails_while_it_stops_makes_the_exit_a_failure() {
        let (signals, mut lifecycle) = lifecycle(LONG);
        lifecycle.start("worker", |stop| async move {
            stop.cancelled().await;
            anyhow::bail!("a failure")
        });
        signals.send("SIGINT").await.unwrap();
        assert_eq!(lifecycle.run(future::ready(())).await.unwrap(), ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn a_second_signal_ends_the_wait() {
        let (signals, mut lifecycle) = lifecycle(LONG);
        lifecycle.start("ingest", |_| future::pending());
        signals.send("SIGTERM").await.unwrap();
        signals.send("SIGTERM").await.unwrap();
        assert_eq!(lifecycle.run(future::ready(())).await.unwrap(), ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn the_end_of_the_grace_ends_the_wait() {
        let (signals, mut lifecycle) = lifecycle(Duration::from_millis(1));
        lifecycle.start("ingest", |_| future::pending());
        signals.send("SIGTERM").await.unwrap();
        assert_eq!(lifecycle.run(future::ready(())).await.unwrap(), ExitCode::FAILURE);
    }
}
