//! A RabbitMQ of one node or of several, with a link of ours between any two of them and one in front
//! of all, as a balancer would be.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::link::{Link, Mode};
use super::rabbitmq::{Control, RabbitMq};
use super::server::Server;

/// Silence between two nodes is noticed within this, and a quarter more.
const TICK_SECONDS: u32 = 8;

/// The nodes of one broker.
pub struct Cluster {
    nodes: Vec<RabbitMq>,
    /// From one node to another. Which of two opens the connection that they share, is theirs to
    /// choose.
    wires: Vec<Wire>,
    front: Option<Link>,
}

struct Wire {
    ends: [usize; 2],
    link: Link,
}

impl Cluster {
    /// Starts so many nodes.
    pub async fn start(count: usize) -> Self {
        if count == 1 {
            let nodes = vec![RabbitMq::start().await];
            return Self { nodes, wires: Vec::new(), front: None };
        }
        let nodes: Vec<_> = (0..count).map(|_| RabbitMq::prepare()).collect();
        let wires = lay_wires(&nodes).await;
        let names: Vec<_> = nodes.iter().map(RabbitMq::name).collect();
        for node in &nodes {
            let first = names.iter().take(1).filter(|name| **name != node.name());
            node.join_on_first_boot(first, TICK_SECONDS);
        }
        nodes[0].launch().await;
        join_all(nodes[1..].iter().map(RabbitMq::launch)).await;
        // For whoever loses its disk: it joins the others, whichever it is.
        for node in &nodes {
            let others = names.iter().filter(|name| **name != node.name());
            node.join_on_first_boot(others, TICK_SECONDS);
        }
        let front = Link::to_any(nodes.iter().map(RabbitMq::address).collect()).await;
        Self { nodes, wires, front: Some(front) }
    }

    /// The URL of one of its virtual hosts, at whichever node takes the connection.
    pub fn url(&self, vhost: &str) -> String {
        let url = self.nodes[0].url(vhost);
        match &self.front {
            Some(front) => {
                url.replace(&self.nodes[0].address().to_string(), &front.address().to_string())
            }
            None => url,
        }
    }

    /// `rabbitmqctl` of the first node.
    pub fn control(&self) -> &Control {
        self.nodes[0].control()
    }

    /// One of its nodes.
    pub fn node(&mut self, number: usize) -> &mut RabbitMq {
        &mut self.nodes[number]
    }

    /// All of its nodes but that one.
    pub fn all_but(&mut self, node: usize) -> impl Iterator<Item = &mut RabbitMq> {
        let others = self.nodes.iter_mut().enumerate().filter(move |(number, _)| *number != node);
        others.map(|(_, node)| node)
    }

    /// The name of an empty virtual host that nobody else uses.
    pub async fn fresh_vhost(&self) -> String {
        self.nodes[0].fresh_vhost().await
    }

    /// Changes what becomes of the bytes between one node and all others.
    pub fn set_apart(&self, node: usize, mode: Mode) {
        for wire in self.wires.iter().filter(|wire| wire.ends.contains(&node)) {
            wire.link.set(mode);
        }
    }

    /// A node's disk is lost for good, and so long afterwards the node is replaced by an empty one of
    /// its name, as the broker's own documentation says.
    pub async fn lose_disk(&mut self, node: usize, lasts: Duration) {
        let name = self.nodes[node].name();
        block_in_place(|| self.nodes[node].kill());
        self.nodes[node].wipe();
        sleep(lasts).await;
        let other = self.nodes[(node + 1) % self.nodes.len()].control().clone();
        other.run(&["forget_cluster_node", &name]).await;
        self.nodes[node].start_again().await;
        other.run_queues(&["grow", &name, "all"]).await;
    }
}

async fn lay_wires(nodes: &[RabbitMq]) -> Vec<Wire> {
    let mut wires = Vec::new();
    for (from, node) in nodes.iter().enumerate() {
        for (to, other) in nodes.iter().enumerate().filter(|(to, _)| *to != from) {
            let link = Link::to(other.distribution_address()).await;
            node.is_told_of(other, link.address());
            wires.push(Wire { ends: [from, to], link });
        }
    }
    wires
}
