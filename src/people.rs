//! `supportline people …`: all that is stored about somebody, told and erased, by the office that does it
//! for the staff API.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, bail, ensure};
use common::{
    config::{Config, ConfigError},
    domain::{Because, Email, Origin},
    people::{Erased, Order, PeopleOffice},
    trace::Trace,
};

use crate::{
    cli::{PeopleCommand, PersonErasure, PersonExport},
    compose::{Beside, Installation, existing_number_key},
    operator::operator,
    terminal::{self, thousands},
};

/// Tickets in a line.
const TOGETHER: u32 = 100;

/// Does what is asked, beside the processes that serve the installation or without any.
pub async fn run(command: PeopleCommand, config: Config) -> anyhow::Result<ExitCode> {
    let installation = Installation::open_beside(&config).await?;
    let done = go(command, &installation, &config).await;
    installation.backend.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn go(command: PeopleCommand, installation: &Beside, config: &Config) -> anyhow::Result<()> {
    let office = office(installation, config).await?;
    let order = |because: Option<Because>| Order {
        actor: operator(),
        origin: Origin::default(),
        because,
        trace: Trace::of_request(None, None, &*installation.entropy),
    };
    match command {
        PeopleCommand::Export(PersonExport { email, because }) => {
            export(&office, &email, &order(because)).await
        }
        PeopleCommand::Erase(PersonErasure { email, because, yes: _ }) => {
            told(&office.erase(&email, &order(Some(because)), None).await?)
        }
    }
}

/// With the installation's own key: by another one nobody would be known who was erased.
async fn office(installation: &Beside, config: &Config) -> anyhow::Result<PeopleOffice> {
    let key = existing_number_key(config)?;
    let kept = installation.backend.kept_key().await.context(OUT_OF_REACH)?;
    let fingerprint = key.fingerprint();
    let is_ours = kept.is_none_or(|kept| kept == fingerprint);
    ensure!(is_ours, ConfigError::ForeignNumberKey { fingerprint });
    let ports = installation.backend.operator().await;
    Ok(PeopleOffice::new(&ports, Arc::clone(&installation.clock), &key))
}

/// Why a command cannot begin; also what an older schema looks like.
const OUT_OF_REACH: &str = "what is stored about people is out of reach (`supportline migrate` brings an \
                            older schema up to date)";

async fn export(office: &PeopleOffice, email: &Email, order: &Order) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let export = office.export(email, after, TOGETHER, order).await?;
        let (next, are_some_held) = (export.next, export.letters.are_some_held);
        let line = serde_json::to_string(&desk::Person::of(export))?;
        terminal::show(&line).context("what is stored could not be written")?;
        if are_some_held {
            terminal::remark(SOME_ARE_HELD);
        }
        if next.is_none() {
            return Ok(());
        }
        after = next;
    }
}

const SOME_ARE_HELD: &str = "Somebody else goes through the dead letters right now; what they have in hand was not looked into.";

/// Says what was erased, and fails where that is not all.
fn told(erased: &Erased) -> anyhow::Result<()> {
    terminal::say(format!(
        "{} and {} erased.",
        counted(erased.tickets, "ticket"),
        counted(erased.letters, "dead letter")
    ));
    if erased.are_some_held {
        terminal::remark(SOME_ARE_HELD);
    }
    if !erased.undecided.is_empty() {
        let ids: Vec<_> = erased.undecided.iter().map(ToString::to_string).collect();
        let again =
            if erased.is_complete { "" } else { "; and not all else is erased yet: do it again" };
        bail!(
            "the address stands in dead letters of which nobody can tell whose they are ({}): look at \
             them (`dead-letters show ID --reveal`), and discard what is theirs{again}",
            ids.join(", ")
        );
    }
    ensure!(erased.is_complete, "not all of it is erased yet: do it again");
    Ok(())
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count as u64))
}

#[cfg(test)]
mod tests {
    use common::ports::dead_letters::LetterId;

    use super::*;

    #[test]
    fn what_is_not_all_of_it_is_a_failure_that_says_what_to_do() {
        let all = || Erased { tickets: 1, is_complete: true, ..Erased::default() };
        let undecided =
            |is_complete| Erased { undecided: vec![LetterId::new("4f0c")], is_complete, ..all() };
        assert!(told(&all()).is_ok());
        for (erased, expected) in [
            (Erased { is_complete: false, ..all() }, "do it again"),
            (Erased { is_complete: false, are_some_held: true, ..all() }, "do it again"),
            (undecided(true), "(4f0c)"),
            (undecided(false), "(4f0c)"),
            (undecided(false), "do it again"),
        ] {
            let error = told(&erased).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(1, "ticket"), "1 ticket");
        assert_eq!(counted(1_200, "dead letter"), "1,200 dead letters");
    }
}
