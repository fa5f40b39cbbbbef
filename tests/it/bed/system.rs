//! Whole installations of ours: the program under test, in one process or in many.

use std::future::IntoFuture;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::client::{Answer, Client};
use super::folder::Folder;
use super::form::Form;
use super::instance::{Instance, Stopped, supportline};
use super::namespace::Namespace;
use super::previous::known_to;
use super::process::{Output, Process, command, run};
use super::servers::Backing;
use super::wait::eventually;

/// The bootstrap token of every installation of the bed.
pub const ADMIN_TOKEN: &str = "admin-token-of-the-test-bed-0123456789";
const NUMBER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Where forms go.
pub const TICKETS: &str = "/api/support/ticket";
/// Where messages go that could not be processed; they do not count as work left.
const DEAD_LETTERS: &str = "support.dead-letters";

/// A whole drain of any backlog that tests make.
const SETTLE: Duration = Duration::from_mins(1);
const ONE_SHOT: Duration = Duration::from_mins(1);

/// An installation being described; `.await` starts it.
#[must_use = "nothing starts before `.await`"]
pub struct Plan {
    backing: Option<Backing>,
    edges: usize,
    workers: usize,
    desks: usize,
    settings: Vec<(String, String)>,
}

impl Plan {
    /// How many processes of the role `ingest` (1 unless told).
    pub fn with_ingest(mut self, count: usize) -> Self {
        self.edges = count;
        self
    }

    /// How many processes of the role `worker` (1 unless told).
    pub fn with_worker(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// One process of the role `desk` as well, where `serve` is not all there is.
    pub fn with_desk(mut self) -> Self {
        self.desks = usize::from(self.backing.is_some());
        self
    }

    /// Sets an environment variable for all processes; the last word on a name counts.
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets several.
    pub fn with_all(mut self, settings: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
        self.settings.extend(settings);
        self
    }

    /// Starts all processes at once and returns when every one is ready.
    pub async fn start(self) -> TestSystem {
        let folder = Folder::new("supportline");
        let mut settings = common_settings(&folder);
        settings.extend(self.backing.as_ref().map(urls).into_iter().flatten());
        settings.extend(self.settings);

        let edge_role = if self.backing.is_some() { "ingest" } else { "serve" };
        let start = |role| Instance::start(role, folder.path(), &settings);
        let edges: Vec<_> = (0..self.edges).map(|_| start(edge_role)).collect();
        let workers: Vec<_> = (0..self.workers).map(|_| start("worker")).collect();
        let desks: Vec<_> = (0..self.desks).map(|_| start("desk")).collect();
        join_all(edges.iter().chain(&workers).chain(&desks).map(Instance::ready)).await;
        TestSystem { edges, workers, desks, settings, backing: self.backing, folder }
    }
}

impl IntoFuture for Plan {
    type Output = TestSystem;
    type IntoFuture = Pin<Box<dyn Future<Output = TestSystem>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

/// A running installation. When it is dropped, its processes are killed and its files removed.
pub struct TestSystem {
    edges: Vec<Instance>,
    workers: Vec<Instance>,
    desks: Vec<Instance>,
    settings: Vec<(String, String)>,
    backing: Option<Backing>,
    folder: Folder,
}

impl TestSystem {
    /// One process `serve` on the embedded backends.
    pub fn embedded() -> Plan {
        Plan { backing: None, edges: 1, workers: 0, desks: 0, settings: Vec::new() }
    }

    /// One process `ingest` and one `worker`, unless told otherwise, on three servers.
    pub fn distributed(backing: Backing) -> Plan {
        Plan { backing: Some(backing), edges: 1, workers: 1, desks: 0, settings: Vec::new() }
    }

    /// The process that is the public edge, or one of them.
    pub fn edge(&self, index: usize) -> &Instance {
        &self.edges[index]
    }

    /// The process that answers staff: the desk, or the one that is everything.
    pub fn desk(&self) -> &Instance {
        self.desks.first().unwrap_or(&self.edges[0])
    }

    /// One of the workers of a distributed installation.
    pub fn worker(&self, index: usize) -> &Instance {
        &self.workers[index]
    }

    /// All of them.
    pub fn workers(&self) -> impl Iterator<Item = &Instance> {
        self.workers.iter()
    }

    /// What a distributed installation stands on.
    pub fn backing(&self) -> &Backing {
        self.backing.as_ref().expect("an embedded installation stands on nothing")
    }

    /// The folder with its data (embedded) and logs.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What a distributed installation stands on, if this is one.
    pub fn backing_if_any(&self) -> Option<&Backing> {
        self.backing.as_ref()
    }

    /// A client of the first edge.
    pub fn client(&self) -> &Client {
        self.edges[0].client()
    }

    /// Submits a form to the first edge.
    pub async fn submit(&self, form: &Form) -> Answer {
        self.client().post(TICKETS).json(form).send().await
    }

    /// Looks a ticket up by its number or by the submission's id.
    pub async fn look_up(&self, number_or_id: &str) -> Answer {
        self.client().get(&format!("{TICKETS}/{number_or_id}")).send().await
    }

    /// The statistics (`data` of the answer), asked for by the admin.
    pub async fn statistics(&self) -> Value {
        let answer = self.client().get("/api/support/stats").bearer(ADMIN_TOKEN).send().await;
        assert_eq!(answer.status, 200, "statistics: {}", answer.text());
        answer.json()["data"].clone()
    }

    /// The health of the installation as the first edge sees it.
    pub async fn health(&self) -> Answer {
        self.client().get("/api/support/health").send().await
    }

    /// Waits until exactly `tickets` tickets are stored and counted and nothing is on its way.
    pub async fn settled(&self, tickets: u64) {
        let what = format!("the installation settles at {tickets} tickets");
        eventually(SETTLE, &what, async || {
            let total = self.statistics().await["total"].clone();
            let waiting = if total == tickets { self.waiting().await } else { Vec::new() };
            if total == tickets && waiting.is_empty() { Ok(()) } else { Err((total, waiting)) }
        })
        .await;
    }

    /// The queues that are not empty.
    async fn waiting(&self) -> Vec<(String, u64)> {
        let Some(backing) = &self.backing else { return Vec::new() };
        let mut queues = backing.queues().await;
        queues.retain(|(name, messages)| *messages > 0 && name != DEAD_LETTERS);
        queues
    }

    /// Starts one more process, on the same servers as seen from another place.
    pub fn start_on(&self, role: &str, backing: &Backing) -> Instance {
        Instance::start(role, self.folder.path(), &self.settings_on(backing))
    }

    /// The same with settings of its own on top.
    pub fn start_on_with(
        &self,
        role: &str,
        backing: &Backing,
        settings: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Instance {
        let own = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
        let settings: Vec<_> = self.settings_on(backing).into_iter().chain(own).collect();
        Instance::start(role, self.folder.path(), &settings)
    }

    /// The same in a place of its own on the network.
    pub fn start_in(&self, namespace: &Namespace, role: &str, backing: &Backing) -> Instance {
        Instance::start_in(namespace, role, self.folder.path(), &self.settings_on(backing))
    }

    /// Starts one more process, of another program.
    pub fn start_program(&self, program: &Path, role: &str) -> Instance {
        let settings = known_to(program, &self.settings);
        Instance::start_program(program, role, self.folder.path(), &settings)
    }

    /// Runs a one-shot command of another program.
    pub async fn run_program(&self, program: &Path, arguments: &[&str]) -> Output {
        let mut command = command(program);
        command.envs(known_to(program, &self.settings)).args(arguments);
        run("one-shot", self.folder.path(), command, ONE_SHOT).await
    }

    fn settings_on(&self, backing: &Backing) -> Vec<(String, String)> {
        self.settings.iter().cloned().chain(urls(backing)).collect()
    }

    /// Audits the installation with `supportline verify`: exit code 0 means all holds.
    pub async fn verify(&self) -> Output {
        self.run(&["verify"]).await
    }

    /// Runs a one-shot command with the installation's settings.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[]).await
    }

    /// As [`TestSystem::run`], with settings of its own on top.
    pub async fn run_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        let mut command = supportline(&self.settings);
        command.args(arguments).envs(settings.iter().copied());
        run("one-shot", self.folder.path(), command, ONE_SHOT).await
    }

    /// Starts a one-shot command with the installation's settings.
    pub fn start(&self, arguments: &[&str]) -> Process {
        let mut command = supportline(&self.settings);
        command.args(arguments);
        let process = Process::new("started", self.folder.path(), command);
        process.start();
        process
    }

    /// Asks every running process to stop, all at once; edges first in the answer, then workers.
    pub async fn stop_gracefully(&self) -> Vec<Stopped> {
        let all = self.edges.iter().chain(&self.workers).chain(&self.desks);
        let running = all.filter(|each| each.is_running());
        join_all(running.map(Instance::stop_gracefully)).await
    }
}

/// All of a test's requests come from one address. Where limits are the subject, they are set.
pub const UNLIMITED: [(&str, &str); 5] = [
    ("SUPPORT_LIMIT_CREATE", "off"),
    ("SUPPORT_LIMIT_LOOKUP", "off"),
    ("SUPPORT_LIMIT_STATS", "off"),
    ("SUPPORT_LIMIT_ATTEMPTS", "off"),
    ("SUPPORT_LIMIT_GUESSES", "off"),
];

fn common_settings(folder: &Folder) -> Vec<(String, String)> {
    let data = folder.join("data").display().to_string();
    let settings = [
        ("SUPPORT_DATA_DIR", data.as_str()),
        ("SUPPORT_ADMIN_TOKEN", ADMIN_TOKEN),
        ("SUPPORT_LOG_FORMAT", "json"),
    ];
    let settings = settings.into_iter().chain(UNLIMITED);
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn urls(backing: &Backing) -> [(String, String); 4] {
    let settings = [
        ("DATABASE_URL", backing.database_url.as_str()),
        ("AMQP_URL", &backing.amqp_url),
        ("REDIS_URL", &backing.redis_url),
        ("SUPPORT_NUMBER_KEY", NUMBER_KEY),
    ];
    settings.map(|(name, value)| (name.to_owned(), value.to_owned()))
}
