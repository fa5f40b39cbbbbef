//! A RabbitMQ of our own.

use std::fs::{Permissions, write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use tokio::sync::Mutex;

use super::folder::Folder;
use super::port::Port;
use super::port_mapper::PortMapper;
use super::process::{Process, Signal, command, run, run_well};
use super::server::{Server, program};
use super::wait::eventually;

const USER: &str = "supportline";
/// See [`super::postgres::PASSWORD`].
pub const PASSWORD: &str = "rabbitmq-secret";

/// Where in its folder its data are.
const DATA: &str = "mnesia";
/// Settings that only a node of a cluster has.
const OF_A_CLUSTER: &str = "advanced.config";

/// What the nodes of a cluster know each other by.
const COOKIE: &str = "supportline-test-bed";

/// `rabbitmqctl` takes a second to start whatever it does, a virtual host 60 ms.
const VHOSTS_AT_ONCE: usize = 16;

/// `rabbitmqctl add_vhost` and `set_permissions`, for many at once.
const CREATE_VHOSTS: &str = r#"
    lists:foreach(fun(V) ->
        ok = rabbit_vhost:add(V, <<"USER">>),
        ok = rabbit_auth_backend_internal:set_permissions(
            <<"USER">>, V, <<".*">>, <<".*">>, <<".*">>, <<"USER">>)
    end, [VHOSTS])."#;

/// `rabbitmqctl list_queues name messages`, but right: of a quorum queue that tells what a timer
/// saw up to five seconds ago.
const COUNT_MESSAGES: &str = r#"
    lists:foreach(fun(Q) ->
        Messages = case amqqueue:get_type(Q) of
            rabbit_quorum_queue ->
                Count = fun rabbit_fifo:query_messages_total/1,
                Member = amqqueue:get_pid(Q),
                {ok, {_, Total}, _} = ra:leader_query(Member, Count),
                Total;
            _ ->
                [{messages, Total}] = rabbit_amqqueue:info(Q, [messages]),
                Total
        end,
        io:format("~s\t~b~n", [element(4, amqqueue:get_name(Q)), Messages])
    end, rabbit_amqqueue:list(<<"VHOST">>))."#;

/// Sees to it that each quorum queue of a single node has a leader, and fails while one has none.
///
/// A queue whose node was killed before the first entry of the queue's log was on the disk has no
/// leader when it is back, and calls no election: the log is empty, so it takes itself for new and
/// waits to be told (seen with RabbitMQ 3.10 on a busy disk). Then it is told here.
const ELECT: &str = r"
    Leaderless = lists:filter(fun(Q) ->
        Member = amqqueue:get_pid(Q),
        case ra:leader_query(Member, fun rabbit_fifo:query_messages_total/1, 2000) of
            {ok, _, _} -> false;
            _ -> ra:trigger_election(Member), true
        end
    end, rabbit_amqqueue:list_by_type(rabbit_quorum_queue)),
    [] = Leaderless.";

/// How many nodes have a copy of each quorum queue.
const COUNT_MEMBERS: &str = r#"
    lists:foreach(fun(Q) ->
        #{nodes := Nodes} = amqqueue:get_type_state(Q),
        io:format("~s\t~b~n", [element(4, amqqueue:get_name(Q)), length(Nodes)])
    end, rabbit_amqqueue:list_by_type(rabbit_quorum_queue))."#;

/// A RabbitMQ node with its own name, cookie, data and port mapper.
pub struct RabbitMq {
    node: Process,
    /// Left to itself the node starts one as a daemon, which outlives it.
    port_mapper: PortMapper,
    control: Control,
    ports: Ports,
    vhosts: Mutex<Vec<String>>,
    folder: Folder,
}

struct Ports {
    amqp: Port,
    distribution: Port,
}

/// A boot takes about ten seconds, several times that beside other work. A node that is killed while
/// it joins others is in nobody's way again only with its disk empty, so this is not short.
const BOOT_MAX: Duration = Duration::from_secs(90);

/// `rabbitmqctl` takes a second of a processor to begin with. Beside a crowd that wants both, and
/// builds, it was seen to wait for a minute for it.
const CONTROL_MAX: Duration = Duration::from_mins(3);

/// Boots tried.
const STARTS_MAX: usize = 3;

impl RabbitMq {
    /// Makes a new, empty node and starts it.
    pub async fn start() -> Self {
        let rabbitmq = Self::prepare();
        rabbitmq.launch().await;
        rabbitmq
    }

    /// A new, empty node that is not started yet.
    pub fn prepare() -> Self {
        let folder = Folder::new("rabbitmq");
        let ports = Ports { amqp: Port::free(), distribution: Port::free() };
        let port_mapper = PortMapper::start();
        let environment = environment(folder.path(), &ports, &port_mapper);
        write_configuration(folder.path(), &ports, "");
        let control = Control { folder: folder.path().to_owned(), environment };
        let node = control.command("rabbitmq-server");
        let node = Process::new("rabbitmq", folder.path(), node);
        Self { node, port_mapper, control, ports, vhosts: Mutex::default(), folder }
    }

    /// Makes it one of a cluster: it has a cookie like all of them, leaves the field to the majority,
    /// and joins the others when it boots with nothing on its disk.
    pub fn join_on_first_boot<'a>(
        &self,
        others: impl Iterator<Item = &'a String>,
        tick_seconds: u32,
    ) {
        let mut settings = "cluster_partition_handling = pause_minority\n".to_owned();
        for (number, name) in (1..).zip(others) {
            if number == 1 {
                settings += "cluster_formation.peer_discovery_backend = classic_config\n";
            }
            let node = format!("cluster_formation.classic_config.nodes.{number} = {name}\n");
            settings.push_str(&node);
        }
        write_configuration(self.folder.path(), &self.ports, &settings);
        let ticking = format!("[{{kernel, [{{net_ticktime, {tick_seconds}}}]}}].\n");
        write(self.folder.join(OF_A_CLUSTER), ticking).expect("write what only a cluster has");
        let cookie = self.folder.join(".erlang.cookie");
        if !cookie.exists() {
            write(&cookie, COOKIE).expect("write a cookie");
            std::fs::set_permissions(cookie, Permissions::from_mode(0o400)).expect("chmod");
        }
    }

    fn is_in_a_cluster(&self) -> bool {
        self.folder.join(OF_A_CLUSTER).exists()
    }

    /// What other nodes call it.
    pub fn name(&self) -> String {
        name(&self.ports)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.ports.amqp.address()
    }

    /// Where other nodes connect.
    pub fn distribution_address(&self) -> SocketAddr {
        self.ports.distribution.address()
    }

    /// From now on it finds the other one there.
    pub fn is_told_of(&self, other: &Self, at: SocketAddr) {
        let name = other.name();
        self.port_mapper.point(name.split('@').next().expect("a name"), at.port());
    }

    /// Removes all that it has on its disk, while it does not run.
    pub fn wipe(&self) {
        std::fs::remove_dir_all(self.folder.join(DATA)).expect("remove a node's data");
    }

    /// The URL of one of its virtual hosts.
    pub fn url(&self, vhost: &str) -> String {
        // A name in a URL: the default virtual host is called `/`.
        let vhost = vhost.replace('/', "%2f");
        format!("amqp://{USER}:{PASSWORD}@{}/{vhost}", self.ports.amqp.address())
    }

    /// The name of an empty virtual host that nobody else uses.
    pub async fn fresh_vhost(&self) -> String {
        let mut vhosts = self.vhosts.lock().await;
        if vhosts.is_empty() {
            vhosts.extend(self.control.create_vhosts(VHOSTS_AT_ONCE).await);
        }
        vhosts.pop().expect("the virtual hosts that were just created")
    }

    /// `rabbitmqctl` of this node.
    pub fn control(&self) -> &Control {
        &self.control
    }
}

impl Server for RabbitMq {
    fn folder(&self) -> &Folder {
        &self.folder
    }

    fn process(&self) -> &Process {
        &self.node
    }

    fn stop_signal(&self) -> Signal {
        Signal::Term
    }

    async fn launch(&self) {
        let is_back = self.folder.join(DATA).exists();
        for _ in 0..STARTS_MAX {
            if self.boot().await {
                if is_back && !self.is_in_a_cluster() {
                    self.control.have_leaders().await;
                }
                return;
            }
            // Killed at a bad moment, a node can hang in its next boot; its operator would do this.
            self.folder.kill();
            self.node.kill();
        }
        panic!("RabbitMQ does not boot: {}", self.node.log());
    }
}

impl RabbitMq {
    /// Whether it answers in time.
    async fn boot(&self) -> bool {
        self.node.start();
        let url = self.url("/");
        let answered = async {
            loop {
                assert!(self.node.is_running(), "RabbitMQ ended: {}", self.node.log());
                match Connection::connect(&url, ConnectionProperties::default()).await {
                    Ok(connection) => return connection,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let Ok(connection) = tokio::time::timeout(BOOT_MAX, answered).await else { return false };
        connection.close(200, "bye".into()).await.expect("close the connection to RabbitMQ");
        true
    }
}

/// `rabbitmqctl` of one node, for tests that ask it or change it. A call takes about a second.
#[derive(Clone)]
pub struct Control {
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Control {
    /// Runs `rabbitmqctl ARGUMENTS` and gives back what it prints; fails the test when it fails.
    pub async fn run(&self, arguments: &[&str]) -> String {
        let mut rabbitmqctl = self.command("rabbitmqctl");
        rabbitmqctl.arg("--quiet").args(arguments);
        run_well("rabbitmqctl", &self.folder, rabbitmqctl, CONTROL_MAX).await
    }

    /// The same with `rabbitmq-queues`.
    pub async fn run_queues(&self, arguments: &[&str]) -> String {
        let mut rabbitmq_queues = self.command("rabbitmq-queues");
        rabbitmq_queues.arg("--quiet").args(arguments);
        run_well("rabbitmq-queues", &self.folder, rabbitmq_queues, CONTROL_MAX).await
    }

    /// The queues of a virtual host with the number of messages in each, ready or unsettled.
    pub async fn queues(&self, vhost: &str) -> Vec<(String, u64)> {
        let count = COUNT_MESSAGES.replace("VHOST", vhost);
        pairs(&self.evaluated("the queues tell what they hold", &count).await)
    }

    /// Waits until each queue has a leader, and helps where one would wait for ever.
    async fn have_leaders(&self) {
        self.evaluated("every queue has a leader", ELECT).await;
    }

    /// What the code prints once it succeeds: for a moment after a boot a quorum queue has no state
    /// that could be read.
    async fn evaluated(&self, what: &str, code: &str) -> String {
        eventually(CONTROL_MAX, what, async || {
            let mut rabbitmqctl = self.command("rabbitmqctl");
            rabbitmqctl.args(["--quiet", "eval", code]);
            let output = run("rabbitmqctl", &self.folder, rabbitmqctl, CONTROL_MAX).await;
            if output.status.success() { Ok(output.stdout) } else { Err(output.stderr) }
        })
        .await
    }

    /// The quorum queues with the number of nodes that have a copy of each.
    pub async fn members(&self) -> Vec<(String, usize)> {
        pairs(&self.run(&["eval", COUNT_MEMBERS]).await)
    }

    async fn create_vhosts(&self, count: usize) -> Vec<String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = |_| format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let names: Vec<String> = (0..count).map(name).collect();
        let list = format!("<<\"{}\">>", names.join("\">>, <<\""));
        let create = CREATE_VHOSTS.replace("VHOSTS", &list).replace("USER", USER);
        self.run(&["eval", &create]).await;
        names
    }

    /// A program of RabbitMQ's, with this node's settings.
    fn command(&self, name: &str) -> Command {
        // Not the wrappers on the path: Debian's change to the user `rabbitmq` and to its files.
        let places = [Path::new("/usr/lib/rabbitmq/bin")];
        let mut command = command(program(name, &places, "rabbitmq-server"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A name and a number a line.
fn pairs<T: FromStr>(lines: &str) -> Vec<(String, T)> {
    let pair = |line: &str| {
        let (name, number) = line.split_once('\t')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    lines.lines().filter_map(pair).collect()
}

/// Everything by which two nodes on one machine, or a node and an installed one, could meet.
fn environment(
    folder: &Path,
    ports: &Ports,
    port_mapper: &PortMapper,
) -> Vec<(&'static str, String)> {
    let inside = |name: &str| folder.join(name).display().to_string();
    vec![
        ("HOME", inside("")), // Where the Erlang cookie is.
        ("ERL_EPMD_PORT", port_mapper.number().to_string()),
        ("RABBITMQ_NODENAME", name(ports)),
        ("RABBITMQ_NODE_PORT", ports.amqp.number().to_string()),
        ("RABBITMQ_DIST_PORT", ports.distribution.number().to_string()),
        // For rabbitmqctl's own end: a range that no Port is in, and room for many at once.
        ("RABBITMQ_CTL_DIST_PORT_MIN", "32100".to_owned()),
        ("RABBITMQ_CTL_DIST_PORT_MAX", "32700".to_owned()),
        ("RABBITMQ_MNESIA_BASE", inside(DATA)),
        ("RABBITMQ_LOG_BASE", inside("log")),
        ("RABBITMQ_LOGS", "-".to_owned()),
        ("RABBITMQ_PID_FILE", inside("rabbitmq.pid")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", inside("enabled_plugins")),
        ("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", inside(OF_A_CLUSTER)),
        ("RABBITMQ_CONF_ENV_FILE", inside("rabbitmq-env.conf")),
    ]
}

fn name(ports: &Ports) -> String {
    format!("bed-{}@localhost", ports.amqp.number())
}

fn write_configuration(folder: &Path, ports: &Ports, more: &str) {
    let settings = format!(
        "listeners.tcp.1 = {}\n\
         default_user = {USER}\n\
         default_pass = {PASSWORD}\n\
         log.console = true\n\
         log.console.level = warning\n\
         log.file = false\n\
         {more}",
        ports.amqp.address()
    );
    write(folder.join("rabbitmq.conf"), settings).expect("write rabbitmq.conf");
    // For an installation with several intake queues; the others take no notice of it.
    let plugins = "[rabbitmq_consistent_hash_exchange].\n";
    write(folder.join("enabled_plugins"), plugins).expect("write enabled_plugins");
}
