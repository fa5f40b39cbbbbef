//! The services of `docker-compose.yml` as plain processes.
//!
//! Nothing is changed but what is in the way of running them side by side on one machine:
//!
//! | in the files | here |
//! | --- | --- |
//! | `postgres:5432`, `rabbitmq:5672`, `redis:6379/0` | the test bed's servers; a number of Redis's own |
//! | passwords in `.env` | those of the test bed's servers |
//! | `172.31.250.0/24`, which is `EDGE_SUBNET` | the loopback address, from which the proxy comes here |
//! | `FRONT_PROXY` in `.env`, which is empty | an address of a proxy in front |
//! | `/usr/local/bin/supportline` | a copy of the program under test |
//! | `0.0.0.0:8080`, `ingest:8080`, `desk:8080` | an address of the loopback interface for each container, one port |
//! | `bind :8080`, `http://127.0.0.1:8080` | the proxy's port |
//! | `127.0.0.11:53`, which is Docker's name server | ours |
//!
//! They run as the image's user, with no right to write anywhere and none to gain.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use super::addresses::FRONT;
use super::compose::{Compose, Service};
use super::dockerfile::Dockerfile;
use super::names::Names;
use super::read;
use crate::api::metrics::Metrics;
use crate::bed::client::Client;
use crate::bed::folder::Folder;
use crate::bed::port::Port;
use crate::bed::process::{Output, Process, Signal, command, run};
use crate::bed::servers::Servers;
use crate::bed::{postgres, rabbitmq, redis};

/// A container's start and its checks.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The name of the database and of the virtual host in the file.
const PLACE: &str = "supportline";

/// `docker compose up`, as far as the servers: what the services are run from.
pub struct Engine {
    pub compose: Compose,
    image: Dockerfile,
    program: PathBuf,
    servers: BTreeMap<&'static str, String>,
    port: Port,
    folder: Folder,
}

impl Engine {
    /// Reads the files and makes the places on the servers that they name.
    pub async fn start(servers: &Servers) -> Self {
        let folder = Folder::new("containers");
        let environment = read(".env.example")
            .replace("example0postgres", postgres::PASSWORD)
            .replace("example0rabbitmq", rabbitmq::PASSWORD)
            .replace("example0redis", redis::PASSWORD)
            .replace("FRONT_PROXY=\n", &format!("FRONT_PROXY={}\n", FRONT.0));
        let compose = Compose::read(folder.path(), &environment).await;
        // Where a user without rights can reach it.
        let program = folder.join("supportline");
        fs::copy(env!("CARGO_BIN_EXE_supportline"), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let servers = places(servers).await;
        let image = Dockerfile::ours();
        Self { compose, image, program, servers, port: Port::free(), folder }
    }

    /// Prepares a container of a service of ours, at an address of its own.
    pub fn container(&self, service: &str, last_octet: u8) -> Container<'_> {
        let definition = &self.compose.services[service];
        let ip = Ipv4Addr::new(127, 0, 1, last_octet);
        let listen = SocketAddr::from((ip, self.port.number()));
        let mut arguments = self.image.entrypoint();
        arguments.extend(definition.command.iter().cloned());
        let name = format!("{service}-{last_octet}");
        let command = self.command(definition, &arguments, listen);
        let process = Process::new(&name, self.folder.path(), command);
        Container { engine: self, definition, name, listen, process }
    }

    /// A command with the environment of a container, as the user of the image.
    fn command(&self, service: &Service, arguments: &[String], listen: SocketAddr) -> Command {
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let program = arguments[0].replace("/usr/local/bin/supportline", "");
        assert_eq!(program, "", "the program of the image is known");
        let (user, group) = self.image.user();
        let mut command = if is_root {
            let mut setpriv = command("setpriv");
            setpriv.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
            setpriv.args(["--clear-groups", "--no-new-privs", "--bounding-set=-all"]);
            setpriv.arg(&self.program);
            setpriv
        } else {
            command(&self.program)
        };
        command.args(&arguments[1..]);
        let mut environment = self.image.environment();
        environment.extend(service.environment.clone());
        for (name, value) in environment {
            let value = self.servers.iter().fold(value, |it, (from, to)| it.replace(from, to));
            command.env(name, value.replace("0.0.0.0:8080", &listen.to_string()));
        }
        command
    }

    /// Starts the proxy with its own command and configuration.
    pub fn proxy(&self, names: &Names) -> Proxy {
        let service = &self.compose.services["proxy"];
        let port = Port::free();
        let mapping = [
            ("bind :8080", format!("bind {}", port.address())),
            ("127.0.0.11:53", names.address().to_string()),
            ("ingest:8080", format!("ingest:{}", self.port.number())),
            ("desk:8080", format!("desk:{}", self.port.number())),
        ];
        let mut unused: Vec<_> = mapping.iter().map(|(from, _)| *from).collect();
        let mut haproxy = command(&service.command[0]);
        for (number, argument) in service.command[1..].iter().enumerate() {
            let Some(source) = service.mounted(argument) else {
                haproxy.arg(argument);
                continue;
            };
            let text = fs::read_to_string(source).unwrap();
            unused.retain(|from| !text.contains(from));
            let text = mapping.iter().fold(text, |it, (from, to)| it.replace(from, to));
            let file = self.folder.join(&format!("haproxy-{number}.cfg"));
            fs::write(&file, text).unwrap();
            haproxy.arg(file);
        }
        assert!(unused.is_empty(), "not in the configuration: {unused:?}");
        haproxy.envs(&service.environment);
        // What the image adds: it stays in the foreground.
        haproxy.arg("-db");
        let process = Process::new("proxy", self.folder.path(), haproxy);
        process.start();
        let health = service.health_command().unwrap().last().unwrap();
        let health = health.strip_prefix("http://127.0.0.1:8080").unwrap().to_owned();
        Proxy { process, health, port }
    }
}

/// The database, the virtual host and the number that the services are given.
async fn places(servers: &Servers) -> BTreeMap<&'static str, String> {
    let number = servers.redis.fresh_database();
    let database = servers.postgres.create_database(PLACE).await;
    let control = servers.rabbitmq.control();
    control.run(&["add_vhost", PLACE]).await;
    control.run(&["set_permissions", "-p", PLACE, PLACE, ".*", ".*", ".*"]).await;
    let host = |url: &str| {
        let authority = url.split('@').nth(1).unwrap();
        authority.split('/').next().unwrap().to_owned()
    };
    BTreeMap::from([
        ("172.31.250.0/24", "127.0.0.1/32".to_owned()),
        ("postgres:5432", host(&database)),
        ("rabbitmq:5672", host(&servers.rabbitmq.url(PLACE))),
        ("redis:6379/0", format!("{}/{number}", host(&servers.redis.url(number)))),
    ])
}

/// One container of a service.
pub struct Container<'a> {
    engine: &'a Engine,
    definition: &'a Service,
    name: String,
    listen: SocketAddr,
    pub process: Process,
}

impl Container<'_> {
    /// Where it listens.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    pub fn ip(&self) -> Ipv4Addr {
        let SocketAddr::V4(listen) = self.listen else { panic!("{}", self.listen) };
        *listen.ip()
    }

    /// Runs the health check of the service once, as Docker does: beside the process, in the
    /// environment that it has.
    pub async fn check(&self) -> Output {
        let check = self.definition.health_command().expect("a health check");
        let check = self.engine.command(self.definition, check, self.listen);
        run(&format!("{}-check", self.name), self.engine.folder.path(), check, PATIENCE).await
    }

    /// Starts it and waits until it is healthy.
    pub async fn up(&self) {
        self.process.start();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let check = self.check().await;
            if check.status.success() {
                return;
            }
            assert!(self.process.is_running(), "{}: {}", self.name, self.process.log());
            assert!(Instant::now() < deadline, "{}: {check:?} {}", self.name, self.process.log());
        }
    }

    /// How many forms it has answered, by its own figures.
    pub async fn forms_taken(&self) -> f64 {
        let metrics = Metrics::of(&Client::new(self.listen)).await;
        metrics.sum("submissions_total", &[])
    }

    /// Asks it to stop, as `docker compose stop` does. Fails the test where Docker would kill it.
    pub async fn stop(&self) -> ExitStatus {
        assert_eq!(self.engine.image.last("STOPSIGNAL"), "SIGTERM");
        self.process.signal(Signal::Term);
        self.process.wait(self.definition.stop_grace()).await
    }
}

/// The proxy.
pub struct Proxy {
    process: Process,
    health: String,
    port: Port,
}

impl Proxy {
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Whether its health check is passed.
    pub async fn is_healthy(&self) -> bool {
        assert!(self.process.is_running(), "the proxy ended: {}", self.process.log());
        let answer = Client::new(self.address()).get(&self.health).try_send().await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    pub fn log(&self) -> String {
        self.process.log()
    }
}
