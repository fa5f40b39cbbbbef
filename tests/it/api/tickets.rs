//! Tickets in the hands of staff, by real requests to real processes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ADMIN_TOKEN;
use super::admin::{STAFF_TICKETS, Staff, on_both};
use super::table::problem;
use crate::bed::event_stream::EventStream;
use crate::bed::form::Form;
use crate::bed::seeded::Seeded;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::eventually;

const DEADLINE: Duration = Duration::from_secs(30);

on_both! {
    a_ticket_goes_its_way_and_everybody_sees_what_is_theirs:
        a_ticket_goes_its_way_and_everybody_sees_what_is_theirs_embedded,
        a_ticket_goes_its_way_and_everybody_sees_what_is_theirs_distributed;
    staff_see_each_others_changes:
        staff_see_each_others_changes_embedded,
        staff_see_each_others_changes_distributed;
    no_change_of_many_staff_is_lost:
        no_change_of_many_staff_is_lost_embedded,
        no_change_of_many_staff_is_lost_distributed;
}

/// Submits a form, waits until it is a ticket, and tells its id and number.
pub async fn ticket(system: &TestSystem, form: &Form) -> (String, String) {
    let queued = system.client().post(TICKETS).json(&form.json()).send().await;
    let id = queued.json()["data"]["id"].as_str().unwrap().to_owned();
    let number = eventually(DEADLINE, "it is numbered", async || {
        let seen = system.client().get(&format!("{TICKETS}/{id}")).send().await.json();
        seen["data"]["ticketNumber"].as_str().map(str::to_owned).ok_or(seen)
    });
    let number = number.await;
    (id, number)
}

async fn verified(system: &TestSystem) {
    eventually(DEADLINE, "verify finds nothing wrong", async || {
        let output = system.verify().await;
        if output.status.success() { Ok(()) } else { Err(output) }
    })
    .await;
}

async fn a_ticket_goes_its_way_and_everybody_sees_what_is_theirs(system: &TestSystem) {
    let (id, number) = ticket(system, &Form::valid().subject("billing")).await;
    let admin = Staff::of(system, ADMIN_TOKEN);
    let agent = Staff::of(system, &admin.token("agent").await.0);

    let taken = json!({"assignee": "agent", "addTags": ["refund"]});
    let answer = agent.patch(&number, Some(1), &taken).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, Some("\"3\"")));
    problem(&agent.patch(&number, Some(1), &taken).await, 412, "stale");
    let refused = agent.patch(&id, None, &json!({"status": "closed"})).await;
    assert_eq!(problem(&refused, 409, "transition_not_allowed")["allowed"], json!(["in-progress"]));
    let note = json!({"message": "She is angry."});
    let path = format!("{STAFF_TICKETS}/{number}");
    assert_eq!(agent.post(&format!("{path}/notes"), &note).await.status, 201);
    let reply = json!({"message": "It is on its way."});
    let written = agent.post(&format!("{path}/replies"), &reply).await.json();
    assert_eq!(written["data"]["ticket"]["status"], "in-progress");
    assert_eq!(agent.patch(&number, None, &json!({"status": "resolved"})).await.status, 200);

    // The submitter sees the reply, and neither the note nor whose it is.
    let seen = system.client().get(&format!("{TICKETS}/{id}")).send().await;
    let data = &seen.json()["data"];
    assert_eq!(data["status"], "resolved");
    assert_eq!(data["replies"][0]["message"], "It is on its way.");
    assert!(!seen.text().contains("angry") && !seen.text().contains("agent"), "{}", seen.text());
    let by_number = system.client().get(&format!("{TICKETS}/{number}")).send().await;
    assert!(!by_number.text().contains("way"), "{}", by_number.text());
    let answer = json!({"message": "It has not come."});
    let replies = format!("{TICKETS}/{id}/replies");
    let answered = system.client().post(&replies).json(&answer).send().await;
    assert_eq!(answered.status, 201, "{}", answered.text());

    let shown = agent.get(&path).await.json()["data"].clone();
    assert_eq!(shown["status"], "in-progress", "the answer has reopened it");
    let thread = shown["thread"].as_array().unwrap();
    let said: Vec<_> = thread.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(said, ["note", "reply", "answer"]);
    let trail = shown["trail"].as_array().unwrap();
    let versions: Vec<_> = trail.iter().map(|it| it["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=trail.len() as u64).collect::<Vec<_>>(), "without gaps");
    for status in ["resolved", "closed"] {
        assert_eq!(agent.patch(&number, None, &json!({"status": status})).await.status, 200);
    }
    let late = system.client().post(&replies).json(&json!({"message": "Hello?"})).send().await;
    problem(&late, 409, "ticket_closed");
    verified(system).await;
}

async fn staff_see_each_others_changes(system: &TestSystem) {
    let (_, number) = ticket(system, &Form::valid()).await;
    let admin = Staff::of(system, ADMIN_TOKEN);
    let mut stream = EventStream::of_staff(system.desk().address(), ADMIN_TOKEN).await;
    assert_eq!(stream.next(DEADLINE).await.unwrap().event, "gap");
    let begun = admin.patch(&number, None, &json!({"status": "in-progress"})).await;
    assert_eq!(begun.status, 200);
    loop {
        let told = stream.next(DEADLINE).await.expect("a change");
        if told.event == "change" && told.data["kind"] == "ticket.status_changed" {
            assert_eq!(told.data["ticketNumber"], number.as_str());
            assert_eq!(told.data["changes"]["status"]["after"], "in-progress");
            break;
        }
    }
}

/// What one of the staff does: reads a ticket, changes it as of what it read, and remembers what was
/// accepted.
async fn work(
    staff: Staff,
    numbers: Vec<String>,
    mut random: Seeded,
    until: Instant,
) -> Vec<(String, u64, u64)> {
    let mut accepted = Vec::new();
    while Instant::now() < until {
        let number = &numbers[random.below(numbers.len())];
        let path = format!("{STAFF_TICKETS}/{number}");
        let shown = staff.get(&path).await.json()["data"].clone();
        let version = shown["version"].as_u64().unwrap();
        let allowed = shown["allowedStatuses"].as_array().unwrap();
        let tag = format!("t{}", random.below(5));
        let wanted = match random.below(4) {
            0 if !allowed.is_empty() => json!({"status": allowed[random.below(allowed.len())]}),
            1 => {
                json!({"assignee": if random.below(2) == 0 { json!("agent") } else { Value::Null }})
            }
            2 => json!({"addTags": [tag]}),
            _ => json!({"removeTags": [tag]}),
        };
        let answer = staff.patch(number, Some(version), &wanted).await;
        match answer.status.as_u16() {
            200 => {
                let now = answer.json()["data"]["version"].as_u64().unwrap();
                accepted.push((number.clone(), version, now));
            }
            412 => {}
            _ => panic!("{wanted}: {answer:?}"),
        }
    }
    accepted
}

/// Eight of them, at random on the same tickets; for longer by environment.
async fn no_change_of_many_staff_is_lost(system: &TestSystem) {
    let set = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |it| it.parse().expect("a number"))
    };
    let (count, seconds) = (set("STAFF_TICKETS", 20), set("STAFF_SECONDS", 4));
    let mut numbers = Vec::new();
    for number in 0..count {
        numbers.push(
            ticket(system, &Form::valid().message(&format!("It has stopped, {number}."))).await.1,
        );
    }
    let admin = Staff::of(system, ADMIN_TOKEN);
    let token = admin.token("agent").await.0;
    let until = Instant::now() + Duration::from_secs(seconds);
    let workers: Vec<_> = (0..8)
        .map(|seed| {
            let staff = Staff::of(system, &token);
            tokio::spawn(work(staff, numbers.clone(), Seeded::for_part(seed, 0), until))
        })
        .collect();
    let mut accepted = BTreeMap::<String, Vec<(u64, u64)>>::new();
    let mut changes = 0;
    for worker in workers {
        for (number, before, after) in worker.await.unwrap() {
            changes += u64::from(after > before);
            accepted.entry(number).or_default().push((before, after));
        }
    }
    assert!(changes > seconds, "{changes} changes");
    for (number, mut spans) in accepted {
        spans.retain(|(before, after)| after > before);
        spans.sort_unstable();
        let file = admin.get(&format!("{STAFF_TICKETS}/{number}")).await.json()["data"].clone();
        let trail = file["trail"].as_array().unwrap();
        let versions: Vec<_> = trail.iter().map(|it| it["version"].as_u64().unwrap()).collect();
        assert_eq!(
            versions,
            (1..=trail.len() as u64).collect::<Vec<_>>(),
            "{number}: without gaps"
        );
        // Every accepted change follows another accepted one, and the last is what the ticket is.
        let mut version = 1;
        for (before, after) in spans {
            assert_eq!(before, version, "{number}");
            version = after;
        }
        assert_eq!(file["version"], version, "{number}");
    }
    println!("{changes} changes of {count} tickets by eight staff in {seconds} s");
    verified(system).await;
}
