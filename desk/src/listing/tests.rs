use chrono::DateTime;
use common::domain::{Name, Place, Role, Sort, Status, Tag, TicketPage, TicketQuery};
use serde_json::json;

use crate::doubles::{Heard, Stage};

const TICKETS: &str = "/api/support/admin/tickets";

async fn list(stage: &Stage, query: &str) -> Heard {
    stage.ask("GET", &format!("{TICKETS}{query}"), "").await
}

/// What the index was asked last.
fn asked(stage: &Stage) -> TicketQuery {
    stage.index.asked.lock().unwrap().last().unwrap().clone()
}

/// A stage on which each page has one ticket and is not the last.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.cases.add("SUP-2026-000001", DateTime::UNIX_EPOCH);
    let mut case = stage.cases.files.lock().unwrap()[0].case.clone();
    case.work.assignee = Some(Name::parse("Grace").unwrap());
    case.work.tags = [Tag::parse("engine").unwrap()].into();
    case.work.first_reply_at = Some(DateTime::UNIX_EPOCH);
    let next = Some(Place::from_bytes([7; Place::BYTES]));
    *stage.index.page.lock().unwrap() = TicketPage { cases: vec![case], next };
    stage
}

#[tokio::test(start_paused = true)]
async fn a_page_shows_its_tickets_and_leads_to_the_next() {
    let stage = stage();
    let heard = list(&stage, "?status=open,closed&limit=1").await;
    assert_eq!(heard.status, 200, "{heard:?}");
    let ticket = json!({
        "id": "00000000-0000-000f-0000-000000000000", "ticketNumber": "SUP-2026-000001",
        "name": "Ada", "email": "ada@example.org", "subject": "technical", "status": "open",
        "priority": "high", "assignee": "Grace", "tags": ["engine"],
        "submittedAt": "1970-01-01T00:00:00.000Z", "updatedAt": "1970-01-01T00:00:00.000Z",
        "hasReply": true, "version": 1,
    });
    assert_eq!(heard.json["data"]["tickets"], json!([ticket]));
    assert_eq!(asked(&stage).after, None);
    let next = heard.json["data"]["next"].as_str().unwrap().to_owned();
    let heard = list(&stage, &format!("?status=closed,open&cursor={next}")).await;
    assert_eq!(heard.status, 200, "{heard:?}");
    assert_eq!(asked(&stage).after, Some(Place::from_bytes([7; Place::BYTES])));
    *stage.index.page.lock().unwrap() = TicketPage::default();
    let heard = list(&stage, "").await;
    assert_eq!(heard.json["data"], json!({"tickets": []}));
}

#[tokio::test(start_paused = true)]
async fn every_parameter_says_what_is_asked_of_the_index() {
    let stage = stage();
    let query = "?q=the+engine&status=open&priority=high,low&subject=billing&assignee=Grace%20H\
                 &tag=engine&hasReply=false&submittedFrom=2026-11-22T10:30:00%2B01:00\
                 &submittedTo=2026-11-22T10:30:00.0001Z&updatedFrom=2026-01-01T00:00:00Z\
                 &updatedTo=2027-01-01t00:00:00z&sort=-updatedAt&limit=100";
    let heard = list(&stage, query).await;
    assert_eq!(heard.status, 200, "{heard:?}");
    let query = asked(&stage);
    let filters = &query.filters;
    assert_eq!(query.search.unwrap().phrases, ["the", "engine"]);
    assert_eq!(filters.statuses, [Status::Open].into());
    assert_eq!((filters.priorities.len(), filters.subjects.len()), (2, 1));
    assert_eq!((filters.assignee(), filters.is_unassigned()), (Some("Grace H"), false));
    assert_eq!(
        (filters.tag.as_ref().map(Tag::as_str), filters.has_reply),
        (Some("engine"), Some(false))
    );
    let (from, to) = filters.submitted.closed();
    assert_eq!(from.to_rfc3339(), "2026-11-22T09:30:00+00:00");
    assert_eq!(to.to_rfc3339(), "2026-11-22T10:30:00.001+00:00");
    assert_eq!((query.sort, query.limit), (Sort::LatestChangeFirst, 100));
    for (query, sort) in
        [("", Sort::NewestFirst), ("?q=ada", Sort::Rank), ("?q=+", Sort::NewestFirst)]
    {
        assert_eq!(list(&stage, query).await.status, 200);
        assert_eq!((asked(&stage).sort, asked(&stage).limit), (sort, 25), "{query}");
    }
    for year in ["0000", "0001", "9999"] {
        let query =
            format!("?submittedFrom={year}-01-01T00:00:00Z&updatedFrom={year}-12-31T23:59:59Z");
        assert_eq!(list(&stage, &query).await.status, 200, "{year}");
    }
    assert_eq!(list(&stage, "?assignee=none").await.status, 200);
    assert!(asked(&stage).filters.is_unassigned());
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_query_is_told_all_at_once_and_nobody_is_asked() {
    let stage = Stage::new();
    let long = "x".repeat(201);
    for (query, told) in [
        ("?stat=open", "/stat unknown_field"),
        ("?status=open,", "/status invalid_choice"),
        ("?status=OPEN&priority=1", "/status invalid_choice, /priority invalid_choice"),
        ("?assignee=", "/assignee blank"),
        ("?tag=%27%3B--", "/tag invalid_tag"),
        ("?hasReply=1", "/hasReply invalid_choice"),
        ("?submittedFrom=yesterday", "/submittedFrom invalid_timestamp"),
        ("?submittedFrom=2026-11-22T10:30:00+01:00", "/submittedFrom invalid_timestamp"),
        ("?updatedTo=2026-13-01T00:00:00Z", "/updatedTo invalid_timestamp"),
        (
            "?submittedFrom=2026-11-22T00:00:00Z&submittedTo=2026-11-22T00:00:00Z",
            "/submittedTo impossible_range",
        ),
        (
            "?updatedFrom=2026-11-23T00:00:00Z&updatedTo=2026-11-22T00:00:00Z",
            "/updatedTo impossible_range",
        ),
        ("?sort=rank", "/sort invalid_choice"),
        ("?sort=name&limit=101", "/sort invalid_choice, /limit out_of_range"),
        ("?limit=0&limit=1", "/limit duplicate_field"),
        (&format!("?q={long}"), "/q too_long"),
        (&format!("?q={}", "a+".repeat(17)), "/q too_many_words"),
        ("?cursor=", "/cursor invalid_cursor"),
        ("?cursor=0123&limit=1", "/cursor invalid_cursor"),
    ] {
        let heard = list(&stage, query).await;
        assert_eq!(heard.code().1, "invalid_query", "{query}");
        assert_eq!(heard.violations().join(", "), told, "{query}");
    }
    assert_eq!(stage.index.asked.lock().unwrap().len(), 0);
    assert_eq!(stage.store.on_record(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_of_another_list_is_told_from_one_that_is_none() {
    let stage = stage();
    let heard = list(&stage, "?status=open").await;
    let next = heard.json["data"]["next"].as_str().unwrap().to_owned();
    for query in ["?", "?status=closed&", "?status=open&sort=submittedAt&", "?status=open&q=a&"] {
        let heard = list(&stage, &format!("{query}cursor={next}")).await;
        assert_eq!(heard.violations(), ["/cursor foreign_cursor"], "{query}");
    }
    let tampered = format!("?status=open&cursor={}0", &next[..next.len() - 1]);
    let tampered_more = format!("?status=open&cursor={}1", &next[..next.len() - 1]);
    let told = [list(&stage, &tampered).await, list(&stage, &tampered_more).await];
    let refused = told.iter().filter(|heard| heard.status == 422);
    assert!(refused.clone().count() >= 1);
    refused.for_each(|heard| assert_eq!(heard.violations(), ["/cursor invalid_cursor"]));
}

#[tokio::test(start_paused = true)]
async fn who_lists_is_on_record_with_what_filters_and_not_with_what_for() {
    let stage = stage();
    let (agent, id) = stage.store.add(Role::Agent, |_| {});
    let path = format!("{TICKETS}?q=canary%40example.org&assignee=Grace&status=open&limit=7");
    assert_eq!(stage.ask_as(&agent, "GET", &path, "").await.status, 200);
    assert_eq!(stage.store.on_record(), [format!("token:{id}:agent ticket.list tickets")]);
    let details = stage.store.actions.lock().unwrap()[0].details.clone();
    assert_eq!(details, json!({"filters": ["q", "status", "assignee"], "limit": 7}));
    *stage.store.has_no_room_for_actions.lock().unwrap() = true;
    let heard = list(&stage, "").await;
    assert_eq!(heard.code(), (503, "unavailable"));
    assert_eq!(stage.index.asked.lock().unwrap().len(), 1, "nothing is read without a record");
}
