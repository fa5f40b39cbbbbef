//! Which pages of other sites may read our answers (CORS, <https://fetch.spec.whatwg.org/>).
//!
//! A browser asks, and keeps what it is not allowed to show; nothing here keeps anybody out. No
//! credentials are ever allowed, and routes that take a bearer token are not shared at all.

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, header},
    response::Response,
};
use common::config::CorsOrigins;

use crate::routes::TICKETS;

/// What a page may send beside what any page may.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, idempotency-key, prefer, x-request-id, traceparent, tracestate, last-event-id",
);

/// What a page may read of an answer beside its type, length and language.
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "location, retry-after, ratelimit, ratelimit-policy, preference-applied, \
     idempotency-replayed, x-request-id, traceparent",
);

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");

/// How long a browser may remember a preflight's answer, in seconds. An hour: an origin that is
/// taken off the list is refused by then.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("3600");

const BELOW_TICKETS: [&str; 4] =
    ["", "/{reference}", "/{reference}/events", "/{reference}/replies"];

/// Whether pages of other sites have any business with a route: the form, its ticket's progress, what its
/// submitter has to add, health, and the description of all of it. A route that is not here is not shared.
pub fn is_public(route: &str) -> bool {
    let below_tickets = route.strip_prefix(TICKETS);
    below_tickets.is_some_and(|rest| BELOW_TICKETS.contains(&rest))
        || ["/api/support/health", "/openapi.json"].contains(&route)
}

/// Around every route: says of every answer who may read it, and of a preflight's what they may do.
pub async fn share<F: Future<Output = Response>>(
    origins: &CorsOrigins,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let sharing = Sharing::of(origins, route, &request);
    let mut response = next(request).await;
    sharing.write_into(response.headers_mut());
    response
}

/// What CORS has to say about one request.
struct Sharing {
    /// The origin that may read the answer, or any.
    admitted: Option<HeaderValue>,
    /// Whether another origin might be answered otherwise.
    varies: bool,
    is_preflight: bool,
}

impl Sharing {
    /// Judges a request, given the route that it matched.
    fn of(origins: &CorsOrigins, route: Option<&MatchedPath>, request: &Request) -> Self {
        let is_shared = route.is_some_and(|route| is_public(route.as_str()));
        let origin = request.headers().get(header::ORIGIN).filter(|_| is_shared);
        let admitted = origin
            .filter(|origin| origin.to_str().is_ok_and(|origin| origins.admit(origin)))
            .map(|origin| match origins {
                CorsOrigins::Any => HeaderValue::from_static("*"),
                _ => origin.clone(),
            });
        let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        Self {
            admitted,
            varies: is_shared && matches!(origins, CorsOrigins::These(_)),
            is_preflight: request.method() == Method::OPTIONS && asks,
        }
    }

    /// Adds to an answer who may read it, and to that of a preflight what else they may.
    fn write_into(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(admitted) = self.admitted else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, admitted);
        if self.is_preflight {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        } else {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{FORM, Heard, Stage, settings};

    const SITE: &str = "https://www.example.org";

    fn stage(origins: CorsOrigins) -> Stage {
        Stage::with(&crate::Settings {
            cors_origins: origins,
            ..settings(std::time::Duration::from_secs(2))
        })
    }

    fn listed() -> Stage {
        stage(CorsOrigins::These(vec!["http://localhost:3000".to_owned(), SITE.to_owned()]))
    }

    async fn preflight(stage: &Stage, path: &str, origin: &str) -> Heard {
        let headers = vec![
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,idempotency-key"),
        ];
        stage.ask("OPTIONS", path, "", headers).await
    }

    fn allowed(heard: &Heard) -> &str {
        heard.header("access-control-allow-origin")
    }

    fn vary(heard: &Heard) -> Vec<&str> {
        heard.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_preflight_of_an_admitted_origin_is_answered() {
        let id = "0190c5ce-0000-7000-8000-000000000000";
        let reply = preflight(&listed(), &format!("{TICKETS}/{id}/replies"), SITE).await;
        assert_eq!((reply.status, allowed(&reply)), (204, SITE));
        let heard = preflight(&listed(), TICKETS, SITE).await;
        assert_eq!((heard.status, allowed(&heard)), (204, SITE));
        assert_eq!(heard.header("access-control-allow-methods"), "GET, HEAD, POST");
        let headers = heard.header("access-control-allow-headers");
        for name in ["content-type", "idempotency-key", "prefer", "last-event-id"] {
            assert!(headers.split(", ").any(|allowed| allowed == name), "{name}");
        }
        assert_eq!(heard.header("access-control-max-age"), "3600");
        assert_eq!(vary(&heard), ["Origin"]);
        assert!(!heard.headers.contains_key("access-control-allow-credentials"));
        assert_eq!(heard.header("x-request-id").len(), 32);
    }

    #[tokio::test(start_paused = true)]
    async fn an_admitted_page_reads_answers_and_problems() {
        let stage = listed();
        for (body, status) in [(FORM, 201), ("{}", 422)] {
            let heard = stage.post(body, &[("origin", SITE)]).await;
            assert_eq!((heard.status, allowed(&heard)), (status, SITE));
            let exposed = heard.header("access-control-expose-headers");
            assert!(exposed.contains("location") && exposed.contains("idempotency-replayed"));
            assert_eq!(vary(&heard), ["Prefer", "Origin"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn any_other_origin_gets_no_word_of_it() {
        for stage in [listed(), stage(CorsOrigins::None)] {
            for origin in ["https://evil.net", "null", "", "https://www.example.org.evil.net"] {
                let heard = preflight(&stage, TICKETS, origin).await;
                assert_eq!(heard.status, 204, "as any OPTIONS: {origin}");
                let posted = stage.post(FORM, &[("origin", origin)]).await;
                assert_eq!(posted.status, 201, "{origin}");
                for heard in [heard, posted] {
                    let told = heard.headers.keys().find(|it| it.as_str().starts_with("access-"));
                    assert_eq!(told, None, "{origin}");
                }
            }
        }
        assert_eq!(vary(&listed().post(FORM, &[]).await), ["Prefer", "Origin"]);
        assert_eq!(vary(&stage(CorsOrigins::None).post(FORM, &[]).await), ["Prefer"]);
    }

    #[tokio::test(start_paused = true)]
    async fn any_origin_may_be_admitted_without_being_named() {
        let stage = stage(CorsOrigins::Any);
        for origin in [SITE, "null"] {
            let heard = preflight(&stage, TICKETS, origin).await;
            assert_eq!((heard.status, allowed(&heard)), (204, "*"));
            let heard = stage.post(FORM, &[("origin", origin)]).await;
            assert_eq!((heard.status, allowed(&heard)), (201, "*"));
            assert_eq!(vary(&heard), ["Prefer"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn routes_for_staff_and_operators_are_shared_with_nobody() {
        for stage in [listed(), stage(CorsOrigins::Any)] {
            for path in ["/api/support/stats", "/livez", "/readyz", "/metrics", "/nowhere"] {
                let headers = vec![("origin", SITE)];
                for heard in
                    [preflight(&stage, path, SITE).await, stage.ask("GET", path, "", headers).await]
                {
                    let told = heard.headers.keys().find(|it| it.as_str().starts_with("access-"));
                    assert_eq!(told, None, "{path}");
                }
            }
        }
    }
}
