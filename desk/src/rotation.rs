//! `POST /api/support/admin/tokens/{id}/rotate`: another token in the place of one, which goes on
//! admitting for a while, so that its holder can change over without a gap.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use common::domain::{ActionKind, Overlap, Standing, TimeSpan, TokenId, TokenSecret};
use http::{
    answer::{enveloped, rfc3339},
    auth::Principal,
    problem::{Problem, Success},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    desk::Desk,
    fields::{self, Id, text},
    tokens::{Listed, Made},
};

/// Makes a token of the same name and role, and gives the old one an end.
pub async fn rotate(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let (_, mut fields) = fields::of_query(request).await?;
    let overlap = fields.optional("overlap", text(Overlap::parse)).unwrap_or_default();
    let lifetime = fields.optional("expiresIn", text(TimeSpan::parse));
    fields.finish()?;
    let id = TokenId::parse(&id).ok_or(Problem::TokenNotFound)?;
    let old = desk.stored(desk.known_tokens.find(&id)).await?.ok_or(Problem::TokenNotFound)?;
    let (secret, now) = (TokenSecret::generate(&*desk.entropy), desk.clock.now());
    if old.standing(now) != Standing::Active {
        return Err(Problem::TokenNotActive);
    }
    let (new, ends_at) = (old.successor(&secret, now, lifetime), overlap.end(now));
    let details = json!({
        "successor": new.id().as_str(),
        "name": new.name,
        "role": new.role.as_str(),
        "expiresAt": new.expires_at.map(rfc3339),
        "until": rfc3339(ends_at),
    });
    desk.record(&principal, ActionKind::TokenRotate, id.as_str(), details).await?;
    // Should the second fail, the first admits nobody: its text went nowhere.
    desk.stored(desk.tokens.register(&new)).await?;
    let old = desk.stored(desk.tokens.expire(&id, ends_at, now)).await?;
    let old = old.ok_or(Problem::TokenNotFound)?;
    let made = Made { listed: Listed::of(&new, now), token: secret.expose() };
    let rotated = Rotated { made, previous: Listed::of(&old, now) };
    enveloped(Success::Created, "Staff token rotated; it is not shown again", &rotated, now)
}

/// A token that was just made in the place of another.
#[derive(Serialize, ToSchema)]
#[schema(as = RotatedStaffToken)]
pub struct Rotated<'a> {
    #[serde(flatten)]
    made: Made<'a>,
    /// The other one, and until when it admits.
    previous: Listed,
}

#[cfg(test)]
mod tests {
    use common::domain::Role;
    use serde_json::json;

    use crate::doubles::{NOW, Stage};

    const TOKENS: &str = "/api/support/admin/tokens";

    #[tokio::test(start_paused = true)]
    async fn the_new_token_and_the_old_one_admit_until_the_overlap_ends() {
        let stage = Stage::new();
        let (old, id) = stage.store.add(Role::Agent, |it| it.name = Some("Ada".to_owned()));
        let path = format!("{TOKENS}/{id}/rotate?overlap=2h&expiresIn=90d");
        let rotated = stage.ask("POST", &path, "").await;
        assert_eq!(rotated.status, 201, "{rotated:?}");
        let data = &rotated.json["data"];
        assert_eq!(data["previous"]["id"], id.as_str());
        assert_eq!(data["previous"]["expiresAt"], "2026-11-22T12:30:00.000Z");
        let told = ["name", "role", "standing", "createdAt", "expiresAt"].map(|it| &data[it]);
        assert_eq!(told, ["Ada", "agent", "active", NOW, "2027-02-20T10:30:00.000Z"]);
        let new = data["token"].as_str().unwrap();
        for token in [new, &old] {
            let heard = stage.ask_as(token, "GET", "/api/support/admin/dead-letters", "").await;
            assert_eq!(heard.status, 200);
        }
        assert_eq!(stage.store.on_record(), [format!("admin-key token.rotate {id}")]);
        let action = stage.store.actions.lock().unwrap()[0].clone();
        assert_eq!(action.origin.address.as_deref(), Some("192.0.2.1"));
        assert!(action.origin.request_id.is_some());
        assert_eq!(action.details["successor"], data["id"]);
        assert!(!action.details.to_string().contains(&new[4..20]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_never_ends_later_for_being_rotated() {
        let stage = Stage::new();
        let (_, id) = stage.store.add(Role::Stats, |it| {
            it.expires_at = Some("2026-11-22T11:00:00Z".parse().unwrap());
        });
        let rotated = stage.ask("POST", &format!("{TOKENS}/{id}/rotate"), "").await;
        let data = &rotated.json["data"];
        assert_eq!(data["previous"]["expiresAt"], "2026-11-22T11:00:00.000Z");
        assert_eq!(data["expiresAt"], "2026-11-22T11:00:00.000Z", "what was left to it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_made_in_a_tokens_place_once_more_lives_as_long_as_the_first() {
        let stage = Stage::new();
        let until = "2026-12-22T10:30:00.000Z";
        let (_, bounded) =
            stage.store.add(Role::Agent, |it| it.expires_at = Some(until.parse().unwrap()));
        let (_, unbounded) = stage.store.add(Role::Agent, |_| {});
        for (id, expires_at) in [(bounded, json!(until)), (unbounded, json!(null))] {
            for overlap in ["2h", "1d", "30d"] {
                let path = format!("{TOKENS}/{id}/rotate?overlap={overlap}");
                let rotated = stage.ask("POST", &path, "").await;
                let data = &rotated.json["data"];
                assert_eq!(data["expiresAt"], expires_at, "{overlap}");
                // Nor is the old one prolonged.
                assert_eq!(data["previous"]["expiresAt"], "2026-11-22T12:30:00.000Z", "{overlap}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_rotated_stays_as_it_is() {
        let stage = Stage::new();
        let (_, revoked) = stage.store.add(Role::Stats, |it| it.revoked_at = Some(it.created_at));
        let (_, expired) = stage.store.add(Role::Stats, |it| it.expires_at = Some(it.created_at));
        for id in [&revoked, &expired] {
            let heard = stage.ask("POST", &format!("{TOKENS}/{id}/rotate"), "").await;
            assert_eq!(heard.code(), (409, "token_not_active"));
        }
        for id in ["0123456789ab", "x"] {
            let heard = stage.ask("POST", &format!("{TOKENS}/{id}/rotate"), "").await;
            assert_eq!(heard.code(), (404, "token_not_found"));
        }
        let (_, id) = stage.store.add(Role::Stats, |_| {});
        for (query, told) in [
            ("overlap=31d", "/overlap invalid_overlap"),
            ("overlap=x&expiresIn=30", "/overlap invalid_overlap, /expiresIn invalid_duration"),
            ("name=x", "/name unknown_field"),
        ] {
            let heard = stage.ask("POST", &format!("{TOKENS}/{id}/rotate?{query}"), "").await;
            assert_eq!(heard.violations().join(", "), told);
        }
        let body = r#"{"overlap":"1h","expiresIn":"1d"}"#;
        let heard = stage.ask("POST", &format!("{TOKENS}/{id}/rotate"), body).await;
        assert_eq!(heard.violations(), ["/overlap unknown_field", "/expiresIn unknown_field"]);
        *stage.store.has_no_room_for_actions.lock().unwrap() = true;
        let heard = stage.ask("POST", &format!("{TOKENS}/{id}/rotate"), "").await;
        assert_eq!(heard.code(), (503, "unavailable"));
        assert_eq!(stage.store.tokens.lock().unwrap().len(), 3);
        assert!(stage.store.tokens.lock().unwrap()[2].expires_at.is_none());
    }
}
