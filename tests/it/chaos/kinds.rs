//! What can happen, and to whom.

use std::time::Duration;

use crate::bed::link::Mode;

/// A process or a server that faults befall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// One of ours.
    Process(Process),
    /// The store.
    Postgres,
    /// A node of the broker.
    RabbitMq(usize),
    /// The cache.
    Redis,
}

/// A process of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// One of the edges.
    Edge(usize),
    /// One of the workers.
    Worker(usize),
}

/// What a process is connected with over a link of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Those who submit, in the case of an edge.
    Clients,
    /// The store.
    Postgres,
    /// The broker.
    RabbitMq,
    /// The cache.
    Redis,
}

/// What is done to a process or a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Killed, and started again after the time.
    Kill,
    /// Stopped in good order, and started again after the time.
    Restart,
    /// Stopped in its tracks (SIGSTOP), for the time.
    Freeze,
}

/// What happens, for the time that is planned where it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What is done to a process or a server.
    Harm(Victim, Harm),
    /// What happens to the bytes on a link.
    Link(Process, Peer, Mode),
    /// A wall clock shows so much more, or less.
    Clock(Process, &'static str),
    /// The broker is out of memory: it reads nothing more from those who publish.
    Alarm,
    /// All nodes of the broker but this one are gone.
    MajorityLost(usize, Harm),
    /// A node of the broker loses its disk for good, and is replaced by an empty one.
    DiskLost(usize),
    /// A node of the broker is cut off from the others, not from those who use it.
    Split(usize, Mode),
    /// The queue refuses whatever comes while so many messages wait in it.
    QueueFull(u64),
    /// Somebody publishes so many messages into the intake that can never become tickets.
    Rubbish(u64),
    /// Somebody publishes whatever comes into the intake once more, and some of it several times.
    Copies,
    /// Redis forgets everything.
    Flush,
    /// Redis is out of memory, and refuses to write.
    RedisFull,
    /// Redis keeps its connections and answers nobody.
    RedisPause,
    /// Postgres ends every session.
    EndSessions,
    /// Somebody has the tickets locked.
    Lock,
}

/// What two faults cannot befall at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A process of ours.
    Process(Process),
    /// The broker, all of it.
    RabbitMq,
    /// The store.
    Postgres,
    /// The cache.
    Redis,
    /// A link.
    Link(Process, Peer),
    /// A clock.
    Clock(Process),
    /// What others publish.
    Strangers,
}

impl Fault {
    /// What it befalls.
    pub fn place(self) -> Place {
        match self {
            Self::Harm(Victim::Process(process), _) => Place::Process(process),
            Self::Harm(Victim::RabbitMq(_), _)
            | Self::Alarm
            | Self::MajorityLost(..)
            | Self::DiskLost(_)
            | Self::Split(..)
            | Self::QueueFull(_) => Place::RabbitMq,
            Self::Harm(Victim::Postgres, _) | Self::EndSessions | Self::Lock => Place::Postgres,
            Self::Harm(Victim::Redis, _) | Self::Flush | Self::RedisFull | Self::RedisPause => {
                Place::Redis
            }
            Self::Link(process, peer, _) => Place::Link(process, peer),
            Self::Clock(process, _) => Place::Clock(process),
            Self::Rubbish(_) | Self::Copies => Place::Strangers,
        }
    }

    /// How long the victim normally takes to be there again.
    pub fn aftermath(self) -> Duration {
        let seconds = match self {
            Self::Harm(_, Harm::Freeze) | Self::MajorityLost(_, Harm::Freeze) => 0,
            Self::Harm(Victim::RabbitMq(_), _) | Self::MajorityLost(..) | Self::DiskLost(_) => 8,
            Self::Harm(..) | Self::Alarm | Self::QueueFull(_) => 1,
            _ => 0,
        };
        Duration::from_secs(seconds)
    }

    /// What it is and whom it befalls, whichever of several that is.
    pub fn kind(self) -> String {
        let name = match self {
            Self::Harm(victim, harm) => {
                return format!("{harm:?} {}", victim.name()).to_lowercase();
            }
            Self::Link(process, peer, mode) => {
                return format!("link {}–{}: {}", process.role(), peer.name(), name_of(mode));
            }
            Self::Clock(process, _) => return format!("wrong clock of {}", process.role()),
            Self::MajorityLost(_, harm) => return majority_lost(harm).to_owned(),
            Self::Split(_, mode) => return format!("RabbitMQ node apart: {}", name_of(mode)),
            Self::Alarm => "memory alarm of RabbitMQ",
            Self::DiskLost(_) => "disk of a RabbitMQ node lost",
            Self::QueueFull(_) => "full queue",
            Self::Rubbish(_) => "foreign messages",
            Self::Copies => "messages published again",
            Self::Flush => "FLUSHALL of Redis",
            Self::RedisFull => "Redis out of memory",
            Self::RedisPause => "CLIENT PAUSE of Redis",
            Self::EndSessions => "end of all Postgres sessions",
            Self::Lock => "lock of all tickets",
        };
        name.to_owned()
    }
}

fn majority_lost(harm: Harm) -> &'static str {
    match harm {
        Harm::Kill => "kill of RabbitMQ's majority",
        Harm::Restart => "restart of RabbitMQ's majority",
        Harm::Freeze => "freeze of RabbitMQ's majority",
    }
}

impl Victim {
    fn name(self) -> &'static str {
        match self {
            Self::Process(process) => process.role(),
            Self::Postgres => "Postgres",
            Self::RabbitMq(_) => "RabbitMQ",
            Self::Redis => "Redis",
        }
    }
}

impl Process {
    fn role(self) -> &'static str {
        match self {
            Self::Edge(_) => "edge",
            Self::Worker(_) => "worker",
        }
    }
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Postgres => "Postgres",
            Self::RabbitMq => "RabbitMQ",
            Self::Redis => "Redis",
        }
    }
}

fn name_of(mode: Mode) -> &'static str {
    match mode {
        Mode::Pass => "pass",
        Mode::Delay(_) => "delay",
        Mode::Cut => "cut",
        Mode::Blackhole => "black hole",
        Mode::HalfOpen(_) => "half-open",
        Mode::Truncate(_) => "truncate",
    }
}
