//! `/api/support/admin/tokens`: making, listing and revoking staff tokens.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::request::Parts,
    response::Response,
};
use chrono::{DateTime, Utc};
use common::domain::{
    ActionKind, Assignment, Name, Role, Standing, TimeSpan, Token, TokenId, TokenSecret,
};
use http::{
    answer::{enveloped, rfc3339},
    auth::Principal,
    openapi::schemas::Time,
    problem::{Problem, Success},
};
use serde::Serialize;
use serde_json::json;
use utoipa::{ToSchema, openapi::Object};

use crate::{
    desk::Desk,
    fields::{self, Fields, Id, one_of, text},
    openapi::schemas,
};

/// `GET`: all of them, in the order of their making.
pub async fn list(State(desk): State<Arc<Desk>>, head: Parts) -> Result<Response, Problem> {
    Fields::of_query(head.uri.query()).finish()?;
    let tokens = desk.stored(desk.tokens.list()).await?;
    let now = desk.clock.now();
    let tokens = tokens.iter().map(|token| Listed::of(token, now)).collect();
    enveloped(Success::Found, "Staff tokens", &Tokens { tokens }, now)
}

/// `POST`: a new one. Its text is in this answer and never in another.
pub async fn create(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Problem> {
    let (_, fields) = fields::of_body(request).await?;
    let wanted = Wanted::read(fields)?;
    let (secret, now) = (TokenSecret::generate(&*desk.entropy), desk.clock.now());
    let token = wanted.made_of(&secret, now);
    let listed = Listed::of(&token, now);
    let details = json!({
        "role": listed.role, "name": listed.name, "expiresAt": listed.expires_at,
    });
    desk.record(&principal, ActionKind::TokenCreate, &listed.id, details).await?;
    desk.stored(desk.tokens.register(&token)).await?;
    let made = Made { listed, token: secret.expose() };
    enveloped(Success::Created, "Staff token created; it is not shown again", &made, now)
}

/// `DELETE`: from the next request on it admits nobody. One that was revoked before stays so.
pub async fn revoke(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    fields::of_query(request).await?.1.finish()?;
    let id = TokenId::parse(&id).ok_or(Problem::TokenNotFound)?;
    desk.stored(desk.known_tokens.find(&id)).await?.ok_or(Problem::TokenNotFound)?;
    desk.record(&principal, ActionKind::TokenRevoke, id.as_str(), json!({})).await?;
    let now = desk.clock.now();
    let token = desk.stored(desk.tokens.revoke(&id, now)).await?.ok_or(Problem::TokenNotFound)?;
    enveloped(Success::Found, "Staff token revoked", &Listed::of(&token, now), now)
}

/// What somebody wants made.
struct Wanted {
    role: Role,
    name: Option<Name>,
    lifetime: Option<TimeSpan>,
}

impl Wanted {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let role = fields.required("role", one_of(Role::ALL, Role::as_str));
        let name = fields.optional("name", text(Assignment::member));
        let lifetime = fields.optional("expiresIn", text(TimeSpan::parse));
        fields.finish()?;
        // What is required is there, or there was a violation.
        Ok(Self { role: role.ok_or(Problem::Internal)?, name, lifetime })
    }

    fn made_of(self, secret: &TokenSecret, now: DateTime<Utc>) -> Token {
        Token {
            digest: secret.digest(),
            name: self.name.map(|name| name.as_str().to_owned()),
            role: self.role,
            created_at: now,
            expires_at: self.lifetime.map(|lifetime| lifetime.after(now)),
            revoked_at: None,
            rotated: None,
        }
    }
}

/// Every token.
#[derive(Serialize, ToSchema)]
#[schema(as = StaffTokens)]
pub struct Tokens {
    tokens: Vec<Listed>,
}

/// What is known of a token, which is not the token itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StaffToken)]
pub struct Listed {
    /// Names it in lists, logs and here: the first twelve digits of its SHA-256.
    #[schema(pattern = "^[0-9a-f]{12}$")]
    id: String,
    #[schema(schema_with = schemas::role)]
    role: &'static str,
    /// Whether it admits anybody.
    #[schema(schema_with = standing)]
    standing: &'static str,
    /// What its maker called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[schema(value_type = Time)]
    created_at: String,
    /// From then on it admits nobody; without it, there is no such time.
    #[schema(value_type = Time)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[schema(value_type = Time)]
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

fn standing() -> Object {
    let all = [Standing::Active, Standing::Expired, Standing::Revoked];
    http::openapi::schemas::one_of(all.map(Standing::as_str))
}

impl Listed {
    pub fn of(token: &Token, now: DateTime<Utc>) -> Self {
        Self {
            id: token.id().to_string(),
            role: token.role.as_str(),
            standing: token.standing(now).as_str(),
            name: token.name.clone(),
            created_at: rfc3339(token.created_at),
            expires_at: token.expires_at.map(rfc3339),
            revoked_at: token.revoked_at.map(rfc3339),
        }
    }
}

/// A token that was just made, with its text.
#[derive(Serialize, ToSchema)]
#[schema(as = NewStaffToken)]
pub struct Made<'a> {
    #[serde(flatten)]
    pub listed: Listed,
    /// The token itself: what is sent as `Authorization: Bearer …`. Kept nowhere but with you.
    #[schema(pattern = "^slt_[0-9a-f]{64}$")]
    pub token: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{ADMIN_TOKEN, NOW, Stage};

    const TOKENS: &str = "/api/support/admin/tokens";

    #[tokio::test(start_paused = true)]
    async fn a_token_is_made_shown_once_and_admits_at_once() {
        let stage = Stage::new();
        let body = r#"{"role":"agent","name":" Ada O'Hara ","expiresIn":"90d"}"#;
        let made = stage.ask("POST", TOKENS, body).await;
        assert_eq!(made.status, 201, "{made:?}");
        let token = made.json["data"]["token"].as_str().unwrap().to_owned();
        let id = made.json["data"]["id"].as_str().unwrap().to_owned();
        let mut expected = json!({
            "id": id, "role": "agent", "standing": "active", "name": "Ada O'Hara",
            "createdAt": NOW, "expiresAt": "2027-02-20T10:30:00.000Z",
        });
        let listed = stage.ask("GET", TOKENS, "").await;
        assert_eq!(listed.json["data"]["tokens"], json!([expected]));
        assert!(!listed.json.to_string().contains(&token[4..]));
        expected["token"] = token.clone().into();
        assert_eq!(made.json["data"], expected);
        let heard = stage.ask_as(&token, "GET", "/api/support/admin/dead-letters", "").await;
        assert_eq!(heard.status, 200);
        assert_eq!(stage.store.on_record(), [format!("admin-key token.create {id}")]);
        let details = stage.store.actions.lock().unwrap()[0].details.to_string();
        assert!(!details.contains(&token[4..20]), "{details}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_token_admits_nobody_from_then_on() {
        let stage = Stage::new();
        let (token, id) = stage.store.add(Role::Admin, |_| {});
        let path = format!("{TOKENS}/{id}");
        let revoked = stage.ask_as(&token, "DELETE", &path, "").await;
        assert_eq!(revoked.json["data"]["standing"], "revoked", "{revoked:?}");
        assert_eq!(revoked.json["data"]["revokedAt"], NOW);
        let after = stage.ask_as(&token, "GET", TOKENS, "").await;
        assert_eq!(after.code(), (401, "unauthorized"));
        let again = stage.ask("DELETE", &path, "").await;
        assert_eq!(again.json, revoked.json, "it is since the first time");
        let by = format!("token:{id}:admin token.revoke {id}");
        assert_eq!(stage.store.on_record(), [by, format!("admin-key token.revoke {id}")]);
        for id in ["0123456789ab", "x", "0123456789AB", &token, "%00", "%ff", "..%2f"] {
            let heard = stage.ask("DELETE", &format!("{TOKENS}/{id}"), "").await;
            assert_eq!(heard.code(), (404, "token_not_found"), "{id}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wrong_with_a_wanted_token_is_told_all_at_once() {
        let stage = Stage::new();
        for (body, told) in [
            ("{}", "/role required"),
            (r#"{"role":null}"#, "/role required"),
            (r#"{"role":"root"}"#, "/role invalid_choice"),
            (r#"{"role":7}"#, "/role wrong_type"),
            (r#"{"role":"admin","role":"stats"}"#, "/role duplicate_field"),
            (r#"{"role":"stats","expiresin":"1d"}"#, "/expiresin unknown_field"),
            (r#"{"role":"agent","name":" none "}"#, "/name reserved_name"),
            (r#"{"role":"stats","a/b~":1}"#, "/a~1b~0 unknown_field"),
            ("[]", " wrong_type"),
            (
                r#"{"role":"x","name":"a\nb","expiresIn":"30","more":[]}"#,
                "/role invalid_choice, /name line_break, /expiresIn invalid_duration, \
                 /more unknown_field",
            ),
        ] {
            let heard = stage.ask("POST", TOKENS, body).await;
            assert_eq!(heard.code().1, "validation_failed", "{body}");
            assert_eq!(heard.violations().join(", "), told, "{body}");
        }
        for body in ["{", "nul", "{\"role\":1e999}", &"[".repeat(1_000)] {
            let heard = stage.ask("POST", TOKENS, body).await;
            assert_eq!(heard.code(), (400, "invalid_json"), "{body:.20}");
        }
        let large = format!(r#"{{"role":"stats","name":"{}"}}"#, "x".repeat(65_536));
        assert_eq!(stage.ask("POST", TOKENS, &large).await.code(), (413, "body_too_large"));
        assert_eq!(stage.ask("POST", TOKENS, "").await.code().0, 415);
        let heard = stage.ask("GET", &format!("{TOKENS}?role=admin"), "").await;
        assert_eq!(
            (heard.code().1, heard.violations().join(",")),
            ("invalid_query", "/role unknown_field".to_owned())
        );
        assert!(stage.store.tokens.lock().unwrap().is_empty());
        assert_eq!(stage.store.on_record(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_put_on_record_is_not_done() {
        let stage = Stage::new();
        let (token, id) = stage.store.add(Role::Admin, |_| {});
        *stage.store.has_no_room_for_actions.lock().unwrap() = true;
        let made = stage.ask("POST", TOKENS, r#"{"role":"stats"}"#).await;
        assert_eq!(made.code(), (503, "unavailable"));
        let revoked = stage.ask("DELETE", &format!("{TOKENS}/{id}"), "").await;
        assert_eq!(revoked.code(), (503, "unavailable"));
        assert_eq!(stage.store.tokens.lock().unwrap().len(), 1);
        assert_eq!(stage.ask_as(&token, "GET", TOKENS, "").await.status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_a_503_to_whoever_needs_it() {
        let stage = Stage::new();
        let (token, id) = stage.store.add(Role::Admin, |_| {});
        *stage.store.is_away.lock().unwrap() = true;
        let bearer = [&token, ADMIN_TOKEN];
        for token in bearer {
            assert_eq!(stage.ask_as(token, "GET", TOKENS, "").await.code(), (503, "unavailable"));
        }
        let revoked = stage.ask("DELETE", &format!("{TOKENS}/{id}"), "").await;
        assert_eq!((revoked.code(), revoked.header("retry-after")), ((503, "unavailable"), "2"));
        // What lies with the broker needs no store to be looked at.
        assert_eq!(stage.ask("GET", "/api/support/admin/dead-letters", "").await.status, 200);
    }
}
