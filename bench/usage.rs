//! What processes used of the machine, as the kernel counts it.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::time::Duration;

/// Ticks a second in `/proc/PID/stat`, on every Linux of our days.
const TICKS: u64 = 100;

/// Processes that count as one part, such as all of Postgres.
pub struct Part {
    /// What it is called in tables.
    pub name: &'static str,
    /// Its processes now.
    pub pids: Vec<u32>,
}

/// The processor time that each part has used so far.
pub fn processor(parts: &[Part]) -> BTreeMap<&'static str, Duration> {
    let mut used = BTreeMap::new();
    for Part { name, pids } in parts {
        let time: Duration = pids.iter().filter_map(|pid| processor_of(*pid)).sum();
        *used.entry(*name).or_default() += time;
    }
    used
}

/// Of one process and those of its children that have ended; `None` when it is gone.
fn processor_of(pid: u32) -> Option<Duration> {
    let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything: state, parent, …, utime, stime, cutime, cstime.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(11).take(4).filter_map(|field| field.parse::<u64>().ok());
    Some(Duration::from_millis(ticks.sum::<u64>() * 1_000 / TICKS))
}

/// The most that a process has held in memory so far (`VmHWM`), in bytes.
pub fn peak_bytes(pid: u32) -> u64 {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1_024
}
