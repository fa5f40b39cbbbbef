//! Changes of many tickets, while others change them too and the store goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use common::clock::{Clock, SystemClock, SystemEntropy};
use common::config::{AddressHeader, Limits};
use common::domain::{Case, Change, Status, Tag};
use common::ports::cases::{Author, CaseFile, Cases, Reference, Step};
use common::ports::store::StoreError;
use common::trace::Trace;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bed::client::{Answer, Client};
use crate::bed::system::ADMIN_TOKEN;
use crate::conformance::installation::{Installation, number_key, tickets};
use crate::conformance::on_both_backends;

const BULK: &str = "/api/support/admin/tickets/bulk";

on_both_backends! {
    a_ticket_that_is_named_twice_is_changed_once_and_in_the_one_transaction,
    what_was_changed_is_told_when_the_store_goes_away,
}

/// What others do to one of the tickets, and when.
enum Rival {
    /// Closes it as soon as it is changed.
    Closes(Reference),
    /// Files it just before it would be changed, and is the last to reach the store.
    FilesAndGone(Reference),
}

/// The store's cases, which a rival gets at as well.
struct Contested {
    cases: Arc<dyn Cases>,
    rival: Rival,
    commits: AtomicU32,
    is_gone: AtomicBool,
}

impl Contested {
    async fn change(&self, which: &Reference, change: Change) {
        let before = self.cases.one(which).await.unwrap().expect("it is there");
        let trace = Trace::of_request(None, None, &SystemEntropy);
        let author = Author { actor: "admin-key".to_owned(), name: None, address: None, trace };
        let outcome = before.after(&change, SystemClock.now(), None).unwrap();
        let step = Step { before, outcome, author };
        assert_eq!(self.cases.commit(&[step], true).await.unwrap(), [true]);
    }

    fn reached(&self) -> Result<(), StoreError> {
        let is_gone = self.is_gone.load(Ordering::Relaxed);
        (!is_gone).then_some(()).ok_or_else(|| StoreError::Unavailable("gone".into()))
    }
}

#[async_trait]
impl Cases for Contested {
    async fn find(&self, which: &[Reference]) -> Result<Vec<Option<Case>>, StoreError> {
        self.reached()?;
        self.cases.find(which).await
    }

    async fn file(&self, which: &Reference) -> Result<Option<CaseFile>, StoreError> {
        self.cases.file(which).await
    }

    async fn commit(&self, steps: &[Step], together: bool) -> Result<Vec<bool>, StoreError> {
        self.reached()?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        match &self.rival {
            Rival::Closes(which) => {
                let done = self.cases.commit(steps, together).await?;
                for status in [Status::Resolved, Status::Closed] {
                    self.change(which, to(status)).await;
                }
                Ok(done)
            }
            Rival::FilesAndGone(which) => {
                let tags_added = [Tag::parse("theirs").unwrap()].into();
                self.change(which, Change { tags_added, ..Change::default() }).await;
                let done = self.cases.commit(steps, together).await;
                self.is_gone.store(true, Ordering::Relaxed);
                done
            }
        }
    }
}

fn to(status: Status) -> Change {
    Change { status: Some(status), ..Change::default() }
}

/// A desk on these cases.
struct ContestedDesk {
    cases: Arc<Contested>,
    client: Client,
    _stop: DropGuard,
}

impl ContestedDesk {
    async fn of(it: &Installation, rival: Rival) -> Self {
        let mut ports = it.backend.desk().await;
        let cases = Arc::new(Contested {
            cases: Arc::clone(&ports.cases),
            rival,
            commits: AtomicU32::new(0),
            is_gone: AtomicBool::new(false),
        });
        ports.cases = cases.clone();
        let settings = desk::Settings {
            admin_token: Some(ADMIN_TOKEN.into()),
            limits: Limits {
                trusted_proxies: vec![],
                address_header: AddressHeader::XForwardedFor,
                create: None,
                lookup: None,
                stats: None,
                attempts: None,
                guesses: None,
            },
            number_key: number_key(),
            retention: None,
        };
        let stop = CancellationToken::new();
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let router = desk::router(ports, clock, entropy, &settings, stop.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::of_the_api(listener.local_addr().unwrap());
        tokio::spawn(http::server::serve(listener, router, stop.clone()));
        Self { cases, client, _stop: stop.drop_guard() }
    }

    async fn ask(&self, body: &Value) -> Answer {
        self.client.post(BULK).bearer(ADMIN_TOKEN).json(body).send().await
    }
}

/// What became of each, as an answer tells it.
fn outcomes(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let results = answer.json()["data"]["tickets"].clone();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = |it: &Value| format!("{} {}", word(&it["outcome"]), word(&it["code"]));
    let told: Vec<_> = results.as_array().unwrap().iter().map(told).collect();
    told.iter().map(|it| it.trim_end().to_owned()).collect()
}

async fn a_ticket_that_is_named_twice_is_changed_once_and_in_the_one_transaction(it: Installation) {
    for (together, first) in [(true, 0), (false, 10)] {
        let new = tickets(first..first + 2);
        it.backend.worker().await.tickets.insert(&new).await.unwrap();
        let (id, number) = (new[0].submission.id, new[0].number.to_string());
        let desk = ContestedDesk::of(&it, Rival::Closes(Reference::Id(id))).await;
        let named = [number.clone(), id.to_string(), new[1].number.to_string(), number];
        let change = json!({"status": "in-progress"});
        let body = json!({"tickets": named, "change": change, "allOrNothing": together});
        let told = outcomes(&desk.ask(&body).await);
        assert_eq!(told, ["changed", "unchanged", "changed", "unchanged"]);
        assert_eq!(desk.cases.commits.load(Ordering::Relaxed), 1);
    }
}

async fn what_was_changed_is_told_when_the_store_goes_away(it: Installation) {
    let new = tickets(0..3);
    it.backend.worker().await.tickets.insert(&new).await.unwrap();
    let contested = Reference::Id(new[1].submission.id);
    let desk = ContestedDesk::of(&it, Rival::FilesAndGone(contested.clone())).await;
    let numbers: Vec<_> = new.iter().map(|it| it.number.to_string()).collect();
    let body = json!({"tickets": numbers, "change": {"status": "in-progress"}});
    let told = outcomes(&desk.ask(&body).await);
    assert_eq!(told, ["changed", "failed unavailable", "changed"]);
    let again = desk.ask(&body).await;
    assert_eq!(again.status, 503, "nothing was changed, and nobody can tell of any");

    let ids: Vec<_> = new.iter().map(|it| Reference::Id(it.submission.id)).collect();
    let cases = it.backend.desk().await.cases.find(&ids).await.unwrap();
    let statuses: Vec<_> = cases.iter().flatten().map(|case| case.ticket.status).collect();
    assert_eq!(statuses, [Status::InProgress, Status::Open, Status::InProgress]);
}
