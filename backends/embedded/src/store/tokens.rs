//! Staff tokens.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{Rotated, Token, TokenDigest, TokenId},
    ports::{
        store::StoreError,
        tokens::{TokenReader, TokenRegistry},
    },
};
use sqlx::{FromRow, SqliteConnection};

use super::{Store, corrupt, failure, read, time_text, writer::Work};

#[async_trait]
impl TokenReader for Store {
    async fn find(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        let row: Option<TokenRow> = sqlx::query_as(include_str!("../../sql/find_token.sql"))
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(failure)?;
        row.map(Token::try_from).transpose()
    }
}

#[async_trait]
impl TokenRegistry for Store {
    async fn register(&self, token: &Token) -> Result<(), StoreError> {
        self.write(Register(token.clone())).await
    }

    async fn list(&self) -> Result<Vec<Token>, StoreError> {
        let rows: Vec<TokenRow> = sqlx::query_as(include_str!("../../sql/list_tokens.sql"))
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        rows.into_iter().map(Token::try_from).collect()
    }

    async fn revoke(&self, id: &TokenId, now: DateTime<Utc>) -> Result<Option<Token>, StoreError> {
        let row = self.write(Revoke { id: id.clone(), now }).await?;
        row.map(Token::try_from).transpose()
    }

    async fn expire(
        &self,
        id: &TokenId,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError> {
        let row = self.write(Expire { id: id.clone(), at, now }).await?;
        row.map(Token::try_from).transpose()
    }
}

struct Register(Token);

impl Work for Register {
    type Answer = ();

    async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let Self(token) = self;
        sqlx::query(include_str!("../../sql/insert_token.sql"))
            .bind(token.id().as_str().to_owned())
            .bind(token.digest.as_bytes().to_vec())
            .bind(token.name)
            .bind(token.role.as_str())
            .bind(time_text(token.created_at))
            .bind(token.expires_at.map(time_text))
            .execute(connection)
            .await
            .map_err(failure)?;
        Ok(())
    }
}

struct Revoke {
    id: TokenId,
    now: DateTime<Utc>,
}

impl Work for Revoke {
    type Answer = Option<TokenRow>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Self::Answer, StoreError> {
        sqlx::query_as(include_str!("../../sql/revoke_token.sql"))
            .bind(self.id.as_str())
            .bind(time_text(self.now))
            .fetch_optional(connection)
            .await
            .map_err(failure)
    }
}

struct Expire {
    id: TokenId,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Work for Expire {
    type Answer = Option<TokenRow>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Self::Answer, StoreError> {
        sqlx::query_as(include_str!("../../sql/expire_token.sql"))
            .bind(self.id.as_str())
            .bind(time_text(self.at))
            .bind(time_text(self.now))
            .fetch_optional(connection)
            .await
            .map_err(failure)
    }
}

#[derive(FromRow)]
struct TokenRow {
    id: String,
    digest: Vec<u8>,
    name: Option<String>,
    role: String,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    rotated_at: Option<String>,
    was_to_end_at: Option<String>,
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let id = &row.id;
        let time = |column, text: Option<String>| {
            text.map(|text| read::<DateTime<Utc>>("tokens", id, column, &text)).transpose()
        };
        let was_to_end_at = time("was_to_end_at", row.was_to_end_at)?;
        let rotated_at = time("rotated_at", row.rotated_at)?;
        let digest = row.digest.try_into().map_err(|_| corrupt("tokens", id, "digest"))?;
        Ok(Self {
            digest: TokenDigest::from_bytes(digest),
            name: row.name,
            role: read("tokens", id, "role", &row.role)?,
            created_at: read("tokens", id, "created_at", &row.created_at)?,
            expires_at: time("expires_at", row.expires_at)?,
            revoked_at: time("revoked_at", row.revoked_at)?,
            rotated: rotated_at.map(|at| Rotated { at, was_to_end_at }),
        })
    }
}
