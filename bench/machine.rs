//! What the figures were measured on.

use std::fs::read_to_string;
use std::process::Command;

use serde::Serialize;

/// The machine and what runs on it.
#[derive(Serialize)]
pub struct Machine {
    /// The processor, by its own name.
    processor: String,
    /// How many there are.
    processors: usize,
    memory_gib: u64,
    kernel: String,
    /// The versions of what takes part.
    programs: Vec<String>,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let about = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = read_to_string("/proc/meminfo").unwrap_or_default();
        let kibibytes = field(&memory, "MemTotal").split(' ').next().and_then(|it| it.parse().ok());
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: field(&about, "model name"),
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            memory_gib: kibibytes.unwrap_or(0_u64) / (1_024 * 1_024),
            kernel: kernel.trim().to_owned(),
            programs: vec![
                package("postgresql"),
                package("rabbitmq-server"),
                package("redis-server"),
                package("wrk"),
                format!("supportline {}", env!("CARGO_PKG_VERSION")),
            ],
        }
    }

    /// In a line.
    pub fn line(&self) -> String {
        let Self { processor, processors, memory_gib, kernel, programs } = self;
        let programs = programs.join(", ");
        format!("{processors} × {processor}, {memory_gib} GiB, Linux {kernel}; {programs}")
    }
}

fn field(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// A package of Debian's with its version.
fn package(name: &str) -> String {
    let asked = Command::new("dpkg-query").args(["-W", "-f=${Package} ${Version}", name]).output();
    let version = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    version.unwrap_or_else(|_| name.to_owned())
}
