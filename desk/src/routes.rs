//! Which address leads where, and who may go there. A route cannot be added without its roles and
//! its description, and has no method that the description does not have.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    handler::Handler,
    http::Method,
    middleware::{self, Next},
    response::Response,
    routing::{self, MethodRouter},
};
use common::domain::Role;
use http::{
    openapi::Describe,
    problem::Problem,
    request::{self, Around},
};

use crate::{
    REQUEST_WAIT, audit, bulk,
    desk::Desk,
    export, gate, import, letters, listing, live,
    openapi::{self, letters as described},
    people, rotation, tickets, tokens,
};

const TICKETS: &str = "/api/support/admin/tickets";

const TOKENS: &str = "/api/support/admin/tokens";
const TOKEN: &str = "/api/support/admin/tokens/{id}";
const ROTATE: &str = "/api/support/admin/tokens/{id}/rotate";
const AUDIT: &str = "/api/support/admin/audit";

/// What is below the staff's address and no route: asked for a token all the same.
const ELSEWHERE: [&str; 3] =
    ["/api/support/admin", "/api/support/admin/", "/api/support/admin/{*rest}"];

const LETTERS: &str = "/api/support/admin/dead-letters";
const EXPORT: &str = "/api/support/admin/tickets/export";
const IMPORT: &str = "/api/support/admin/tickets/import";

const LETTER: &str = "/api/support/admin/dead-letters/{id}";

const TICKET: &str = "/api/support/admin/tickets/{id}";
const BULK: &str = "/api/support/admin/tickets/bulk";
const PERSON: &str = "/api/support/admin/people/export";
const ERASE: &str = "/api/support/admin/people/erase";

/// Who works on tickets.
const STAFF: &[Role] = &[Role::Admin, Role::Agent];
/// Who says who staff are, and deletes what nobody can bring back.
const ADMIN: &[Role] = &[Role::Admin];

/// One method of one address.
pub struct Route {
    pub path: &'static str,
    pub method: Method,
    /// Who may.
    pub roles: &'static [Role],
    pub describe: Describe,
    /// How long its answer may take to begin.
    pub wait: Duration,
    handler: MethodRouter<Arc<Desk>>,
}

impl Route {
    /// The method as the `OpenAPI` document writes it.
    pub fn method(&self) -> &'static str {
        match self.method {
            Method::POST => "post",
            Method::DELETE => "delete",
            Method::PATCH => "patch",
            _ => "get",
        }
    }
}

/// Every route there is.
pub fn all() -> Vec<Route> {
    vec![
        get(TICKETS, STAFF, listing::list, openapi::listing::list),
        get(TOKENS, ADMIN, tokens::list, openapi::tokens::list),
        post(TOKENS, ADMIN, tokens::create, openapi::tokens::create),
        delete(TOKEN, ADMIN, tokens::revoke, openapi::tokens::revoke),
        post(ROTATE, ADMIN, rotation::rotate, openapi::tokens::rotate),
        get(AUDIT, ADMIN, audit::export, openapi::audit::export),
        get(LETTERS, STAFF, letters::list, described::list),
        post(
            "/api/support/admin/dead-letters/requeue",
            STAFF,
            letters::requeue_several,
            described::requeue_several,
        ),
        post(
            "/api/support/admin/dead-letters/discard",
            ADMIN,
            letters::discard_several,
            described::discard_several,
        ),
        get(LETTER, STAFF, letters::show, described::show),
        post(
            "/api/support/admin/dead-letters/{id}/requeue",
            STAFF,
            letters::requeue,
            described::requeue,
        ),
        delete(LETTER, ADMIN, letters::discard, described::discard),
        get(EXPORT, STAFF, export::route::export, openapi::export::export),
        Route {
            wait: import::route::REQUEST_WAIT,
            ..post(IMPORT, ADMIN, import::route::import, openapi::import::import)
        },
        post(BULK, STAFF, bulk::bulk, openapi::tickets::bulk),
        get("/api/support/admin/tickets/events", STAFF, live::of_all, openapi::tickets::events),
        get(TICKET, STAFF, tickets::show, openapi::tickets::show),
        patch(TICKET, STAFF, tickets::amend, openapi::tickets::amend),
        post(
            "/api/support/admin/tickets/{id}/replies",
            STAFF,
            tickets::reply,
            openapi::tickets::reply,
        ),
        post("/api/support/admin/tickets/{id}/notes", STAFF, tickets::note, openapi::tickets::note),
        get(
            "/api/support/admin/tickets/{id}/events",
            STAFF,
            live::of_one,
            openapi::tickets::events_of_one,
        ),
        post(PERSON, ADMIN, people::export, openapi::people::export),
        post(ERASE, ADMIN, people::erase, openapi::people::erase),
    ]
}

/// The staff API behind its gate. An address answers other methods than its own, too, or axum would, and
/// name those that are there to whoever has no token.
pub fn router(desk: Arc<Desk>) -> Router {
    let paths: BTreeSet<_> = all().iter().map(|route| route.path).chain(ELSEWHERE).collect();
    let routes = paths.into_iter().fold(Router::new(), |routes, path| {
        routes.route(path, routing::any(async || Problem::NotFound))
    });
    let routes =
        all().into_iter().fold(routes, |routes, route| routes.route(route.path, route.handler));
    routes.layer(middleware::from_fn_with_state(Arc::clone(&desk), guard)).with_state(desk)
}

/// What stands around every route, from within to without.
async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let wait = desk.gate.wait(path(&request), request.method());
    let (desk, around) = (&desk, Around { request_wait: wait, ..desk.around() });
    let handled = |request| next.run(request);
    let within_limits = |request| request::within_limits(around, request, handled);
    let admitted = |request| gate::admit(desk, request, within_limits);
    let bounded = |request| request::bounded(around, request, admitted);
    request::around(around, request, bounded).await
}

/// The template of the request's path.
fn path(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str)
}

fn route(
    method: Method,
    path: &'static str,
    roles: &'static [Role],
    handler: MethodRouter<Arc<Desk>>,
    describe: Describe,
) -> Route {
    Route { path, method, roles, describe, wait: REQUEST_WAIT, handler }
}

fn get<T: 'static>(
    path: &'static str,
    roles: &'static [Role],
    handler: impl Handler<T, Arc<Desk>>,
    describe: Describe,
) -> Route {
    route(Method::GET, path, roles, routing::get(handler), describe)
}

fn post<T: 'static>(
    path: &'static str,
    roles: &'static [Role],
    handler: impl Handler<T, Arc<Desk>>,
    describe: Describe,
) -> Route {
    route(Method::POST, path, roles, routing::post(handler), describe)
}

fn patch<T: 'static>(
    path: &'static str,
    roles: &'static [Role],
    handler: impl Handler<T, Arc<Desk>>,
    describe: Describe,
) -> Route {
    route(Method::PATCH, path, roles, routing::patch(handler), describe)
}

fn delete<T: 'static>(
    path: &'static str,
    roles: &'static [Role],
    handler: impl Handler<T, Arc<Desk>>,
    describe: Describe,
) -> Route {
    route(Method::DELETE, path, roles, routing::delete(handler), describe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{ADMIN_TOKEN, Stage};

    /// Who may do what, written down once more: a route that is not here fails the test, and so does
    /// one whose roles were changed only there.
    const MATRIX: &[(&str, &str, &[Role])] = &[
        ("GET", TICKETS, &[Role::Admin, Role::Agent]),
        ("GET", TOKENS, &[Role::Admin]),
        ("POST", TOKENS, &[Role::Admin]),
        ("DELETE", TOKEN, &[Role::Admin]),
        ("GET", EXPORT, &[Role::Admin, Role::Agent]),
        ("POST", IMPORT, &[Role::Admin]),
        ("POST", ROTATE, &[Role::Admin]),
        ("GET", AUDIT, &[Role::Admin]),
        ("GET", LETTERS, &[Role::Admin, Role::Agent]),
        ("GET", LETTER, &[Role::Admin, Role::Agent]),
        ("DELETE", LETTER, &[Role::Admin]),
        ("POST", "/api/support/admin/dead-letters/{id}/requeue", &[Role::Admin, Role::Agent]),
        ("POST", "/api/support/admin/dead-letters/requeue", &[Role::Admin, Role::Agent]),
        ("POST", "/api/support/admin/dead-letters/discard", &[Role::Admin]),
        ("POST", BULK, &[Role::Admin, Role::Agent]),
        ("GET", "/api/support/admin/tickets/events", &[Role::Admin, Role::Agent]),
        ("GET", TICKET, &[Role::Admin, Role::Agent]),
        ("PATCH", TICKET, &[Role::Admin, Role::Agent]),
        ("POST", "/api/support/admin/tickets/{id}/replies", &[Role::Admin, Role::Agent]),
        ("POST", "/api/support/admin/tickets/{id}/notes", &[Role::Admin, Role::Agent]),
        ("GET", "/api/support/admin/tickets/{id}/events", &[Role::Admin, Role::Agent]),
        ("POST", PERSON, &[Role::Admin]),
        ("POST", ERASE, &[Role::Admin]),
    ];

    #[test]
    fn every_route_is_in_the_matrix() {
        let written: BTreeSet<_> =
            MATRIX.iter().map(|(method, path, _)| (*method, *path)).collect();
        let served = all();
        let served: BTreeSet<_> =
            served.iter().map(|route| (route.method.as_str(), route.path)).collect();
        assert_eq!(served, written);
    }

    #[tokio::test(start_paused = true)]
    async fn every_route_admits_its_roles_and_nobody_else() {
        for (method, template, roles) in MATRIX {
            let path = template.replace("{id}", "0123456789ab");
            for role in Role::ALL {
                let stage = Stage::new();
                let (token, _) = stage.store.add(*role, |_| {});
                let heard = stage.ask_as(&token, method, &path, "").await;
                let is_admitted = ![401, 403].contains(&heard.status);
                assert_eq!(is_admitted, roles.contains(role), "{role} {method} {path}: {heard:?}");
                if !is_admitted {
                    assert_eq!(heard.code(), (403, "forbidden"));
                    let told = "Bearer error=\"insufficient_scope\"";
                    assert_eq!(heard.header("www-authenticate"), told);
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_token_that_admits_every_route_gives_the_same_answer() {
        let stage = Stage::new();
        let (revoked, _) =
            stage.store.add(Role::Admin, |token| token.revoked_at = Some(token.created_at));
        let (expired, _) =
            stage.store.add(Role::Admin, |token| token.expires_at = Some(token.created_at));
        let unknown = format!("slt_{}", "0".repeat(64));
        let elsewhere = ["", "/", "/nowhere", "/tokens/", "/tokens/x/y", "/dead-letters/x/y/z"]
            .map(|rest| ("GET", format!("/api/support/admin{rest}")));
        let routes = MATRIX.iter().map(|(method, path, _)| (*method, path.replace("{id}", "x")));
        let others = ["PUT", "BREW", "OPTIONS", "HEAD", "TRACE"].into_iter().flat_map(|method| {
            MATRIX.iter().map(move |(_, path, _)| (method, path.replace("{id}", "x")))
        });
        let mut told = BTreeSet::new();
        for (method, path) in routes.chain(elsewhere).chain(others) {
            let bearers = [&revoked, &expired, &unknown].map(|token| format!("Bearer {token}"));
            let admin = format!("Bearer {ADMIN_TOKEN}");
            let twice = [admin.as_str(), admin.as_str()];
            let mut given: Vec<&[&str]> = vec![&[], &["Basic x"], &twice];
            let bearers: Vec<_> = bearers.iter().map(|it| [it.as_str()]).collect();
            given.extend(bearers.iter().map(<[&str; 1]>::as_slice));
            for authorizations in given {
                let mut heard = stage.ask_with((method, &path), authorizations, "").await;
                assert_eq!(heard.status, 401, "{method} {path}");
                assert_eq!(heard.header("www-authenticate"), "Bearer");
                for name in ["x-request-id", "traceparent"] {
                    assert!(heard.headers.remove(name).is_some());
                }
                let headers =
                    heard.headers.iter().map(|(name, value)| format!("{name}: {value:?}"));
                let headers: BTreeSet<_> = headers.collect();
                if method != "HEAD" {
                    heard.json["requestId"].take();
                    assert_eq!(heard.json["code"], "unauthorized");
                    assert_eq!(heard.json.as_object().unwrap().len(), 8);
                }
                told.insert(format!("{headers:?}"));
            }
        }
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!(stage.store.on_record(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_there_is_told_to_whoever_is_admitted() {
        let stage = Stage::new();
        for path in ["", "/", "/nowhere", "/tokens/x/y", "/dead-letters/x/y"] {
            let heard = stage.ask("GET", &format!("/api/support/admin{path}"), "").await;
            assert_eq!(heard.code(), (404, "not_found"), "{path}");
        }
        let letter = LETTER.replace("{id}", "x");
        for (method, path, allow) in [
            ("PUT", TOKENS, "GET,HEAD,POST,OPTIONS"),
            ("POST", letter.as_str(), "GET,HEAD,DELETE,OPTIONS"),
            ("BREW", "/api/support/admin/tokens/x/rotate", "POST,OPTIONS"),
        ] {
            let heard = stage.ask(method, path, "").await;
            assert_eq!(heard.code(), (405, "method_not_allowed"), "{method} {path}");
            assert_eq!(heard.header("allow"), allow);
        }
        let options = stage.ask("OPTIONS", TOKENS, "").await;
        assert_eq!((options.status, options.header("allow")), (204, "GET,HEAD,POST,OPTIONS"));
        let head = stage.ask("HEAD", TOKENS, "").await;
        assert_eq!((head.status, head.json), (200, serde_json::Value::Null));
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_route_knows_is_refused_in_the_query_and_in_the_body() {
        for (method, template, _) in MATRIX {
            let stage = Stage::new();
            let path = template.replace("{id}", "x");
            let in_query = stage.ask(method, &format!("{path}?unheard=1"), "{}").await;
            assert_eq!(in_query.code(), (422, "invalid_query"), "{method} {path}");
            let told = in_query.violations();
            assert!(
                told.contains(&"/unheard unknown_field".to_owned()),
                "{method} {path}: {told:?}"
            );
            if *method != "GET" && *template != IMPORT {
                let in_body = stage.ask(method, &path, r#"{"unheard":1}"#).await;
                assert_eq!(in_body.code(), (422, "validation_failed"), "{method} {path}");
                let told = in_body.violations();
                assert!(told.contains(&"/unheard unknown_field".to_owned()), "{path}: {told:?}");
            }
            assert_eq!(stage.store.on_record(), [""; 0]);
        }
    }
}
