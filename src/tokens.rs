//! `supportline token …`: makes, lists, rotates and revokes staff tokens. What is done is on record before.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use common::{
    clock::rfc3339,
    config::Config,
    domain::{ActionKind, Standing, Token, TokenDigest, TokenId, TokenSecret},
    ports::{actions::ActionLog, backend::OperatorPorts, tokens::TokenRegistry},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::{NewToken, Rotation, TokenCommand},
    compose::{Beside, Installation},
    operator,
    table::{harmless, table},
    terminal,
};

/// Does what is asked, beside the processes that serve the installation or without any.
pub async fn run(command: TokenCommand, config: Config) -> anyhow::Result<ExitCode> {
    let installation = Installation::open_beside(&config).await?;
    let OperatorPorts { tokens: registry, actions, .. } = installation.backend.operator().await;
    let keeper = Keeper { registry, actions, installation: &installation };
    let done = match command {
        TokenCommand::Create(wanted) => keeper.create(wanted).await,
        TokenCommand::List(listing) => keeper.list(listing.json).await,
        TokenCommand::Rotate(wanted) => keeper.rotate(&wanted).await,
        TokenCommand::Revoke { id } => keeper.revoke(&id).await,
    };
    drop(keeper);
    installation.backend.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// Where an operator's command works.
struct Keeper<'a> {
    registry: Arc<dyn TokenRegistry>,
    actions: Arc<dyn ActionLog>,
    installation: &'a Beside,
}

impl Keeper<'_> {
    async fn create(&self, wanted: NewToken) -> anyhow::Result<()> {
        let secret = TokenSecret::generate(&*self.installation.entropy);
        let created_at = self.installation.clock.now();
        let token = Token {
            digest: secret.digest(),
            name: wanted.name,
            role: wanted.role,
            created_at,
            expires_at: wanted.expires.map(|lifetime| lifetime.after(created_at)),
            revoked_at: None,
            rotated: None,
        };
        let details = json!({
            "role": token.role.as_str(), "name": token.name, "expiresAt": token.expires_at.map(rfc3339),
        });
        self.record(ActionKind::TokenCreate, &token.id(), details).await?;
        self.registry.register(&token).await.context(OUT_OF_REACH)?;
        self.hand_over(&secret, &token).await
    }

    async fn list(&self, json: bool) -> anyhow::Result<()> {
        let now = self.installation.clock.now();
        let tokens = self.registry.list().await.context(OUT_OF_REACH)?;
        if json {
            let listed: Vec<_> = tokens.iter().map(|token| Listed::of(token, now)).collect();
            return shown_all(&serde_json::to_string_pretty(&listed)?);
        }
        let rows: Vec<_> = tokens.iter().map(|token| row(token, now)).collect();
        shown_all(&table(&["ID", "ROLE", "STANDING", "CREATED", "EXPIRES", "NAME"], &rows))
    }

    /// Another in its place, which has to be in somebody's hands before the old one is given an end.
    async fn rotate(&self, wanted: &Rotation) -> anyhow::Result<()> {
        let (old, now) = (self.find(&wanted.id).await?, self.installation.clock.now());
        let standing = old.standing(now);
        if standing != Standing::Active {
            anyhow::bail!("token {} is {}: make a new one", old.id(), standing.as_str());
        }
        let secret = TokenSecret::generate(&*self.installation.entropy);
        let new = old.successor(&secret, now, wanted.expires);
        let ends_at = wanted.overlap.end(now);
        let details = json!({
            "successor": new.id().as_str(), "role": new.role.as_str(), "name": new.name,
            "expiresAt": new.expires_at.map(rfc3339), "until": rfc3339(ends_at),
        });
        self.record(ActionKind::TokenRotate, &old.id(), details).await?;
        self.registry.register(&new).await.context(OUT_OF_REACH)?;
        self.hand_over(&secret, &new).await?;
        let old = self.registry.expire(&old.id(), ends_at, now).await.context(OUT_OF_REACH)?;
        let old = old.with_context(|| not_there(&wanted.id))?;
        let until = shown(old.expires_at.unwrap_or(ends_at));
        terminal::remark(format!("Token {} admits until {until}.", old.id()));
        Ok(())
    }

    async fn revoke(&self, typed: &str) -> anyhow::Result<()> {
        let (id, now) = (self.find(typed).await?.id(), self.installation.clock.now());
        self.record(ActionKind::TokenRevoke, &id, json!({})).await?;
        let token = self.registry.revoke(&id, now).await.context(OUT_OF_REACH)?;
        let token = token.with_context(|| not_there(typed))?;
        let revoked_at = token.revoked_at.unwrap_or(now);
        let since = if revoked_at < now { "was revoked before, at" } else { "is revoked since" };
        terminal::say(format!("Token {id} {since} {}.", shown(revoked_at)));
        Ok(())
    }

    /// The token that is named by its ID, or by itself.
    async fn find(&self, typed: &str) -> anyhow::Result<Token> {
        let presented = TokenDigest::of(typed.as_bytes());
        let id = presented.map_or_else(|| TokenId::typed(typed), |digest| digest.id());
        let tokens = self.registry.list().await.context(OUT_OF_REACH)?;
        let found = tokens.into_iter().find(|token| token.id() == id);
        found.with_context(|| not_there(id.as_str()))
    }

    /// Puts on record what is about to be done.
    async fn record(
        &self,
        action: ActionKind,
        id: &TokenId,
        details: serde_json::Value,
    ) -> anyhow::Result<()> {
        let action = operator::action(&*self.installation.clock, action, id.as_str(), details);
        self.actions.record(&[action]).await.context(OUT_OF_REACH)
    }

    /// Prints a new token, and takes it back where that fails.
    async fn hand_over(&self, secret: &TokenSecret, token: &Token) -> anyhow::Result<()> {
        if let Err(error) = terminal::hand_over(secret.expose()) {
            // Nobody has it, so nobody shall be admitted by it.
            self.registry.revoke(&token.id(), token.created_at).await.context(OUT_OF_REACH)?;
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
}

fn not_there(typed: &str) -> String {
    format!("there is no token {}", harmless(typed))
}

fn shown_all(list: &str) -> anyhow::Result<()> {
    terminal::show(list).context("the list could not be written")
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
        let standing: Standing = token.standing(now);
        Self {
            id: token.id().to_string(),
            role: token.role.as_str(),
            standing: standing.as_str(),
            name: token.name.as_deref(),
            created_at: rfc3339(token.created_at),
            expires_at: token.expires_at.map(rfc3339),
            revoked_at: token.revoked_at.map(rfc3339),
        }
    }
}
