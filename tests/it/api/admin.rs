//! The staff API, by real requests to real processes: embedded beside the public one, distributed in
//! a process of its own.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::document::operations;
use super::table::problem;
use super::{ADMIN_TOKEN, STATISTICS};
use crate::bed::client::{Answer, Client};
use crate::bed::servers::Servers;
use crate::bed::system::{Plan, TestSystem};
use crate::bed::wait::until;
use crate::cli::dead_letters::{listed, make_letters, mend};

/// Also what other files ask of staff routes.
pub const STAFF_TICKETS: &str = "/api/support/admin/tickets";
const TOKENS: &str = "/api/support/admin/tokens";
const LETTERS: &str = "/api/support/admin/dead-letters";
const DEADLINE: Duration = Duration::from_secs(30);

/// Makes of a function of an installation the tests on either backend.
macro_rules! on_both {
    ($($test:ident: $embedded:ident, $distributed:ident;)+) => {
        $(
            #[tokio::test]
            async fn $embedded() {
                $test(&$crate::api::admin::embedded().await).await;
            }

            #[tokio::test]
            async fn $distributed() {
                $test(&$crate::api::admin::distributed().await).await;
            }
        )+
    };
}
pub(crate) use on_both;

/// One process.
pub async fn embedded() -> TestSystem {
    plan(TestSystem::embedded()).await
}

/// A process a role.
pub async fn distributed() -> TestSystem {
    plan(TestSystem::distributed(Servers::shared().await.backing().await)).await
}

on_both! {
    tokens_are_made_listed_and_revoked:
        tokens_are_made_listed_and_revoked_embedded,
        tokens_are_made_listed_and_revoked_distributed;
    every_route_admits_its_roles_and_nobody_else:
        every_route_admits_its_roles_and_nobody_else_embedded,
        every_route_admits_its_roles_and_nobody_else_distributed;
    letters_are_shown_tried_again_and_deleted:
        letters_are_shown_tried_again_and_deleted_embedded,
        letters_are_shown_tried_again_and_deleted_distributed;
    whoever_guesses_is_heard_no_further_by_staff_routes_either:
        whoever_guesses_is_heard_no_further_by_staff_routes_either_embedded,
        whoever_guesses_is_heard_no_further_by_staff_routes_either_distributed;
}

pub fn plan(plan: Plan) -> Plan {
    let plan = plan.with_desk().with_env("SUPPORT_REPLY_WAIT", "0s");
    plan.with_env("SUPPORT_LIMIT_GUESSES", "20/10m")
}

/// Asks the staff API; what the document does not describe fails the test.
pub struct Staff {
    pub client: Client,
    pub token: String,
}

impl Staff {
    pub fn of(system: &TestSystem, token: &str) -> Self {
        Self { client: Client::of_the_api(system.desk().address()), token: token.to_owned() }
    }

    pub async fn ask(&self, method: Method, path: &str) -> Answer {
        self.client.request(method, path).bearer(&self.token).send().await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.client.post(path).bearer(&self.token).json(body).send().await
    }

    /// Changes a ticket, if it still has this version.
    pub async fn patch(&self, ticket: &str, version: Option<u64>, body: &Value) -> Answer {
        let request = self.client.request(Method::PATCH, &format!("{STAFF_TICKETS}/{ticket}"));
        let request = request.bearer(&self.token).json(body);
        match version {
            Some(version) => request.header("if-match", &format!("\"{version}\"")).send().await,
            None => request.send().await,
        }
    }

    /// Somebody with a new token of this role, whose name is the role's word, and its id.
    pub async fn token(&self, role: &str) -> (String, String) {
        let made = self.post(TOKENS, &json!({"role": role, "name": role})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let data = made.json()["data"].clone();
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        (text("token"), text("id"))
    }
}

/// Who did what to what, as the record has it, the oldest first.
async fn on_record(system: &TestSystem) -> Vec<String> {
    let log = system.run(&["dead-letters", "log", "--json"]).await;
    let actions: Vec<Value> = serde_json::from_str(&log.stdout).unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let told = |it: &Value| [&it["actor"], &it["action"], &it["subject"]].map(word).join(" ");
    actions.iter().rev().map(told).collect()
}

async fn tokens_are_made_listed_and_revoked(system: &TestSystem) {
    let admin = Staff::of(system, ADMIN_TOKEN);
    let (token, id) = admin.token("admin").await;
    let (stats, stats_id) = Staff::of(system, &token).token("stats").await;
    // At once, and at the edge as well.
    assert_eq!(system.client().get(STATISTICS).bearer(&stats).send().await.status, 200);
    let tokens = admin.get(TOKENS).await.json()["data"]["tokens"].clone();
    let told: Vec<_> = tokens.as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(told, [&json!(id), &json!(stats_id)]);
    assert!(!tokens.to_string().contains(&token[4..20]), "{tokens}");
    let as_listed: Vec<Value> =
        serde_json::from_str(&system.run(&["token", "list", "--json"]).await.stdout).unwrap();
    assert_eq!(tokens, Value::from(as_listed), "as the command line lists them");

    let path = format!("{TOKENS}/{stats_id}");
    let revoked = admin.ask(Method::DELETE, &path).await.json();
    assert_eq!(revoked["data"]["standing"], "revoked");
    assert_eq!(system.client().get(STATISTICS).bearer(&stats).send().await.status, 401);
    let again = admin.ask(Method::DELETE, &path).await.json();
    assert_eq!(again["data"], revoked["data"], "since the first time");
    problem(&admin.ask(Method::DELETE, &format!("{TOKENS}/x")).await, 404, "token_not_found");
    problem(&admin.post(TOKENS, &json!({"role": "root"})).await, 422, "validation_failed");
    let expected = [
        format!("admin-key token.create {id}"),
        format!("token:{id}:admin token.create {stats_id}"),
        format!("admin-key token.revoke {stats_id}"),
        format!("admin-key token.revoke {stats_id}"),
    ];
    assert_eq!(on_record(system).await, expected);
}

/// By the document, so that no route can be left out.
async fn every_route_admits_its_roles_and_nobody_else(system: &TestSystem) {
    let admin = Staff::of(system, ADMIN_TOKEN);
    let mut tokens = Vec::new();
    for role in ["admin", "agent", "stats"] {
        tokens.push((role, Staff::of(system, &admin.token(role).await.0)));
    }
    let routes: Vec<_> = operations()
        .into_iter()
        .filter(|(_, path, _)| path.starts_with("/api/support/admin"))
        .collect();
    assert!(routes.len() >= 9, "{routes:?}");
    for (method, path, roles) in routes {
        assert!(!roles.is_empty() && roles.iter().any(|role| role == "admin"), "{method} {path}");
        let path = path.replace("{id}", "0123456789ab");
        let nobody = admin.client.request(method.clone(), &path).send().await;
        problem(&nobody, 401, "unauthorized");
        assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
        for (role, staff) in &tokens {
            let answer = staff.ask(method.clone(), &path).await;
            let is_admitted = ![401, 403].contains(&answer.status.as_u16());
            let expected = roles.iter().any(|it| it == role);
            assert_eq!(is_admitted, expected, "{role} {method} {path}: {answer:?}");
        }
    }
}

async fn letters_are_shown_tried_again_and_deleted(system: &TestSystem) {
    let is_embedded = system.backing_if_any().is_none();
    make_letters(system, is_embedded, 4).await;
    let admin = Staff::of(system, ADMIN_TOKEN);
    let (token, token_id) = admin.token("agent").await;
    let agent = Staff::of(system, &token);
    let list = agent.get(&format!("{LETTERS}?reason=rejected&newerThan=1h&limit=2")).await.json();
    assert_eq!(list["data"]["counts"], json!({"rejected": 4}));
    assert_eq!(list["data"]["letters"].as_array().unwrap().len(), 2);
    problem(&agent.get(&format!("{LETTERS}?since=1h")).await, 422, "invalid_query");
    let letters = listed(system).await;
    let id = |number: usize| letters[number]["id"].as_str().unwrap();
    let masked = agent.get(&format!("{LETTERS}/{}", id(0))).await;
    assert!(!masked.text().contains("only for support"), "{}", masked.text());
    let revealed = agent.get(&format!("{LETTERS}/{}?reveal=true", id(0))).await;
    assert!(revealed.text().contains("only for support"), "{}", revealed.text());

    mend(system, is_embedded).await;
    let one = agent.ask(Method::POST, &format!("{LETTERS}/{}/requeue", id(0))).await;
    assert_eq!(one.json()["data"]["handled"], json!([id(0)]));
    system.settled(1).await;
    let path = format!("{LETTERS}/{}?because=spam", id(1));
    problem(&agent.ask(Method::DELETE, &path).await, 403, "forbidden");
    assert_eq!(admin.ask(Method::DELETE, &path).await.status, 200);
    problem(&admin.ask(Method::DELETE, &path).await, 404, "dead_letter_not_found");
    let several = json!({"ids": [id(1), id(2)], "rate": 100, "because": "there is room again"});
    let several = agent.post(&format!("{LETTERS}/requeue"), &several).await.json();
    let expected = json!({"handled": [id(2)], "missing": [id(1)], "isComplete": true});
    assert_eq!(several["data"], expected);
    system.settled(2).await;
    let rest = json!({"filter": {"reason": "rejected"}, "because": "spam"});
    let rest = admin.post(&format!("{LETTERS}/discard"), &rest).await.json();
    assert_eq!(rest["data"]["handled"], json!([id(3)]));
    until(DEADLINE, "none is left", async || listed(system).await.is_empty()).await;

    let agent = format!("token:{token_id}:agent");
    let expected = [
        format!("admin-key token.create {token_id}"),
        format!("{agent} dead-letter.reveal {}", id(0)),
        format!("{agent} dead-letter.requeue {}", id(0)),
        format!("admin-key dead-letter.discard {}", id(1)),
        format!("{agent} dead-letter.requeue {}", id(2)),
        format!("admin-key dead-letter.discard {}", id(3)),
    ];
    assert_eq!(on_record(system).await, expected);
}

async fn whoever_guesses_is_heard_no_further_by_staff_routes_either(system: &TestSystem) {
    let admin = Staff::of(system, ADMIN_TOKEN);
    until(DEADLINE, "all instances count together", async || {
        let told = system.client().get("/api/support/whoami").bearer(ADMIN_TOKEN).send().await;
        told.json()["data"]["countedBy"] == "all instances"
    })
    .await;
    for _ in 0..10 {
        assert_eq!(admin.get(TOKENS).await.status, 200);
        problem(&admin.client.get(TOKENS).send().await, 401, "unauthorized");
        problem(&Staff::of(system, "wrong").get(LETTERS).await, 401, "unauthorized");
        // At the edge as well: that is one count.
        let elsewhere = system.client().get(STATISTICS).bearer("wrong").send().await;
        problem(&elsewhere, 401, "unauthorized");
    }
    for staff in [&admin, &Staff::of(system, "wrong")] {
        let answer = staff.get(TOKENS).await;
        let told = problem(&answer, 429, "rate_limited");
        assert_eq!(told["violated-policies"], json!(["guesses"]));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"guesses\";q=20;w=600"));
    }
}
