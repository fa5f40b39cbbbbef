use super::*;
use crate::domain::{ClientTimestamp, Email, Form, Priority, StatusChange, Subject, SubmissionId};

const SUBMITTED: &str = "2026-11-22T10:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn open() -> Case {
    let form = Form {
        name: Name::parse("Ada").unwrap(),
        email: Email::parse("ada@example.org").unwrap(),
        subject: Subject::Technical,
        message: Message::parse("It has stopped.").unwrap(),
        timestamp: ClientTimestamp::parse(SUBMITTED).unwrap(),
        user_id: None,
        user_agent: None,
        url: None,
    };
    let ticket = Ticket {
        id: SubmissionId::from(uuid::Uuid::from_u128(7)),
        number: "SUP-2026-000001".parse().unwrap(),
        form,
        status: Status::Open,
        priority: Priority::High,
        submitted_at: at(SUBMITTED),
        updated_at: at(SUBMITTED),
        resolved_at: None,
        history: vec![StatusChange { version: 1, status: Status::Open, at: at(SUBMITTED) }],
        replies: vec![],
    };
    Case { ticket, work: Work { version: 1, ..Work::default() } }
}

fn to(status: Status) -> Change {
    Change { status: Some(status), ..Change::default() }
}

fn saying(kind: PostKind) -> Change {
    Change { post: Some((kind, Message::parse("Well.").unwrap())), ..Change::default() }
}

fn kinds(outcome: &Outcome) -> Vec<(u32, &'static str)> {
    outcome.entries.iter().map(|entry| (entry.version, entry.kind.as_str())).collect()
}

/// A case in this status, by the shortest way there.
fn in_status(status: Status) -> Case {
    let way = [Status::InProgress, Status::Resolved, Status::Closed];
    let steps = way.iter().position(|it| *it == status).map_or(0, |place| place + 1);
    let go = |case: Case, to_status: &Status| {
        case.after(&to(*to_status), at("2026-11-22T11:00:00Z"), None).unwrap().case
    };
    way[..steps].iter().fold(open(), go)
}

#[test]
fn a_status_leads_where_the_table_says_and_nowhere_else() {
    let table: &[(Status, &[Status])] = &[
        (Status::Open, &[Status::InProgress]),
        (Status::InProgress, &[Status::Resolved]),
        (Status::Resolved, &[Status::Closed, Status::InProgress]),
        (Status::Closed, &[]),
    ];
    for (from, allowed) in table {
        let case = in_status(*from);
        assert_eq!(case.ticket.status, *from);
        for wanted in Status::ALL {
            let outcome = case.after(&to(*wanted), at("2026-11-22T12:00:00Z"), None);
            if wanted == from {
                assert!(outcome.unwrap().entries.is_empty(), "{from} to itself is no change");
            } else if allowed.contains(wanted) {
                let outcome = outcome.unwrap();
                assert_eq!(outcome.case.ticket.status, *wanted);
                assert_eq!(outcome.entries[0].status, Some(*wanted));
            } else {
                assert_eq!(outcome, Err(Refused::Transition { from: *from, to: *wanted }));
            }
        }
    }
}

#[test]
fn a_ticket_is_resolved_since_it_last_was() {
    let resolved = in_status(Status::Resolved);
    assert_eq!(resolved.ticket.resolved_at, Some(at("2026-11-22T11:00:00Z")));
    let later = at("2026-11-23T11:00:00Z");
    let reopened = resolved.after(&to(Status::InProgress), later, None).unwrap().case;
    assert_eq!(reopened.ticket.resolved_at, None);
    let again = reopened.after(&to(Status::Resolved), later, None).unwrap().case;
    assert_eq!(again.ticket.resolved_at, Some(later));
    let closed = again.after(&to(Status::Closed), at("2026-11-24T11:00:00Z"), None).unwrap().case;
    assert_eq!(closed.ticket.resolved_at, Some(later));
}

#[test]
fn the_first_reply_takes_an_open_ticket_up() {
    let (now, author) = (at("2026-11-22T10:05:00Z"), Name::parse("Grace").unwrap());
    let outcome = open().after(&saying(PostKind::Reply), now, Some(&author)).unwrap();
    assert_eq!(kinds(&outcome), [(2, "ticket.replied"), (3, "ticket.status_changed")]);
    let Case { ticket, work } = &outcome.case;
    assert_eq!((ticket.status, work.version), (Status::InProgress, 3));
    assert_eq!((work.first_reply_at, work.first_response_at), (Some(now), Some(now)));
    let post = outcome.post.unwrap();
    assert_eq!((post.version, post.kind, post.author), (2, PostKind::Reply, Some(author)));
    let second = outcome.case.after(&saying(PostKind::Reply), at("2026-11-22T11:00:00Z"), None);
    let second = second.unwrap();
    assert_eq!(kinds(&second), [(4, "ticket.replied")]);
    assert_eq!(second.case.work.first_reply_at, Some(now));
}

#[test]
fn a_note_is_no_response() {
    let outcome = open().after(&saying(PostKind::Note), at(SUBMITTED), None).unwrap();
    assert_eq!(kinds(&outcome), [(2, "ticket.noted")]);
    assert_eq!(outcome.case.ticket.status, Status::Open);
    assert_eq!(outcome.case.work.first_response_at, None);
}

#[test]
fn an_answer_reopens_what_was_resolved_and_nothing_else() {
    for (status, expected) in [
        (Status::Open, Status::Open),
        (Status::InProgress, Status::InProgress),
        (Status::Resolved, Status::InProgress),
    ] {
        let case = in_status(status);
        let outcome = case.after(&saying(PostKind::Answer), at(SUBMITTED), None).unwrap();
        assert_eq!(outcome.case.ticket.status, expected, "{status}");
        assert_eq!(outcome.case.work.first_reply_at, None);
    }
}

#[test]
fn about_a_closed_ticket_staff_only_write_notes() {
    let closed = in_status(Status::Closed);
    for kind in [PostKind::Reply, PostKind::Answer] {
        assert_eq!(closed.after(&saying(kind), at(SUBMITTED), None), Err(Refused::Closed));
    }
    assert!(closed.after(&saying(PostKind::Note), at(SUBMITTED), None).is_ok());
}

#[test]
fn what_is_wanted_at_once_is_done_in_one_order_and_told_with_what_was_before() {
    let tag = |word: &str| Tag::parse(word).unwrap();
    let wanted = Change {
        status: Some(Status::InProgress),
        assignee: Some(Assignment::To(Name::parse("Grace").unwrap())),
        tags_added: BTreeSet::from([tag("engine"), tag("oil")]),
        ..Change::default()
    };
    let outcome = open().after(&wanted, at(SUBMITTED), None).unwrap();
    let told: Vec<_> = outcome.entries.iter().map(|entry| entry.changes.to_string()).collect();
    assert_eq!(
        told,
        [
            r#"{"assignee":{"before":null,"after":"Grace"}}"#,
            r#"{"tags":{"before":[],"after":["engine","oil"]}}"#,
            r#"{"status":{"before":"open","after":"in-progress"}}"#,
        ]
        .map(|text| serde_json::from_str::<Value>(text).unwrap().to_string())
    );
    assert_eq!(outcome.case.work.version, 4);
    let again = outcome.case.after(&wanted, at(SUBMITTED), None).unwrap();
    assert!(again.entries.is_empty() && again.case == outcome.case, "{again:?}");
}

#[test]
fn a_ticket_has_so_many_tags_and_no_more() {
    let tags = |numbers: std::ops::Range<usize>| {
        numbers.map(|number| Tag::parse(&format!("t{number}")).unwrap()).collect::<BTreeSet<_>>()
    };
    let filed =
        |added, removed| Change { tags_added: added, tags_removed: removed, ..Change::default() };
    let full =
        open().after(&filed(tags(0..TAGS_MAX), tags(0..0)), at(SUBMITTED), None).unwrap().case;
    let one_more = filed(tags(TAGS_MAX..TAGS_MAX + 1), tags(0..0));
    assert_eq!(full.after(&one_more, at(SUBMITTED), None), Err(Refused::TooManyTags));
    let exchanged = filed(tags(TAGS_MAX..TAGS_MAX + 1), tags(0..1));
    assert!(full.after(&exchanged, at(SUBMITTED), None).is_ok());
}

#[test]
fn a_tag_is_a_word() {
    for text in ["a", "2", "new-engine", "große", "a.b:c_d", &"x".repeat(Tag::CHARS_MAX)] {
        assert!(Tag::parse(text).is_ok(), "{text}");
    }
    for text in ["", "-a", "A", "a b", "a,b", "a\n", "=a", &"x".repeat(Tag::CHARS_MAX + 1)] {
        assert!(Tag::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn about_an_erased_ticket_nobody_writes_anything() {
    let mut erased = open();
    erased.ticket.form.email = Email::stored(String::new());
    let filed = Change { tags_added: [Tag::parse("x").unwrap()].into(), ..Change::default() };
    for change in [saying(PostKind::Reply), saying(PostKind::Note), saying(PostKind::Answer), filed]
    {
        assert_eq!(erased.after(&change, at(SUBMITTED), None), Err(Refused::Erased));
    }
    assert!(erased.after(&to(Status::InProgress), at(SUBMITTED), None).is_ok());
}
