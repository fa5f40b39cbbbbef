use std::collections::BTreeSet;

use uuid::Uuid;

use super::*;
use crate::domain::{
    Assignment, Change, ClientTimestamp, Email, Form, Message, Outcome, PostKind, Priority,
    Subject, Ticket, Work,
};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn case(submitted_at: &str) -> Case {
    let ticket = Ticket {
        id: Uuid::from_u128(7).into(),
        number: "SUP-2026-000001".parse().unwrap(),
        form: Form {
            name: Name::parse("A").unwrap(),
            email: Email::parse("a@b.io").unwrap(),
            subject: Subject::General,
            message: Message::parse("?").unwrap(),
            timestamp: ClientTimestamp::parse("2026-11-22T10:29:59Z").unwrap(),
            user_id: None,
            user_agent: None,
            url: None,
        },
        status: Status::Open,
        priority: Priority::Low,
        submitted_at: time(submitted_at),
        updated_at: time(submitted_at),
        resolved_at: None,
        history: Vec::new(),
        replies: Vec::new(),
    };
    Case { ticket, work: Work { version: 1, ..Work::default() } }
}

fn status(status: Status) -> Change {
    Change { status: Some(status), ..Change::default() }
}

fn given_to(name: Option<&str>) -> Change {
    let to = |name| Assignment::To(Name::parse(name).unwrap());
    Change { assignee: Some(name.map_or(Assignment::Nobody, to)), ..Change::default() }
}

fn reply() -> Change {
    let post = Some((PostKind::Reply, Message::parse("!").unwrap()));
    Change { post, ..Change::default() }
}

/// What becomes of the tallies by one change after the other.
fn after(case: &mut Case, changes: &[(&str, Change)]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for (at, change) in changes {
        let Outcome { case: next, .. } = case.after(change, time(at), None).unwrap();
        for (dimension, value, change) in retallied(case, &next) {
            *sums.entry(format!("{dimension} {value}")).or_default() += change;
        }
        *case = next;
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn sums<const N: usize>(expected: [(&str, i64); N]) -> BTreeMap<String, i64> {
    expected.map(|(name, sum)| (name.to_owned(), sum)).into()
}

/// Numbers without a pattern, the same each time.
fn scattered(count: usize) -> impl Iterator<Item = u64> {
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(9), next).map(|state| state >> 33).take(count)
}

#[test]
fn a_ticket_counts_where_it_is_first_responded_to_and_resolved() {
    let mut case = case("2026-11-22T10:00:00.000Z");
    let told = after(
        &mut case,
        &[
            ("2026-11-22T10:01:00.000Z", given_to(Some("Grace/2"))),
            ("2026-11-22T10:02:00.000Z", reply()),
            ("2026-11-22T10:03:00.000Z", reply()),
            ("2026-11-23T10:16:00.000Z", status(Status::Resolved)),
            ("2026-11-24T10:00:00.000Z", status(Status::Closed)),
        ],
    );
    let day_ms = 24 * 3_600_000 + 16 * 60_000;
    let expected = sums([
        ("response_time 2026-11-22/168", 1),
        ("response_ms 2026-11-22", 120_000),
        ("settled_on 2026-11-22", 1),
        ("resolved_in 2026-11-23T10:15Z", 1),
        ("resolution_time 2026-11-23/263", 1),
        ("resolution_ms 2026-11-23", day_ms),
        ("resolved_by 2026-11-23/Grace/2", 1),
        ("resolution_ms_by 2026-11-23/Grace/2", day_ms),
    ]);
    assert_eq!(told, expected);
}

#[test]
fn what_is_reopened_counts_no_more_and_the_day_that_is_over_is_revised() {
    let mut case = case("2026-11-22T10:00:00.000Z");
    let begun = [
        ("2026-11-22T10:01:00.000Z", status(Status::InProgress)),
        ("2026-11-22T11:00:00.000Z", status(Status::Resolved)),
    ];
    after(&mut case, &begun);
    let told = after(
        &mut case,
        &[
            ("2026-11-25T10:00:00.000Z", given_to(Some("Ada"))),
            ("2026-11-25T11:00:00.000Z", status(Status::InProgress)),
        ],
    );
    let expected = sums([
        ("assigned Ada", 1),
        ("resolution_ms 2026-11-22", -3_600_000),
        ("resolution_time 2026-11-22/217", -1),
        ("resolved_in 2026-11-22T11:00Z", -1),
        ("revised 2026-11-22", 2),
        ("settled_on 2026-11-22", -1),
    ]);
    assert_eq!(told, expected);
}

#[test]
fn work_in_hand_moves_with_the_ticket() {
    let mut case = case("2026-11-22T10:00:00.000Z");
    let at = "2026-11-22T10:01:00.000Z";
    let told = after(&mut case, &[(at, given_to(Some("Ada"))), (at, given_to(Some("Grace")))]);
    assert_eq!(told, sums([("assigned Grace", 1)]));
    assert_eq!(after(&mut case, &[(at, given_to(None))]), sums([("assigned Grace", -1)]));
}

#[test]
fn an_end_before_the_beginning_took_a_millisecond() {
    let mut case = case("2026-11-22T10:00:00.000Z");
    let told = after(&mut case, &[("2026-11-22T09:00:00.000Z", reply())]);
    assert_eq!(told["response_ms 2026-11-22"], 1);
    assert_eq!(told["response_time 2026-11-22/000"], 1);
}

#[test]
fn amounts_go_where_their_names_say() {
    let mut tallies = Tallies::default();
    let amounts = [
        ("submitted_in", "2026-11-22T10:15Z", 3),
        ("resolved_in", "2026-11-22T23:45Z", 2),
        ("response_time", "2026-11-22/168", 1),
        ("response_ms", "2026-11-22", 120_000),
        ("resolution_time", "2026-11-21/000", 1),
        ("resolution_ms", "2026-11-21", 1),
        ("resolved_by", "2026-11-22/Ada/Grace \u{1f600}", 2),
        ("resolution_ms_by", "2026-11-22/Ada/Grace \u{1f600}", 7),
        ("settled_on", "2026-11-01", 5),
        ("revised", "2026-10-01", 1),
        ("assigned", "Ada", 4),
    ];
    for (dimension, value, amount) in amounts {
        tallies.set(dimension, value, amount).unwrap();
    }
    let listed: BTreeSet<_> = tallies.amounts().into_iter().collect();
    assert_eq!(listed, amounts.map(|(name, value, it)| (name, value.to_owned(), it)).into());
    for (dimension, value) in [
        ("mood", "2026-11-22"),
        ("submitted_in", "2026-11-22"),
        ("response_time", "2026-11-22/x"),
        ("response_time", "2026-11-22"),
        ("settled_on", "today"),
        ("resolved_by", "öööööööööööö"),
    ] {
        assert_eq!(tallies.set(dimension, value, 1), None, "{dimension} {value}");
    }
}

#[test]
fn what_stands_for_a_duration_is_off_by_five_percent_at_most() {
    let each = (0..50).map(|octave| 1 << octave);
    let beside = each.flat_map(|it: u64| [it.saturating_sub(1).max(1), it, it + 1]);
    for milliseconds in beside.chain(1..5_000).chain(scattered(10_000)) {
        let milliseconds = milliseconds.max(1);
        let exact = Duration::from_millis(milliseconds).as_secs_f64();
        let told = Bucket::of(milliseconds).middle().as_secs_f64();
        assert!((told - exact).abs() <= exact * 0.050_000_1, "{milliseconds} ms: {told} s");
    }
}

#[test]
fn percentiles_are_off_by_five_percent_at_most_whatever_is_counted() {
    // Evenly spread, from a minute to weeks, and all but the same.
    let even = |it: u64| 1 + it % 600_000;
    let wide = |it: u64| 60_000 << (it % 15);
    let narrow = |it: u64| 3_600_000 + it % 3;
    for shape in [even, wide, narrow] {
        let mut exact: Vec<_> = scattered(5_000).map(shape).collect();
        let (mut halves, mut whole) = ([Times::default(), Times::default()], Times::default());
        for (place, milliseconds) in exact.iter().enumerate() {
            for times in [&mut halves[place % 2], &mut whole] {
                *times.buckets.entry(Bucket::of(*milliseconds)).or_default() += 1;
                times.milliseconds += milliseconds;
            }
        }
        let [mut merged, other] = halves;
        merged.add(&other);
        assert_eq!(merged, whole, "two added are as one");
        exact.sort_unstable();
        for (percent, place) in [(50, 2_499), (90, 4_499), (99, 4_949), (100, 4_999)] {
            let exact = Duration::from_millis(exact[place]).as_secs_f64();
            let told = merged.percentile(percent).unwrap().as_secs_f64();
            assert!((told - exact).abs() <= exact * 0.050_000_1, "p{percent}: {told}, {exact}");
        }
        let average = exact.iter().sum::<u64>() / 5_000;
        assert_eq!(merged.average(), Some(Duration::from_millis(average)));
    }
    assert_eq!((Times::default().average(), Times::default().percentile(50)), (None, None));
}
