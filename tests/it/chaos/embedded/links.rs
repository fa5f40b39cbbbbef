//! Seeded faults: of the process, and of the links by which those who submit reach it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::stranger::bother;
use super::{Conclusion, conclude, data_dir};
use crate::bed::instance::Instance;
use crate::bed::link::{Link, Mode};
use crate::bed::seeded::Seeded;
use crate::bed::system::TestSystem;
use crate::chaos::clients::Crowd;
use crate::chaos::fault::harm_instance;
use crate::chaos::kinds::Harm;
use crate::chaos::ledger::{self, Ledger, Line};
use crate::chaos::plan::{HARMS, any_mode};
use crate::flow::figure;

/// The parts of what a seed decides: one for the process, and one for each link.
const PROCESS: u64 = 16;
const LINKS: u64 = 17;

const LINKS_COUNT: u64 = 4;

/// How long a fault lasts, and the calm before it.
const LASTS_MS: std::ops::RangeInclusive<u64> = 100..=1_500;
const CALM_MS: std::ops::RangeInclusive<u64> = 200..=900;

/// How long submissions go on after everything was healed.
const CODA: Duration = Duration::from_millis(500);

/// Attempts of strangers are numbered behind those of the crowd.
const STRANGERS_FROM: u64 = 1 << 32;

/// A fault of one place, after a calm.
#[derive(Clone, Copy, Debug)]
struct Step<F> {
    calm: Duration,
    lasts: Duration,
    fault: F,
}

/// What befalls one place, one thing after the other, for so long.
fn steps<F>(
    seed: u64,
    part: u64,
    length: Duration,
    mut any: impl FnMut(&mut Seeded) -> F,
) -> Vec<Step<F>> {
    let random = &mut Seeded::for_part(seed, part);
    let (mut steps, mut taken) = (Vec::new(), Duration::ZERO);
    while taken < length {
        let (calm, lasts) = (random.millis(CALM_MS), random.millis(LASTS_MS));
        steps.push(Step { calm, lasts, fault: any(random) });
        taken += calm + lasts;
    }
    steps
}

async fn harm(serve: &Instance, steps: &[Step<Harm>]) {
    for Step { calm, lasts, fault } in steps {
        sleep(*calm).await;
        // One that is not up yet is harmed all the same; only a stop has to be asked of somebody.
        if *fault == Harm::Restart {
            serve.ready().await;
        }
        harm_instance(serve, *fault, *lasts).await;
    }
}

async fn disturb(link: &Link, steps: &[Step<Mode>]) {
    for Step { calm, lasts, fault } in steps {
        sleep(*calm).await;
        link.set(*fault);
        sleep(*lasts).await;
        link.set(Mode::Pass);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_upon_one_process_and_its_clients_loses_doubles_and_garbles_nothing() {
    let (seed, runs) = (figure("SEED", 1) as u64, figure("RUNS", 2) as u64);
    let length = Duration::from_secs(figure("SECONDS", 6) as u64);
    for seed in seed..seed + runs {
        let begun = Instant::now();
        let (faults, conclusion) = play(seed, length).await;
        println!("embedded seed {seed}: {faults} faults; {conclusion}; {:.0?}", begun.elapsed());
        assert!(conclusion.findings.acknowledged > 50, "hardly anything was at stake");
    }
}

async fn play(seed: u64, length: Duration) -> (usize, Conclusion) {
    let system = TestSystem::embedded().await;
    let serve = system.edge(0);
    let links: Vec<_> = join_all((0..LINKS_COUNT).map(|_| Link::to(serve.address()))).await;
    let edges: Vec<_> = links.iter().map(Link::address).collect();
    let of_process = steps(seed, PROCESS, length, |random| random.weighted(&HARMS));
    let of_links: Vec<_> =
        (LINKS..LINKS + LINKS_COUNT).map(|part| steps(seed, part, length, any_mode)).collect();

    let files = ["ledger.jsonl", "strangers.jsonl"].map(|name| system.folder().join(name));
    let connections = figure("CONNECTIONS", 16);
    let crowd = Crowd::gather(seed, &edges, connections, Ledger::begin(&files[0]));
    let strangers = Strangers::gather(seed, edges, &files[1]);
    let disturbing = links.iter().zip(&of_links).map(|(link, steps)| disturb(link, steps));
    join(harm(serve, &of_process), join_all(disturbing)).await;
    serve.ready().await;
    sleep(CODA).await;
    strangers.leave().await;
    crowd.leave().await;

    let ledger = ledger::read(&files[0]).chain(ledger::read(&files[1]).map(of_a_stranger));
    let faults = of_process.len() + of_links.iter().map(Vec::len).sum::<usize>();
    (faults, conclude(seed, &system, &data_dir(&system), ledger).await)
}

struct Strangers {
    ledger: Arc<Ledger>,
    closing: CancellationToken,
    bothering: tokio::task::JoinHandle<()>,
}

impl Strangers {
    fn gather(seed: u64, edges: Vec<SocketAddr>, file: &Path) -> Self {
        let (ledger, closing) = (Arc::new(Ledger::begin(file)), CancellationToken::new());
        let bothering = tokio::spawn(bother(seed, edges, Arc::clone(&ledger), closing.clone()));
        Self { ledger, closing, bothering }
    }

    async fn leave(self) {
        self.closing.cancel();
        self.bothering.await.expect("a stranger does not fail");
        Arc::into_inner(self.ledger).expect("nobody else writes").end();
    }
}

fn of_a_stranger(line: Line) -> Line {
    match line {
        Line::Sent(mut sent) => {
            sent.attempt += STRANGERS_FROM;
            Line::Sent(sent)
        }
        Line::Told(mut told) => {
            told.attempt += STRANGERS_FROM;
            Line::Told(told)
        }
    }
}
