//! What a run's seed decides before it begins: how many processes, and which faults befall whom,
//! when and for how long. (What is submitted follows from the seed, too: see [`super::order`].)

use std::fmt;
use std::time::Duration;

use super::kinds::{Fault, Harm, Peer, Process, Victim};
use crate::bed::link::{Mode, Way};
use crate::bed::seeded::Seeded;

/// The parts of what a seed decides.
const SCHEDULE: u64 = 1;

/// Faults of a run, however short it is.
const FAULTS_MIN: usize = 10;

/// How long a fault lasts at least, and at most: mostly not much longer than an answer may take; now and
/// then longer than anything on the way has patience, a heartbeat, a statement or a store. In milliseconds.
const LASTS_MIN_MS: u64 = 200;
const LASTS_MAX_MS: [(u64, u64); 2] = [(8, 3_000), (1, 12_000)];

/// Load without a fault, before the first and after each that one place suffers.
const CALM: Duration = Duration::from_millis(400);

/// What is done to a process or a server, and how often of a hundred times.
pub const HARMS: [(u64, Harm); 3] = [(40, Harm::Kill), (30, Harm::Restart), (30, Harm::Freeze)];

/// What a wrong clock can show.
const OFFSETS: [&str; 6] = ["+1h", "-1h", "+1d", "-1d", "+400d", "-400d"];

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// From the begin of the run.
    pub at: Duration,
    /// Until it is over.
    pub lasts: Duration,
    /// What it is.
    pub fault: Fault,
}

/// All that is decided before a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it follows from.
    pub seed: u64,
    /// For so long there are faults.
    pub length: Duration,
    /// Processes of the role `ingest`.
    pub edges: usize,
    /// Processes of the role `worker`.
    pub workers: usize,
    /// Nodes of the broker.
    pub nodes: usize,
    /// How long a POST waits for its number.
    pub reply_wait: Duration,
    /// Whether edges have a spool.
    pub has_spool: bool,
    /// Whether our processes and the broker notice each other's silence within two seconds, and not
    /// within twenty, which is longer than a fault lasts.
    pub is_alert: bool,
    /// Whose wall clock can be turned, if anybody's.
    pub false_clock: Option<Process>,
    /// In the order of their times.
    pub faults: Vec<Planned>,
}

/// How a fault of some place is drawn.
type Drawn = fn(&Plan, &mut Seeded) -> Fault;

impl Plan {
    /// What the seed decides for a run on so many nodes of the broker, whose faults take so long.
    pub fn of(seed: u64, length: Duration, nodes: usize) -> Self {
        let random = &mut Seeded::for_part(seed, SCHEDULE);
        let edges = random.weighted(&[(1, 1), (6, 2), (2, 3)]);
        let workers = random.weighted(&[(1, 1), (6, 2), (2, 3)]);
        let reply_wait = random.millis(100..=1_000);
        let seconds = usize::try_from(length.as_secs()).expect("a run is short");
        let count = seconds.max(FAULTS_MIN) + random.below(4);
        let mut plan = Self {
            seed,
            length,
            edges,
            workers,
            nodes,
            reply_wait,
            has_spool: random.chance(30),
            is_alert: random.chance(50),
            false_clock: None,
            faults: Vec::new(),
        };
        if random.chance(25) {
            plan.false_clock = Some(plan.any_process(random));
        }
        // It takes a broker longer than all other faults to come back, so it seldom goes.
        // One of several is missed by nobody.
        if random.chance(if nodes > 1 { 80 } else { 25 }) {
            let leaves = plan.any_leave_of_rabbitmq(random);
            plan.add(random, leaves, length / 3);
        }
        while plan.faults.len() < count {
            let fault = plan.any_fault(random);
            plan.add(random, fault, length);
        }
        plan.faults.sort_by_key(|planned| planned.at);
        plan
    }

    /// Adds the fault at some time, unless its victim suffers another at that time.
    fn add(&mut self, random: &mut Seeded, fault: Fault, length: Duration) {
        let lasts_max = random.weighted(&LASTS_MAX_MS);
        let lasts = random.millis(LASTS_MIN_MS..=lasts_max).min(length / 2);
        let room = length.saturating_sub(lasts + CALM).as_millis();
        let room = u64::try_from(room).expect("a run is short");
        let planned = Planned { at: CALM + random.millis(0..=room), lasts, fault };
        if !self.faults.iter().any(|other| other.collides(&planned)) {
            self.faults.push(planned);
        }
    }

    fn any_fault(&self, random: &mut Seeded) -> Fault {
        let any: [(u64, Drawn); 6] = [
            (25, Self::any_harm),
            (34, Self::any_link),
            (12, |_, random| any_of_postgres(random)),
            (11, |_, random| any_of_redis(random)),
            (10, Self::any_of_rabbitmq),
            (8, |_, random| any_of_strangers(random)),
        ];
        random.weighted(&any)(self, random)
    }

    fn any_harm(&self, random: &mut Seeded) -> Fault {
        match self.false_clock {
            Some(process) if random.chance(20) => Fault::Clock(process, random.pick(&OFFSETS)),
            _ => {
                let process = self.any_process(random);
                Fault::Harm(Victim::Process(process), random.weighted(&HARMS))
            }
        }
    }

    fn any_link(&self, random: &mut Seeded) -> Fault {
        let process = self.any_process(random);
        let peers = [Peer::Postgres, Peer::RabbitMq, Peer::Redis, Peer::Clients];
        let has_clients = matches!(process, Process::Edge(_));
        let peer = random.pick(if has_clients { &peers } else { &peers[..3] });
        Fault::Link(process, peer, any_mode(random))
    }

    fn any_of_rabbitmq(&self, random: &mut Seeded) -> Fault {
        let full = Fault::QueueFull(random.below(4) as u64);
        let node = random.below(self.nodes);
        let frozen = Fault::Harm(Victim::RabbitMq(node), Harm::Freeze);
        let usual = random.pick(&[Fault::Alarm, full, frozen]);
        let mode = random.pick(&[Mode::Cut, Mode::Blackhole, Mode::HalfOpen(Way::Up)]);
        let of_several = [Fault::MajorityLost(node, Harm::Freeze), Fault::Split(node, mode), usual];
        if self.nodes > 1 { random.pick(&of_several) } else { usual }
    }

    /// What a broker, or a node of it, does not come back from at once.
    fn any_leave_of_rabbitmq(&self, random: &mut Seeded) -> Fault {
        let node = random.below(self.nodes);
        let harm = random.weighted(&HARMS[..2]);
        let leaves = Fault::Harm(Victim::RabbitMq(node), harm);
        let of_several =
            [(5, leaves), (2, Fault::MajorityLost(node, harm)), (2, Fault::DiskLost(node))];
        if self.nodes > 1 { random.weighted(&of_several) } else { leaves }
    }

    fn any_process(&self, random: &mut Seeded) -> Process {
        let process = random.below(self.edges + self.workers);
        match process.checked_sub(self.edges) {
            None => Process::Edge(process),
            Some(worker) => Process::Worker(worker),
        }
    }
}

fn any_of_postgres(random: &mut Seeded) -> Fault {
    let harm = Fault::Harm(Victim::Postgres, random.weighted(&HARMS));
    random.weighted(&[(3, harm), (1, Fault::EndSessions), (1, Fault::Lock)])
}

fn any_of_redis(random: &mut Seeded) -> Fault {
    let harm = Fault::Harm(Victim::Redis, random.weighted(&HARMS));
    let other = random.pick(&[Fault::Flush, Fault::RedisFull, Fault::RedisPause]);
    random.pick(&[harm, other])
}

fn any_of_strangers(random: &mut Seeded) -> Fault {
    let rubbish = Fault::Rubbish(random.within(5..=40));
    random.pick(&[rubbish, Fault::Copies])
}

/// Anything that can happen to a link.
pub fn any_mode(random: &mut Seeded) -> Mode {
    match random.below(5) {
        0 => Mode::Delay(random.millis(10..=800)),
        1 => Mode::Cut,
        2 => Mode::Blackhole,
        3 => Mode::HalfOpen(random.pick(&[Way::Up, Way::Down])),
        _ => Mode::Truncate(random.below(20_000)),
    }
}

impl Planned {
    /// Whether both would befall the same victim, or link, at a time.
    fn collides(&self, other: &Self) -> bool {
        let is_apart = |a: &Self, b: &Self| a.at + a.lasts + a.fault.aftermath() + CALM <= b.at;
        self.fault.place() == other.fault.place()
            && !is_apart(self, other)
            && !is_apart(other, self)
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, lasts, fault } = self;
        write!(f, "{:>6} ms, for {:>4} ms: {fault:?}", at.as_millis(), lasts.as_millis())
    }
}

/// What a failing run prints.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, edges, workers, nodes, reply_wait, false_clock, faults, .. } = self;
        write!(f, "seed {seed}: {edges} edges, {workers} workers, {nodes} brokers, ")?;
        let (spool, alert) = (self.has_spool, self.is_alert);
        writeln!(f, "reply wait {reply_wait:?}, spool: {spool}, short heartbeats: {alert}")?;
        writeln!(f, "  whose clock can be turned: {false_clock:?}")?;
        faults.iter().try_for_each(|planned| writeln!(f, "  {planned}"))
    }
}
