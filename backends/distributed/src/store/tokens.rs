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
use sqlx::FromRow;

use super::{Store, bounded};

#[async_trait]
impl TokenReader for Store {
    async fn find(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        let query = sqlx::query_as::<_, TokenRow>(include_str!("../../sql/find_token.sql"));
        let query = query.bind(id.as_str());
        let row = bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await?;
        row.map(Token::try_from).transpose()
    }
}

#[async_trait]
impl TokenRegistry for Store {
    async fn register(&self, token: &Token) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("../../sql/insert_token.sql"))
            .bind(token.id().as_str().to_owned())
            .bind(token.digest.as_bytes().as_slice())
            .bind(&token.name)
            .bind(token.role.as_str())
            .bind(token.created_at)
            .bind(token.expires_at);
        bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Token>, StoreError> {
        let query = sqlx::query_as::<_, TokenRow>(include_str!("../../sql/list_tokens.sql"));
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        rows.into_iter().map(Token::try_from).collect()
    }

    async fn revoke(&self, id: &TokenId, now: DateTime<Utc>) -> Result<Option<Token>, StoreError> {
        let query = sqlx::query_as::<_, TokenRow>(include_str!("../../sql/revoke_token.sql"));
        let query = query.bind(id.as_str()).bind(now);
        let row = bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await?;
        row.map(Token::try_from).transpose()
    }

    async fn expire(
        &self,
        id: &TokenId,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError> {
        let query = sqlx::query_as::<_, TokenRow>(include_str!("../../sql/expire_token.sql"));
        let query = query.bind(id.as_str()).bind(at).bind(now);
        let row = bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await?;
        row.map(Token::try_from).transpose()
    }
}

#[derive(FromRow)]
struct TokenRow {
    id: String,
    digest: Vec<u8>,
    name: Option<String>,
    role: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    rotated_at: Option<DateTime<Utc>>,
    was_to_end_at: Option<DateTime<Utc>>,
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt(format!("tokens.{column} of {}", row.id));
        let digest = row.digest.try_into().map_err(|_| corrupt("digest"))?;
        Ok(Self {
            digest: TokenDigest::from_bytes(digest),
            name: row.name,
            role: row.role.parse().map_err(|_| corrupt("role"))?,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            rotated: row.rotated_at.map(|at| Rotated { at, was_to_end_at: row.was_to_end_at }),
        })
    }
}
