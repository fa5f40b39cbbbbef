//! `supportline dead-letters …`: what could not become a ticket.

mod going;
mod shown;

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use common::{
    config::{Backends, Config},
    domain::Origin,
    letters::{LetterOffice, Order},
    ports::dead_letters::{Filter, LetterId, Selection},
};

use crate::{
    cli::{
        Discard, LetterCommand, LetterFilter, LetterList, LetterLog, LetterShown, Letters, Rate,
        Requeue,
    },
    compose::{Beside, Installation},
    operator::operator,
    table::harmless,
    terminal::{self, thousands},
};
use going::Going;

/// Does what is asked, beside the processes that serve the installation or without any.
pub async fn run(command: LetterCommand, config: Config) -> anyhow::Result<ExitCode> {
    let installation = Installation::open_beside(&config).await?;
    let ports = installation.backend.operator().await;
    let office = LetterOffice::new(&ports, Arc::clone(&installation.clock));
    drop(ports);
    let desk = Desk { office, installation: &installation, config: &config };
    let done = match command {
        LetterCommand::List(wanted) => desk.list(&wanted).await,
        LetterCommand::Show(wanted) => desk.show(wanted).await,
        LetterCommand::Requeue(wanted) => desk.requeue(wanted).await,
        LetterCommand::Discard(wanted) => desk.discard(wanted).await,
        LetterCommand::Log(wanted) => desk.log(&wanted).await,
    };
    drop(desk);
    installation.backend.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// What a list lacks, and why nothing may have been done.
const SOME_ARE_HELD: &str = "Somebody else goes through the dead letters right now; what they have in hand is out of reach.";

/// Where an operator's command works.
struct Desk<'a> {
    office: LetterOffice,
    installation: &'a Beside,
    config: &'a Config,
}

impl Desk<'_> {
    async fn list(&self, wanted: &LetterList) -> anyhow::Result<()> {
        let filter = filter(&wanted.filter, self.installation.clock.now());
        let listing = self.office.list(&filter, wanted.limit).await?;
        let text = if wanted.json { shown::json(&listing)? } else { shown::listed(&listing) };
        terminal::show(&text).context("the list could not be written")?;
        if listing.are_some_held {
            terminal::remark(SOME_ARE_HELD);
        }
        let there = listing.counts.values().sum();
        if there > listing.letters.len() as u64 {
            let limit = thousands(wanted.limit.into());
            terminal::remark(format!("The oldest {limit} of {}.", thousands(there)));
        }
        Ok(())
    }

    async fn show(&self, wanted: LetterShown) -> anyhow::Result<()> {
        let id = LetterId::new(wanted.id);
        if !(wanted.reveal || wanted.body) {
            let view = self.office.show(&id).await?.ok_or_else(|| not_there(&[id]))?;
            terminal::say(shown::described(&view));
            return Ok(());
        }
        let order = Order { actor: operator(), origin: Origin::default(), because: wanted.because };
        let found = self.office.reveal(&id, &order).await?.ok_or_else(|| not_there(&[id]))?;
        if wanted.reveal {
            terminal::say(shown::revealed(&found));
            return Ok(());
        }
        let mut output = io::stdout();
        let body = &found.letter.body;
        if output.is_terminal() {
            return Ok(terminal::hand_over(&harmless(&String::from_utf8_lossy(body)))?);
        }
        output.write_all(body)?;
        Ok(output.flush()?)
    }

    async fn requeue(&self, wanted: Requeue) -> anyhow::Result<()> {
        let which = self.selection(wanted.which);
        let order = Order { actor: operator(), origin: Origin::default(), because: wanted.because };
        let going = Going::start(self.count(&which).await?, wanted.rate)?;
        let requeued = self.office.requeue(&which, &order, &going).await;
        going.end();
        let requeued = requeued?;
        terminal::say(match &self.config.backends {
            Backends::Distributed(_) => format!("{} queued again.", counted(requeued.len())),
            // Who else would: the queue is in that process.
            Backends::Embedded(_) => format!(
                "{} queued again, for the process that serves the folder, now or when it is started.",
                counted(requeued.len())
            ),
        });
        self.tell_of_held(&which, &requeued).await?;
        all_were_handled(&going, &which, &requeued)
    }

    async fn discard(&self, wanted: Discard) -> anyhow::Result<()> {
        let which = self.selection(wanted.which);
        let going = Going::start(self.count(&which).await?, Rate::Off)?;
        let (actor, origin) = (operator(), Origin::default());
        let discarded = self.office.discard(&which, actor, origin, wanted.because, &going).await;
        going.end();
        let discarded = discarded?;
        terminal::say(format!("{} deleted.", counted(discarded.len())));
        self.tell_of_held(&which, &discarded).await?;
        all_were_handled(&going, &which, &discarded)
    }

    async fn log(&self, wanted: &LetterLog) -> anyhow::Result<()> {
        let actions = self.office.log(wanted.limit).await.context(
            "the record is out of reach (`supportline migrate` brings an older schema up to date)",
        )?;
        let text = if wanted.json { shown::log_json(&actions)? } else { shown::logged(&actions) };
        terminal::show(&text).context("the record could not be written")
    }

    fn selection(&self, wanted: Letters) -> Selection {
        if wanted.all {
            Selection::All
        } else if wanted.ids.is_empty() {
            Selection::Like(filter(&wanted.filter, self.installation.clock.now()))
        } else {
            Selection::These(wanted.ids.into_iter().map(LetterId::new).collect())
        }
    }

    /// That there were none to handle may be since somebody else has them.
    async fn tell_of_held(&self, which: &Selection, handled: &[LetterId]) -> anyhow::Result<()> {
        let is_none = handled.is_empty() && !matches!(which, Selection::These(_));
        if is_none && self.office.list(&Filter::default(), 0).await?.are_some_held {
            anyhow::bail!(SOME_ARE_HELD);
        }
        Ok(())
    }

    /// How many letters that are, where somebody is looking.
    async fn count(&self, which: &Selection) -> anyhow::Result<Option<u64>> {
        let filter = match which {
            _ if !io::stderr().is_terminal() => return Ok(None),
            Selection::These(ids) => return Ok(Some(ids.len() as u64)),
            Selection::All => &Filter::default(),
            Selection::Like(filter) => filter,
        };
        Ok(Some(self.office.list(filter, 0).await?.counts.values().sum()))
    }
}

fn filter(wanted: &LetterFilter, now: DateTime<Utc>) -> Filter {
    let ago = |span| TimeDelta::from_std(span).ok().and_then(|span| now.checked_sub_signed(span));
    Filter {
        codes: wanted.reasons.iter().cloned().collect(),
        before: wanted.older_than.and_then(ago),
        since: wanted.newer_than.and_then(ago),
    }
}

fn counted(letters: usize) -> String {
    match letters {
        1 => "1 letter is".to_owned(),
        letters => format!("{} letters are", thousands(letters as u64)),
    }
}

fn all_were_handled(going: &Going, which: &Selection, handled: &[LetterId]) -> anyhow::Result<()> {
    if going.was_stopped() {
        anyhow::bail!("stopped on request; the other letters are where they were");
    }
    let Selection::These(ids) = which else { return Ok(()) };
    let handled: BTreeSet<_> = handled.iter().collect();
    let missing: Vec<_> = ids.iter().filter(|id| !handled.contains(id)).cloned().collect();
    if missing.is_empty() { Ok(()) } else { Err(not_there(&missing)) }
}

fn not_there(ids: &[LetterId]) -> anyhow::Error {
    let ids: Vec<_> = ids.iter().map(|id| harmless(id.as_str())).collect();
    anyhow::anyhow!("there is no dead letter {} (any more)", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn older_is_before_and_newer_is_since() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let wanted = LetterFilter {
            reasons: vec!["rejected".to_owned()],
            older_than: Some(Duration::from_hours(2)),
            newer_than: Some(Duration::from_hours(24)),
        };
        let filter = filter(&wanted, now);
        let matches = |code, hours| filter.matches(code, now - TimeDelta::hours(hours));
        let found = [0, 1, 2, 3, 23, 24, 25].map(|hours| matches("rejected", hours));
        assert_eq!(found, [false, false, false, true, true, true, false]);
        assert!(!matches("conflict", 3));
    }
}
