//! `supportline token …`: makes, lists and revokes staff tokens.

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use common::{
    config::Config,
    domain::{Standing, Token, TokenDigest, TokenId, TokenSecret},
    ports::tokens::TokenRegistry,
};
use serde::Serialize;

use crate::{
    cli::{NewToken, TokenCommand},
    compose::{Beside, Installation},
    table::{harmless, table},
    terminal,
};

/// Does what is asked, beside the processes that serve the installation or without any.
pub async fn run(command: TokenCommand, config: Config) -> anyhow::Result<ExitCode> {
    let installation = Installation::open_beside(&config).await?;
    let registry = installation.backend.operator().await.tokens;
    let done = match command {
        TokenCommand::Create(wanted) => create(&installation, &*registry, wanted).await,
        TokenCommand::List(listing) => {
            list(&*registry, installation.clock.now(), listing.json).await
        }
        TokenCommand::Revoke { id } => revoke(&*registry, installation.clock.now(), &id).await,
    };
    drop(registry);
    installation.backend.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn create(
    installation: &Beside,
    registry: &dyn TokenRegistry,
    wanted: NewToken,
) -> anyhow::Result<()> {
    let secret = TokenSecret::generate(&*installation.entropy);
    let created_at = installation.clock.now();
    let lifetime = wanted.expires.map(TimeDelta::from_std).transpose()?;
    let token = Token {
        digest: secret.digest(),
        name: wanted.name,
        role: wanted.role,
        created_at,
        expires_at: lifetime.map(|lifetime| created_at + lifetime),
        revoked_at: None,
    };
    registry.register(&token).await.context(OUT_OF_REACH)?;
    if let Err(error) = terminal::hand_over(secret.expose()) {
        // Nobody has it, so nobody shall be admitted by it.
        registry.revoke(&token.id(), created_at).await.context(OUT_OF_REACH)?;
        return Err(error).context("the token could not be printed, and was revoked");
    }
    let until = token.expires_at.map_or_else(
        || "until it is revoked".to_owned(),
        |expires_at| format!("until {}", shown(expires_at)),
    );
    terminal::remark(format!(
        "Token {} admits with role {} {until}. It is not shown again.",
        token.id(),
        token.role
    ));
    Ok(())
}

async fn list(registry: &dyn TokenRegistry, now: DateTime<Utc>, json: bool) -> anyhow::Result<()> {
    let tokens = registry.list().await.context(OUT_OF_REACH)?;
    if json {
        let listed: Vec<_> = tokens.iter().map(|token| Listed::of(token, now)).collect();
        return shown_all(&serde_json::to_string_pretty(&listed)?);
    }
    let rows: Vec<_> = tokens.iter().map(|token| row(token, now)).collect();
    shown_all(&table(&["ID", "ROLE", "STANDING", "CREATED", "EXPIRES", "NAME"], &rows))
}

fn shown_all(list: &str) -> anyhow::Result<()> {
    terminal::show(list).context("the list could not be written")
}

async fn revoke(
    registry: &dyn TokenRegistry,
    now: DateTime<Utc>,
    typed: &str,
) -> anyhow::Result<()> {
    let presented = TokenDigest::of(typed.as_bytes());
    let id = presented.map_or_else(|| TokenId::typed(typed), |digest| digest.id());
    let token = registry.revoke(&id, now).await.context(OUT_OF_REACH)?;
    let token = token.with_context(|| format!("there is no token {}", harmless(id.as_str())))?;
    let revoked_at = token.revoked_at.unwrap_or(now);
    let since = if revoked_at < now { "was revoked before, at" } else { "is revoked since" };
    terminal::say(format!("Token {} {since} {}.", token.id(), shown(revoked_at)));
    Ok(())
}

/// Why a command cannot go on; also what a schema from before there were tokens looks like.
const OUT_OF_REACH: &str =
    "the tokens are out of reach (`supportline migrate` brings an older schema up to date)";

fn row(token: &Token, now: DateTime<Utc>) -> Vec<String> {
    let expires = token.expires_at.map_or_else(|| "never".to_owned(), shown);
    vec![
        token.id().to_string(),
        token.role.to_string(),
        token.standing(now).as_str().to_owned(),
        shown(token.created_at),
        expires,
        harmless(token.name.as_deref().unwrap_or_default()),
    ]
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A token as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    id: String,
    role: &'static str,
    standing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

impl<'a> Listed<'a> {
    fn of(token: &'a Token, now: DateTime<Utc>) -> Self {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let standing: Standing = token.standing(now);
        Self {
            id: token.id().to_string(),
            role: token.role.as_str(),
            standing: standing.as_str(),
            name: token.name.as_deref(),
            created_at: time(token.created_at),
            expires_at: token.expires_at.map(time),
            revoked_at: token.revoked_at.map(time),
        }
    }
}
