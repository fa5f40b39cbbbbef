//! Text that nobody wrote for the purpose, submitted as if somebody had filled in the form: some from
//! a seed, and with `make corpus` the entries of the Debian changelogs on this machine.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::crowd::{Told, submit_all};
use super::{figure, seeded_text, stored};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;

const SUBJECTS: [&str; 5] = ["technical", "billing", "feature", "account", "general"];

/// How many entries there are, and that they are the machine's changelogs.
const CORPUS: &str = "CORPUS_SUBMISSIONS";
const SEED: u64 = 7;

/// From there on a body is refused, whatever its fields are.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What stands in the form; its subject goes by its place.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    pub email: String,
    pub message: String,
    pub timestamp: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn text_nobody_wrote_for_the_purpose_reads_back_byte_for_byte() {
    let wanted = figure(CORPUS, 1_000);
    let is_corpus = std::env::var_os(CORPUS).is_some();
    let entries = Arc::new(if is_corpus {
        changelog_entries(wanted)
    } else {
        seeded_text::entries(SEED, wanted)
    });
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_ingest(2).with_worker(2).await;
    let edges = [0, 1].map(|edge| system.edge(edge).client().clone());

    let forms = Arc::clone(&entries);
    let told = submit_all(
        &edges,
        32,
        move |number| form(number, &forms[number]),
        move |number| number < wanted,
    )
    .await;

    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut accepted = 0;
    for told in &told {
        let entry = &entries[told.form];
        match told.status {
            Some(201 | 202) => accepted += 1,
            Some(422) => {
                assert_refusal_is_deserved(entry, told);
                *refused.entry(told.violations.join(", ")).or_default() += 1;
            }
            Some(413) => {
                let body = serde_json::to_vec(&form(told.form, entry)).unwrap();
                assert!(body.len() > BODY_BYTES_MAX, "{} bytes of {entry:?}", body.len());
                *refused.entry("body over 64 KiB".to_owned()).or_default() += 1;
            }
            other => panic!("{other:?} for {entry:?}"),
        }
    }
    system.settled(accepted).await;
    for told in told.iter().filter(|told| told.is_accepted()) {
        let answer = system.look_up(told.id.as_ref().unwrap()).await;
        assert_reads_back(&entries[told.form], told, &answer.json()["data"]);
    }
    assert_statistics_equal_a_recount(&system).await;
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
    assert!(accepted > wanted as u64 * 9 / 10, "{refused:?}");
    let what = if is_corpus { "changelog entries" } else { "entries of a seed" };
    println!("{wanted} {what}: {accepted} tickets read back, refused: {refused:?}");
}

fn form(number: usize, entry: &Entry) -> Form {
    Form::valid()
        .name(&entry.name)
        .email(&entry.email)
        .subject(SUBJECTS[number % SUBJECTS.len()])
        .message(&entry.message)
        .with("timestamp", entry.timestamp.as_str())
}

/// The form's rules, said a second time in other words.
fn assert_refusal_is_deserved(entry: &Entry, told: &Told) {
    assert!(!told.violations.is_empty(), "a refusal names its reasons");
    let is_bad = |c: char| c.is_control() && !"\n\r\t".contains(c);
    for violation in &told.violations {
        let is_deserved = match violation.as_str() {
            "/message too_long" => entry.message.trim().chars().count() > 10_000,
            "/message blank" => entry.message.trim().is_empty(),
            "/message control_character" => entry.message.contains(is_bad),
            "/name too_long" => entry.name.trim().chars().count() > 100,
            "/name blank" => entry.name.trim().is_empty(),
            "/name control_character" => entry.name.contains(is_bad),
            "/timestamp invalid_timestamp" => {
                DateTime::parse_from_rfc3339(&entry.timestamp).is_err()
            }
            // No dot in the domain, more than one address, or characters no address has.
            "/email invalid_email" => {
                let (local, domain) = entry.email.rsplit_once('@').unwrap_or_default();
                !domain.contains('.')
                    || local.is_empty()
                    || !local
                        .chars()
                        .all(|c| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c))
                    || !domain.chars().all(|c| c.is_alphanumeric() || ".-".contains(c))
                    || entry.email.contains("..")
                    || local.ends_with('.')
                    || domain.ends_with('.')
            }
            _ => false,
        };
        assert!(is_deserved, "{violation} of {entry:?}");
    }
}

fn assert_reads_back(entry: &Entry, told: &Told, data: &Value) {
    assert_eq!(data["name"], entry.name.trim());
    assert_eq!(data["email"], entry.email);
    assert_eq!(data["message"], entry.message.trim());
    assert_eq!(data["timestamp"], entry.timestamp);
    assert_eq!(data["subject"], SUBJECTS[told.form % SUBJECTS.len()]);
    assert_eq!(data["status"], "open");
    if let Some(number) = &told.number {
        assert_eq!(data["ticketNumber"], number.as_str());
    }
}

async fn assert_statistics_equal_a_recount(system: &TestSystem) {
    let mut connection = stored::connect(&system.backing().database_url).await;
    let recount = stored::by_subject(&mut connection).await;
    let statistics = system.statistics().await;
    for subject in SUBJECTS {
        assert_eq!(statistics["bySubject"][subject], recount.get(subject).copied().unwrap_or(0));
    }
    assert_eq!(statistics["total"], recount.values().sum::<i64>());
}

/// So many entries of the machine's changelogs, in the order of their files. Packages of one source
/// share their changelog, and a form that is sent again becomes no ticket: each entry once.
fn changelog_entries(wanted: usize) -> Vec<Entry> {
    const FOLDER: &str = "/usr/share/doc";
    let mut files: Vec<_> = std::fs::read_dir(FOLDER)
        .unwrap_or_else(|error| panic!("{FOLDER}, where Debian keeps its changelogs: {error}"))
        .flat_map(|package| std::fs::read_dir(package.unwrap().path()).into_iter().flatten())
        .map(|file| file.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("changelog") && path.extension().is_some_and(|it| it == "gz")
        })
        .collect();
    files.sort();
    let (mut entries, mut known) = (Vec::new(), HashSet::new());
    for file in files {
        if entries.len() >= wanted {
            break;
        }
        let mut of_file = entries_of(&read(&file));
        of_file.retain(|it| known.insert((it.email.clone(), it.message.trim().to_owned())));
        entries.extend(of_file);
    }
    assert!(
        entries.len() >= wanted,
        "{} changelog entries under {FOLDER}, where {wanted} are wanted. Images for containers leave \
         them out; a Debian with more packages has more; {CORPUS}={} takes what is here.",
        entries.len(),
        entries.len()
    );
    entries.truncate(wanted);
    entries
}

fn read(file: &std::path::Path) -> String {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(file).unwrap();
    MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    // Some were written before Debian agreed on UTF-8.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An entry ends with the line ` -- Name <address>  date`.
fn entries_of(changelog: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut message = String::new();
    for line in changelog.split_inclusive('\n') {
        let signature = line.strip_prefix(" -- ").and_then(|rest| rest.split_once('<'));
        match signature.and_then(|(name, rest)| Some((name, rest.split_once('>')?))) {
            Some((name, (email, date))) => entries.push(Entry {
                name: name.to_owned(),
                email: email.to_owned(),
                message: std::mem::take(&mut message),
                timestamp: timestamp(date.trim()),
            }),
            None => message.push_str(line),
        }
    }
    entries
}

/// RFC 3339 where the date is the RFC 2822 it should be; else as it stands.
fn timestamp(date: &str) -> String {
    DateTime::parse_from_rfc2822(date)
        .map_or_else(|_| date.to_owned(), |date| date.to_rfc3339_opts(SecondsFormat::Secs, false))
}
