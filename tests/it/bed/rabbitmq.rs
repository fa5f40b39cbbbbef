//! A RabbitMQ of our own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::folder::Folder;
use super::port::Port;
use super::process::{Process, Signal, command, run_well};
use super::server::{PATIENCE, Server, program};
use super::wait::until;

const USER: &str = "supportline";
/// See [`super::postgres::PASSWORD`].
pub const PASSWORD: &str = "rabbitmq-secret";

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
                {ok, {_, Total}, _} = ra:local_query(amqqueue:get_pid(Q), Count),
                Total;
            _ ->
                [{messages, Total}] = rabbit_amqqueue:info(Q, [messages]),
                Total
        end,
        io:format("~s\t~b~n", [element(4, amqqueue:get_name(Q)), Messages])
    end, rabbit_amqqueue:list(<<"VHOST">>))."#;

/// A RabbitMQ node with its own name, cookie, data and port mapper.
pub struct RabbitMq {
    node: Process,
    /// Erlang's port mapper. Left to itself the node starts one as a daemon, which outlives it.
    epmd: Process,
    control: Control,
    ports: Ports,
    vhosts: Mutex<Vec<String>>,
    folder: Folder,
}

struct Ports {
    amqp: Port,
    distribution: Port,
    epmd: Port,
}

/// A boot takes about ten seconds, three times that beside other work.
const BOOT_MAX: Duration = Duration::from_secs(40);

/// Boots tried.
const STARTS_MAX: usize = 3;

impl RabbitMq {
    /// Makes a new, empty node and starts it.
    pub async fn start() -> Self {
        let folder = Folder::new("rabbitmq");
        let ports = Ports { amqp: Port::free(), distribution: Port::free(), epmd: Port::free() };
        let environment = environment(folder.path(), &ports);
        write_configuration(folder.path(), &ports);
        let control = Control { folder: folder.path().to_owned(), environment };

        let mut epmd = control.command("epmd");
        epmd.args(["-port", &ports.epmd.number().to_string(), "-address", "127.0.0.1"]);
        let epmd = Process::new("epmd", folder.path(), epmd);
        let node = control.command("rabbitmq-server");
        let node = Process::new("rabbitmq", folder.path(), node);

        let rabbitmq = Self { node, epmd, control, ports, vhosts: Mutex::default(), folder };
        rabbitmq.launch().await;
        rabbitmq
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
        for _ in 0..STARTS_MAX {
            if self.boot().await {
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
        self.epmd.start();
        until(PATIENCE, "epmd listens", async || {
            TcpStream::connect(self.ports.epmd.address()).await.is_ok()
        })
        .await;
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
        run_well("rabbitmqctl", &self.folder, rabbitmqctl, PATIENCE).await
    }

    /// The queues of a virtual host with the number of messages in each, ready or unsettled.
    pub async fn queues(&self, vhost: &str) -> Vec<(String, u64)> {
        let lines = self.run(&["eval", &COUNT_MESSAGES.replace("VHOST", vhost)]).await;
        let queue = |line: &str| {
            let (name, messages) = line.split_once('\t')?;
            Some((name.to_owned(), messages.parse().ok()?))
        };
        lines.lines().filter_map(queue).collect()
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

/// Everything by which two nodes on one machine, or a node and an installed one, could meet.
fn environment(folder: &Path, ports: &Ports) -> Vec<(&'static str, String)> {
    let inside = |name: &str| folder.join(name).display().to_string();
    vec![
        ("HOME", inside("")), // Where the Erlang cookie is.
        ("ERL_EPMD_PORT", ports.epmd.number().to_string()),
        ("RABBITMQ_NODENAME", format!("bed-{}@localhost", ports.amqp.number())),
        ("RABBITMQ_NODE_PORT", ports.amqp.number().to_string()),
        ("RABBITMQ_DIST_PORT", ports.distribution.number().to_string()),
        // For rabbitmqctl's own end: a range that no Port is in, and room for many at once.
        ("RABBITMQ_CTL_DIST_PORT_MIN", "32100".to_owned()),
        ("RABBITMQ_CTL_DIST_PORT_MAX", "32700".to_owned()),
        ("RABBITMQ_MNESIA_BASE", inside("mnesia")),
        ("RABBITMQ_LOG_BASE", inside("log")),
        ("RABBITMQ_LOGS", "-".to_owned()),
        ("RABBITMQ_PID_FILE", inside("rabbitmq.pid")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", inside("enabled_plugins")),
        ("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", inside("advanced.config")),
        ("RABBITMQ_CONF_ENV_FILE", inside("rabbitmq-env.conf")),
    ]
}

fn write_configuration(folder: &Path, ports: &Ports) {
    let settings = format!(
        "listeners.tcp.1 = {}\n\
         default_user = {USER}\n\
         default_pass = {PASSWORD}\n\
         log.console = true\n\
         log.console.level = warning\n\
         log.file = false\n",
        ports.amqp.address()
    );
    std::fs::write(folder.join("rabbitmq.conf"), settings).expect("write rabbitmq.conf");
    std::fs::write(folder.join("enabled_plugins"), "[].\n").expect("write enabled_plugins");
}
