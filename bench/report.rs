//! The figures: on the terminal while they come, as a table, as JSON and as a picture.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::machine::Machine;

/// What is written to disk.
#[derive(Serialize)]
pub struct Report {
    machine: Machine,
    /// How it was measured, in a line.
    how: String,
    series: Vec<Series>,
    latencies: Vec<Latency>,
    /// Milliseconds that one confirmed publish and one committed insert take by themselves.
    floors_ms: Option<[f64; 2]>,
    overload: Option<Overload>,
    /// Milliseconds from an embedded start to being ready.
    ready_ms: Option<f64>,
    peaks: Vec<Peak>,
}

/// Three times as much as the system can do.
#[derive(Serialize)]
pub struct Overload {
    /// Requests that were due a second.
    pub per_second: f64,
    /// Answered a second.
    pub goodput: f64,
    /// The same, of the peak.
    pub of_peak: f64,
    pub refused: usize,
    /// The 99th percentile of the refusals' times.
    pub refused_p99_ms: f64,
    /// Without an answer, or refused without being told when to come again.
    pub failed: usize,
    /// The 99th percentile in the ten seconds after, at half the peak.
    pub meanwhile_p99_ms: f64,
    /// The same after those.
    pub recovered_p99_ms: f64,
}

/// One thing that was measured, once in each repetition.
#[derive(Serialize)]
pub struct Series {
    name: &'static str,
    /// What it is held against, if anything: another's name, and the least ratio that will do.
    against: Vec<(&'static str, f64)>,
    /// In the order of the repetitions.
    per_second: Vec<f64>,
    /// The average time of each, in milliseconds; empty where nobody waited for an answer.
    mean_ms: Vec<f64>,
    /// The 99th percentile, likewise.
    p99_ms: Vec<f64>,
    /// Requests that got no answer or one of 400 and more, in all.
    failed: u64,
    /// Microseconds of processor time a request, by part, in the last repetition.
    micros: BTreeMap<&'static str, f64>,
}

/// Times at a fixed rate.
#[derive(Serialize)]
pub struct Latency {
    /// Of what.
    pub name: String,
    /// Requests a second.
    pub per_second: f64,
    pub answered: usize,
    pub failed: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
}

/// The most memory that a process held.
#[derive(Serialize)]
pub struct Peak {
    pub name: &'static str,
    pub bytes: u64,
}

/// How long answers took, in milliseconds.
pub struct Times {
    pub mean: f64,
    pub p99: f64,
}

/// What one repetition has to say of a series.
pub struct Sample {
    pub per_second: f64,
    pub times: Option<Times>,
    pub failed: u64,
    pub micros: BTreeMap<&'static str, f64>,
}

impl Report {
    /// An empty one of this machine.
    pub fn new(how: String) -> Self {
        let machine = Machine::here();
        println!("{}\n{how}\n", machine.line());
        Self {
            machine,
            how,
            series: Vec::new(),
            latencies: Vec::new(),
            floors_ms: None,
            overload: None,
            ready_ms: None,
            peaks: Vec::new(),
        }
    }

    /// Adds to a series, which begins with its first sample.
    pub fn add(&mut self, name: &'static str, against: &[(&'static str, f64)], sample: Sample) {
        let Sample { per_second, times, failed, micros } = sample;
        let parts = micros.iter().map(|(part, micros)| format!("{part} {micros:.1}"));
        let parts = parts.collect::<Vec<_>>().join(", ");
        let failures = if failed > 0 { format!(", {failed} FAILED") } else { String::new() };
        println!("{name:<48} {per_second:>10.0}/s{failures}   µs each: {parts}");
        let place = self.series.iter().position(|series| series.name == name);
        let place = place.unwrap_or_else(|| {
            self.series.push(Series {
                name,
                against: against.to_vec(),
                per_second: Vec::new(),
                mean_ms: Vec::new(),
                p99_ms: Vec::new(),
                failed: 0,
                micros: BTreeMap::new(),
            });
            self.series.len() - 1
        });
        let series = &mut self.series[place];
        series.per_second.push(per_second);
        if let Some(Times { mean, p99 }) = times {
            series.mean_ms.push(mean);
            series.p99_ms.push(p99);
        }
        series.failed += failed;
        series.micros = micros;
    }

    /// Adds times.
    pub fn add_latency(&mut self, latency: Latency) {
        let Latency { name, per_second, answered, failed, p50_ms, p99_ms, p999_ms } = &latency;
        println!(
            "{name:<48} {per_second:>10.0}/s   p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, p99.9 \
             {p999_ms:.1} ms; {answered} answered, {failed} failed"
        );
        self.latencies.push(latency);
    }

    /// Notes how long one publish and one insert take by themselves, in milliseconds.
    pub fn add_floors(&mut self, floors_ms: [f64; 2]) {
        self.floors_ms = Some(floors_ms);
    }

    /// Notes what became of too much load.
    pub fn set_overload(&mut self, overload: Overload) {
        let Overload { per_second, goodput, of_peak, refused, refused_p99_ms, failed, .. } =
            &overload;
        let Overload { meanwhile_p99_ms, recovered_p99_ms, .. } = &overload;
        println!(
            "overload: {per_second:.0}/s asked, {goodput:.0}/s answered ({of_peak:.2} of the peak), \
             {refused} refused (p99 {refused_p99_ms:.0} ms), {failed} failed; p99 {meanwhile_p99_ms:.0} ms \
             in the ten seconds after, {recovered_p99_ms:.0} ms then"
        );
        self.overload = Some(overload);
    }

    /// Notes how long a start takes.
    pub fn set_ready(&mut self, after: Duration) {
        println!("embedded, ready after {after:.0?}");
        self.ready_ms = Some(after.as_secs_f64() * 1e3);
    }

    /// Adds peaks of memory, in bytes.
    pub fn add_peaks(&mut self, peaks: &BTreeMap<&'static str, u64>) {
        for (name, bytes) in peaks {
            println!("{name:<48} {:>10} MiB at most", bytes / (1_024 * 1_024));
            self.peaks.push(Peak { name, bytes: *bytes });
        }
    }

    /// The median of a series.
    pub fn median_of(&self, name: &str) -> Option<f64> {
        self.series.iter().find(|series| series.name == name).map(Series::median)
    }

    /// Prints the table and writes the files.
    pub fn finish(&self, to: &Path) {
        println!("\n{}", self.table());
        std::fs::create_dir_all(to).expect("a folder for the figures");
        let json = serde_json::to_string_pretty(self).expect("JSON");
        std::fs::write(to.join("performance.json"), json + "\n").expect("write the figures");
        std::fs::write(to.join("performance.svg"), self.picture()).expect("write the picture");
        println!("{}", to.join("performance.json").display());
    }

    /// A row a series, as Markdown.
    fn table(&self) -> String {
        let mut table =
            "| what | median a second | spread | mean | p99 | against | ratio | asked |\n\
                         | --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |\n"
                .to_owned();
        for series in &self.series {
            let Series { name, against, .. } = series;
            let (median, spread) = (series.median(), series.spread_percent());
            let told = |times: &[f64]| median_of(times).map(|ms| format!("{ms:.0} ms"));
            let mean = told(&series.mean_ms).unwrap_or_default();
            let p99 = told(&series.p99_ms).unwrap_or_default();
            let held: Vec<_> = against.iter().filter_map(|it| self.held(median, *it)).collect();
            let none = vec![(String::new(), String::new(), String::new())];
            for (index, (floor, ratio, asked)) in
                (if held.is_empty() { none } else { held }).iter().enumerate()
            {
                let first = if index == 0 {
                    format!("| {name} | {median:.0} | ±{spread:.0} % | {mean} | {p99} ")
                } else {
                    "| | | | | ".to_owned()
                };
                let _ = writeln!(table, "{first}| {floor} | {ratio} | {asked} |");
            }
        }
        table
    }

    fn held(
        &self,
        median: f64,
        (floor, asked): (&'static str, f64),
    ) -> Option<(String, String, String)> {
        let ratio = median / self.median_of(floor)?;
        Some((floor.to_owned(), format!("{ratio:.2}"), format!("{asked:.2}")))
    }

    /// A bar a series, as long as its rate, with a mark for what is asked of it.
    fn picture(&self) -> String {
        const ROW: usize = 26;
        const LEFT: f64 = 330.0;
        const WIDTH: f64 = 430.0;
        let longest = self.series.iter().map(Series::median).fold(1.0, f64::max);
        let height = self.series.len() * ROW + 16;
        let mut picture = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <style>text{{fill:#222}}.bar{{fill:#3b7dd8}}.floor{{fill:#b8c4d4}}.asked{{stroke:#c0392b;\
             stroke-width:2}}@media(prefers-color-scheme:dark){{text{{fill:#ddd}}}}</style>\n"
        );
        for (row, series) in self.series.iter().enumerate() {
            let (y, median) = (row * ROW + 8, series.median());
            let length = median / longest * WIDTH;
            let class = if series.against.is_empty() { "floor" } else { "bar" };
            let (middle, end) = (y + 14, LEFT + length + 6.0);
            let _ = writeln!(
                picture,
                "<text x=\"{x}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>\
                 <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"18\"/>\
                 <text x=\"{end:.1}\" y=\"{middle}\">{median:.0}/s</text>",
                x = LEFT - 8.0,
                name = series.name,
            );
            for (floor, asked) in &series.against {
                let Some(floor) = self.median_of(floor) else { continue };
                let x = LEFT + floor * asked / longest * WIDTH;
                let _ = writeln!(
                    picture,
                    "<line class=\"asked\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{}\"/>",
                    y + 18
                );
            }
        }
        picture + "</svg>\n"
    }
}

impl Series {
    fn median(&self) -> f64 {
        median_of(&self.per_second).unwrap_or_default()
    }

    /// Half of what lies between the largest and the smallest, in percent of the median.
    fn spread_percent(&self) -> f64 {
        let largest = self.per_second.iter().copied().fold(f64::MIN, f64::max);
        let smallest = self.per_second.iter().copied().fold(f64::MAX, f64::min);
        (largest - smallest) / 2.0 / self.median() * 100.0
    }
}

fn median_of(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
