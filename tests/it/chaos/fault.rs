//! How each fault is done, and undone.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, sleep_until};

use super::kinds::{Fault, Harm, Victim};
use super::plan::{Plan, Planned};
use super::stage::{Ground, Post, Stage};
use super::{store, strangers};
use crate::bed::instance::Instance;
use crate::bed::link::Mode;
use crate::bed::server::Server;

/// A process that was asked to stop may take so long while servers are away. After that it is
/// killed, as whoever asked it would.
const STOP_MAX: Duration = Duration::from_secs(3);

/// A fault as it came to pass.
pub struct Suffered {
    /// What it was; see [`Fault::kind`].
    pub kind: String,
    /// Whether anything differed for it. A link may have had nothing to carry.
    pub was_felt: bool,
}

/// Goes through all of a plan's faults, each at its time. Afterwards all is as it was before.
pub async fn befall(ground: &Ground, stage: &Stage, plan: &Plan) -> Vec<Suffered> {
    let begun = Instant::now();
    let faults = plan.faults.iter().map(async |planned| {
        sleep_until(begun + planned.at).await;
        suffer(ground, stage, plan.seed, planned).await
    });
    join_all(faults).await
}

async fn suffer(ground: &Ground, stage: &Stage, seed: u64, planned: &Planned) -> Suffered {
    let lasts = planned.lasts;
    let (mut kind, mut was_felt) = (planned.fault.kind(), true);
    match planned.fault {
        Fault::Harm(victim, harm) => {
            if !suffer_harm(ground, stage, victim, harm, lasts).await {
                kind += ", in the end a kill";
            }
        }
        Fault::Link(process, peer, mode) => {
            let post = stage.post(process);
            let before = post.hurts(peer);
            post.set(peer, mode);
            sleep(lasts).await;
            post.heal(peer);
            was_felt = post.hurts(peer) > before;
        }
        Fault::Clock(process, offset) => {
            let clock = stage.post(process).clock();
            clock.turn(offset);
            sleep(lasts).await;
            clock.turn("+0");
        }
        Fault::Alarm
        | Fault::QueueFull(_)
        | Fault::MajorityLost(..)
        | Fault::DiskLost(_)
        | Fault::Split(..) => suffer_at_rabbitmq(ground, planned).await,
        Fault::Flush | Fault::RedisFull | Fault::RedisPause => {
            suffer_at_redis(ground, planned).await;
        }
        Fault::EndSessions | Fault::Lock => {
            let _postgres = ground.postgres.lock().await;
            let store = &mut store::connect(&stage.system().backing().database_url).await;
            if planned.fault == Fault::Lock {
                store::lock(store, lasts).await;
            } else {
                store::end_sessions(store).await;
            }
        }
        Fault::Rubbish(count) => {
            let mark = format!("seed-{seed}-at-{}", planned.at.as_millis());
            let backing = stage.system().backing();
            let letters = strangers::litter(backing, &mark, count, lasts).await;
            was_felt = letters.iter().any(|letter| letter.is_taken);
            stage.expect_letters(letters);
        }
        Fault::Copies => {
            was_felt = strangers::copy(stage.system().backing(), lasts).await > 0;
        }
    }
    Suffered { kind, was_felt }
}

/// False when it took a kill; see [`harm_instance`].
async fn suffer_harm(
    ground: &Ground,
    stage: &Stage,
    victim: Victim,
    harm: Harm,
    lasts: Duration,
) -> bool {
    match victim {
        Victim::Process(process) => return harm_process(stage.post(process), harm, lasts).await,
        Victim::Postgres => harm_server(&mut *ground.postgres.lock().await, harm, lasts).await,
        Victim::RabbitMq(node) => {
            harm_server(ground.rabbitmq.lock().await.node(node), harm, lasts).await;
        }
        Victim::Redis => harm_server(&mut *ground.redis.lock().await, harm, lasts).await,
    }
    true
}

async fn suffer_at_rabbitmq(ground: &Ground, planned: &Planned) {
    let (mut rabbitmq, lasts) = (ground.rabbitmq.lock().await, planned.lasts);
    match planned.fault {
        Fault::QueueFull(max) => {
            ground.limit_queue(Some(max)).await;
            sleep(lasts).await;
            ground.limit_queue(None).await;
        }
        Fault::MajorityLost(left, harm) => {
            let others = rabbitmq.all_but(left).map(|node| harm_server(node, harm, lasts));
            join_all(others).await;
        }
        Fault::DiskLost(node) => rabbitmq.lose_disk(node, lasts).await,
        Fault::Split(node, mode) => {
            rabbitmq.set_apart(node, mode);
            sleep(lasts).await;
            rabbitmq.set_apart(node, Mode::Pass);
        }
        _ => {
            rabbitmq.control().run(&["set_vm_memory_high_watermark", "0"]).await;
            sleep(lasts).await;
            rabbitmq.control().run(&["set_vm_memory_high_watermark", "0.4"]).await;
        }
    }
}

async fn suffer_at_redis(ground: &Ground, planned: &Planned) {
    let redis = ground.redis.lock().await;
    let ask = async |question: &str| assert_eq!(redis.ask(0, question).await, "+OK", "{question}");
    match planned.fault {
        Fault::Flush => ask("FLUSHALL").await,
        Fault::RedisFull => {
            ask("CONFIG SET maxmemory-policy noeviction").await;
            ask("CONFIG SET maxmemory 1").await;
            sleep(planned.lasts).await;
            ask("CONFIG SET maxmemory 0").await;
        }
        // Whoever asks for it waits as well.
        _ => ask(&format!("CLIENT PAUSE {} ALL", planned.lasts.as_millis())).await,
    }
}

async fn harm_process(post: &Post, harm: Harm, lasts: Duration) -> bool {
    let _turn = post.turn.lock().await;
    harm_instance(&post.instance, harm, lasts).await
}

/// What is done to a process, and undone after the time. False when it did not stop soon enough, and was
/// killed.
pub async fn harm_instance(instance: &Instance, harm: Harm, lasts: Duration) -> bool {
    let mut is_orderly = true;
    // Nobody else ends it: not even a server that is away may.
    assert!(instance.is_running(), "a process ended by itself: {}", instance.log());
    match harm {
        Harm::Kill => {
            instance.kill();
            sleep(lasts).await;
            instance.relaunch();
        }
        Harm::Restart => {
            instance.answers().await;
            let stopped = instance.stop_within(STOP_MAX).await;
            is_orderly = stopped.is_some();
            let is_success = stopped.is_none_or(|stopped| stopped.status.success());
            assert!(is_success, "{stopped:?}: {}", instance.log());
            sleep(lasts).await;
            instance.relaunch();
        }
        Harm::Freeze => {
            instance.pause();
            sleep(lasts).await;
            instance.resume();
        }
    }
    is_orderly
}

async fn harm_server(server: &mut impl Server, harm: Harm, lasts: Duration) {
    // Finding what lives in a server's folder takes a moment of a thread.
    match harm {
        Harm::Kill => {
            block_in_place(|| server.kill());
            sleep(lasts).await;
            server.start_again().await;
        }
        Harm::Restart => {
            server.stop().await;
            sleep(lasts).await;
            server.start_again().await;
        }
        Harm::Freeze => {
            block_in_place(|| server.pause());
            sleep(lasts).await;
            block_in_place(|| server.resume());
        }
    }
}
