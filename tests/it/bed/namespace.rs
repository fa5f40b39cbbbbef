//! A place of its own on the network for one process of ours, with a cable to each server that can
//! be pulled: what is sent then is lost, and nobody is told.
//!
//! A network namespace of the kernel's and pairs of virtual devices, so it takes root, or a `sudo`
//! that asks for no password.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::folder::Folder;
use super::port::Port;
use super::process::{as_root, run_well};
use super::server::PATIENCE;

/// Kept for measurements between networks, so nobody's route leads there. It has room for four
/// addresses to each port that a test can claim.
const NETWORK: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const ADDRESSES_EACH: u32 = 4;

/// A network namespace; gone when it is dropped, or when its folder is swept.
pub struct Namespace {
    name: String,
    /// To the tests, who ask what runs in it.
    own: Cable,
    folder: Folder,
}

impl Namespace {
    /// Makes an empty one.
    pub async fn new() -> Self {
        let folder = Folder::new("namespace");
        let claim = Port::free();
        let name = format!("supportline-{}", claim.number());
        // By this the sweep finds it.
        File::create(folder.join(&format!("{name}.netns"))).expect("note the namespace");
        ip(&folder, &format!("netns add {name}")).await;
        let own = Cable::lay(&folder, &name, claim).await;
        ip(&folder, &format!("-n {name} link set lo up")).await;
        Self { name, own, folder }
    }

    /// The address of what listens in it.
    pub fn address(&self) -> Ipv4Addr {
        self.own.inner
    }

    /// A cable to a server of the bed. [`Cable::server`] is its address as seen from here.
    pub async fn cable_to(&self, server: SocketAddr) -> Cable {
        let mut cable = Cable::lay(&self.folder, &self.name, Port::free()).await;
        let address = SocketAddr::from((cable.outer, server.port()));
        let listener = TcpListener::bind(address).await.expect("listen at the cable's end");
        cable.carrying = Some(AbortOnDropHandle::new(tokio::spawn(carry(listener, server))));
        cable.server = Some(address);
        cable
    }

    /// The same command, run in it.
    pub fn enter(&self, inner: &Command) -> Command {
        let mut enter = as_root("nsenter");
        enter.arg(format!("--net=/run/netns/{}", self.name)).arg("env");
        for (name, value) in inner.get_envs() {
            if let (Some(name), Some(value)) = (name.to_str(), value.and_then(|it| it.to_str())) {
                enter.arg(format!("{name}={value}"));
            }
        }
        enter.arg(inner.get_program()).args(inner.get_args());
        enter
    }
}

/// A pair of virtual devices, one of them in a namespace.
pub struct Cable {
    device: String,
    outer: Ipv4Addr,
    inner: Ipv4Addr,
    server: Option<SocketAddr>,
    carrying: Option<AbortOnDropHandle<()>>,
    _claim: Port,
}

impl Cable {
    async fn lay(folder: &Folder, namespace: &str, claim: Port) -> Self {
        let number = u32::from(claim.number());
        let network = NETWORK.to_bits() + (number - super::port::FIRST) * ADDRESSES_EACH;
        let (outer, inner) = (Ipv4Addr::from_bits(network + 1), Ipv4Addr::from_bits(network + 2));
        let device = format!("slt{number}");
        for line in [
            format!("link add {device} type veth peer name end{number} netns {namespace}"),
            format!("addr add {outer}/30 dev {device}"),
            format!("link set {device} up"),
            format!("-n {namespace} addr add {inner}/30 dev end{number}"),
            format!("-n {namespace} link set end{number} up"),
        ] {
            ip(folder, &line).await;
        }
        Self { device, outer, inner, server: None, carrying: None, _claim: claim }
    }

    /// The address of the server at its other end.
    pub fn server(&self) -> SocketAddr {
        self.server.expect("a cable to a server")
    }

    /// Pulls it.
    pub fn pull(&self) {
        self.set("down");
    }

    /// Plugs it in again.
    pub fn plug_in(&self) {
        self.set("up");
    }

    fn set(&self, state: &str) {
        let mut ip = as_root("ip");
        let status = ip.args(["link", "set", &self.device, state]).status().expect("run ip");
        assert!(status.success(), "{} is not {state}", self.device);
    }
}

async fn ip(folder: &Folder, line: &str) {
    let mut ip = as_root("ip");
    ip.args(line.split(' '));
    run_well("ip", folder.path(), ip, PATIENCE).await;
}

/// The bed's servers listen on the loopback interface only, which each namespace has its own of.
async fn carry(listener: TcpListener, server: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(server).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
