//! `supportline dead-letters …`: what could not become a ticket.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use chrono::{DateTime, SecondsFormat, Utc};
use common::{
    config::{Backends, Config},
    ports::{
        audit::QueueAudit,
        dead_letters::{DeadLetters, FoundLetter, LetterId, ListedLetter, Selection},
    },
};
use serde::Serialize;

use crate::{
    cli::{LetterCommand, LetterList, LetterShown, Letters},
    compose::Installation,
    table::{harmless, table},
    terminal::{self, thousands},
};

/// Does what is asked, beside the processes that serve the installation or without any.
pub async fn run(command: LetterCommand, config: Config) -> anyhow::Result<ExitCode> {
    let installation = Installation::open_beside(&config).await?;
    let letters = installation.backend.operator().await.dead_letters;
    let audit = installation.backend.audit().await.queue;
    let done = match command {
        LetterCommand::List(wanted) => list(&*letters, &*audit, &wanted).await,
        LetterCommand::Show(wanted) => show(&*letters, &wanted).await,
        LetterCommand::Requeue(wanted) => requeue(&*letters, wanted, &config).await,
        LetterCommand::Discard(wanted) => discard(&*letters, wanted).await,
    };
    drop((letters, audit));
    installation.backend.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn list(
    letters: &dyn DeadLetters,
    audit: &dyn QueueAudit,
    wanted: &LetterList,
) -> anyhow::Result<()> {
    let listed = letters.list(wanted.limit).await?;
    if wanted.json {
        let rows: Vec<_> = listed.iter().map(Row::from).collect();
        terminal::say(serde_json::to_string_pretty(&rows)?);
    } else {
        let rows: Vec<_> = listed.iter().map(row).collect();
        let heading = ["ID", "REASON", "FIRST SEEN", "ATTEMPTS", "BYTES", "DETAIL"];
        terminal::say(table(&heading, &rows));
    }
    let there = if listed.len() == wanted.limit as usize { audit.depths().await?.dead } else { 0 };
    if there > listed.len() as u64 {
        let limit = thousands(wanted.limit.into());
        terminal::remark(format!("The oldest {limit} of {}.", thousands(there)));
    }
    Ok(())
}

async fn show(letters: &dyn DeadLetters, wanted: &LetterShown) -> anyhow::Result<()> {
    let id = LetterId::new(&wanted.id);
    let found = letters.find(&id).await?;
    let found = found.ok_or_else(|| not_there(&[id]))?;
    if !wanted.body {
        terminal::say(description(&found));
        return Ok(());
    }
    let mut output = io::stdout();
    if output.is_terminal() {
        return Ok(terminal::hand_over(&harmless(&String::from_utf8_lossy(&found.letter.body)))?);
    }
    output.write_all(&found.letter.body)?;
    Ok(output.flush()?)
}

async fn requeue(
    letters: &dyn DeadLetters,
    wanted: Letters,
    config: &Config,
) -> anyhow::Result<()> {
    let which = selection(wanted);
    let requeued = letters.requeue(&which).await?;
    terminal::say(match &config.backends {
        Backends::Distributed(_) => format!("{} queued again.", counted(requeued.len())),
        // Who else would: the queue is in that process.
        Backends::Embedded(_) => format!(
            "{} queued again, for the process that serves the folder, now or when it is started.",
            counted(requeued.len())
        ),
    });
    all_were_there(&which, &requeued)
}

async fn discard(letters: &dyn DeadLetters, wanted: Letters) -> anyhow::Result<()> {
    let which = selection(wanted);
    let discarded = letters.discard(&which).await?;
    terminal::say(format!("{} deleted.", counted(discarded.len())));
    all_were_there(&which, &discarded)
}

fn selection(wanted: Letters) -> Selection {
    if wanted.all {
        Selection::All
    } else {
        Selection::These(wanted.ids.into_iter().map(LetterId::new).collect())
    }
}

fn counted(letters: usize) -> String {
    match letters {
        1 => "1 letter is".to_owned(),
        letters => format!("{} letters are", thousands(letters as u64)),
    }
}

fn all_were_there(which: &Selection, handled: &[LetterId]) -> anyhow::Result<()> {
    let Selection::These(ids) = which else { return Ok(()) };
    let handled: BTreeSet<_> = handled.iter().collect();
    let missing: Vec<_> = ids.iter().filter(|id| !handled.contains(id)).cloned().collect();
    if missing.is_empty() { Ok(()) } else { Err(not_there(&missing)) }
}

fn not_there(ids: &[LetterId]) -> anyhow::Error {
    let ids: Vec<_> = ids.iter().map(|id| harmless(id.as_str())).collect();
    anyhow::anyhow!("there is no dead letter {} (any more)", ids.join(", "))
}

fn row(letter: &ListedLetter) -> Vec<String> {
    vec![
        letter.id.to_string(),
        harmless(&letter.code),
        shown(letter.first_seen_at, SecondsFormat::Secs),
        letter.attempts.to_string(),
        letter.body_bytes.to_string(),
        harmless(&letter.detail),
    ]
}

/// All but the body, a line each.
fn description(found: &FoundLetter) -> String {
    let letter = &found.letter;
    let own = [
        ("id", found.id.to_string()),
        ("reason", letter.code.clone()),
        ("detail", letter.detail.clone()),
        ("first seen", shown(letter.first_seen_at, SecondsFormat::Millis)),
        ("attempts", letter.attempts.to_string()),
        ("body", format!("{} bytes; --body shows them, and they are personal", letter.body.len())),
    ];
    let own = own.into_iter().map(|(name, value)| vec![name.to_owned(), harmless(&value)]);
    let properties = found.properties.iter();
    let properties = properties.map(|(name, value)| vec![harmless(name), harmless(value)]);
    table(&["", ""], &own.chain(properties).collect::<Vec<_>>()).trim_start().to_owned()
}

fn shown(time: DateTime<Utc>, precision: SecondsFormat) -> String {
    time.to_rfc3339_opts(precision, true)
}

/// A letter as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    code: &'a str,
    detail: &'a str,
    first_seen_at: String,
    attempts: u32,
    body_bytes: usize,
}

impl<'a> From<&'a ListedLetter> for Row<'a> {
    fn from(letter: &'a ListedLetter) -> Self {
        Self {
            id: letter.id.as_str(),
            code: &letter.code,
            detail: &letter.detail,
            first_seen_at: shown(letter.first_seen_at, SecondsFormat::Millis),
            attempts: letter.attempts,
            body_bytes: letter.body_bytes,
        }
    }
}
