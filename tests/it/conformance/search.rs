//! The promises of `common::ports::search` for searches.

use common::domain::{Email, Filters, Message, Name, NewTicket, Sort, Status, TicketQuery};

use super::installation::Installation;
use super::lists::{
    DEADLINE, change, looking_for, made, numbers, page, pages, query, stored, take_in, to,
};
use super::on_both_backends;
use crate::bed::wait::until;

on_both_backends! {
    a_ticket_is_found_by_what_its_words_begin_with,
    what_fits_better_comes_first,
    a_whole_number_or_address_finds_just_that,
    no_text_breaks_a_search,
    punctuation_parts_words,
    tickets_are_taken_in_once_whoever_does_it,
    an_erased_ticket_is_found_no_more,
}

/// A ticket that says something of its own.
fn saying(number: u32, name: &str, email: &str, message: &str) -> NewTicket {
    let mut made = made(number);
    let form = &mut made.submission.form;
    form.name = Name::parse(name).unwrap();
    form.email = Email::parse(email).unwrap();
    form.message = Message::parse(message).unwrap();
    made
}

async fn a_ticket_is_found_by_what_its_words_begin_with(it: Installation) {
    let index = stored(
        &it,
        &[
            saying(
                1,
                "Ada Lovelace",
                "ada.17@example.org",
                "The Engine(s) stopped; error:E-4711/x.",
            ),
            saying(
                2,
                "Zoë Müller",
                "zoe@mail.example.com",
                "Нет звука 日本語 <b>naïve</b> it's \"quoted\" a_b",
            ),
            saying(3, "Charles", "charles@example.org", "engine stopped the"),
        ],
    )
    .await;
    for (text, expected) in [
        ("lovelace", vec![1]),
        ("LOVE", vec![1]),
        ("ovelace", vec![]),
        ("engine", vec![1, 3]),
        ("engine ada", vec![1]),
        ("engine zoë", vec![]),
        ("\"the engine\"", vec![1]),
        ("\"engine the\"", vec![]),
        ("stopped engine", vec![1, 3]),
        ("e-4711", vec![1]),
        ("4711", vec![1]),
        ("x", vec![1]),
        ("ada.17@exam", vec![1]),
        ("@example.org", vec![1, 3]),
        ("example.com", vec![2]),
        ("zoë mül", vec![2]),
        ("звук", vec![2]),
        ("НЕТ", vec![2]),
        ("日本", vec![2]),
        ("naïve", vec![2]),
        ("<b>", vec![2]),
        ("it's", vec![2]),
        ("quoted a_b", vec![2]),
        ("000003", vec![3]),
        ("sup-2026", vec![1, 2, 3]),
    ] {
        let mut found = numbers(&*index, &looking_for(text)).await;
        found.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }
}

async fn what_fits_better_comes_first(it: Installation) {
    let index = stored(
        &it,
        &[
            saying(1, "Babbage", "a@example.org", "no more of it"),
            saying(2, "Nobody", "babbage@example.org", "no more of it"),
            saying(3, "Nobody", "b@example.org", "about babbage"),
            saying(4, "Nobody", "c@example.org", "about babbage"),
        ],
    )
    .await;
    assert_eq!(numbers(&*index, &looking_for("babbage")).await, [2, 1, 4, 3]);
    let newest = TicketQuery { sort: Sort::NewestFirst, ..looking_for("babbage") };
    assert_eq!(numbers(&*index, &newest).await.first().copied().map(|it| it >= 3), Some(true));
}

async fn a_whole_number_or_address_finds_just_that(it: Installation) {
    let index = stored(
        &it,
        &[
            saying(1, "Ada", "Ada@Example.org", "see SUP-2026-000002"),
            saying(2, "Ada", "ada@example.org", "mine is ada@example.org"),
            saying(3, "Ada", "ada@example.organic", "mine was ada@example.org"),
            saying(4, "Ada", "b@example.org", "like SUP-2026-000009"),
        ],
    )
    .await;
    for (text, expected) in [
        ("SUP-2026-000002", vec![2]),
        ("sup-2026-000002 ", vec![2]),
        ("SUP-2026-000009", vec![4]),
        ("SUP-2026-00000", vec![1, 2, 3, 4]),
        ("ADA@example.org", vec![2, 1]),
        ("ada@example.organic", vec![3]),
        ("ada@example.or", vec![3, 2, 1]),
    ] {
        let mut found = numbers(&*index, &looking_for(text)).await;
        let mut expected = expected;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }
    // Where a filter, or the page, leaves nothing of it, what merely mentions it stays away all the same.
    let of = |status| Filters { statuses: [status].into(), ..Filters::default() };
    let closed = TicketQuery { filters: of(Status::Closed), ..looking_for("SUP-2026-000002") };
    assert_eq!(numbers(&*index, &closed).await, [0; 0], "filters hold for it too");
    let open = |text| TicketQuery {
        filters: of(Status::Open),
        sort: Sort::OldestFirst,
        ..looking_for(text)
    };
    let (first, next) = page(&*index, &TicketQuery { limit: 1, ..open("ADA@example.org") }).await;
    assert_eq!(first, [1]);
    change(&it, 2, 100, &to(Status::InProgress)).await;
    let rest = TicketQuery { after: next, ..open("ADA@example.org") };
    assert_eq!(numbers(&*index, &rest).await, [0; 0]);
    assert_eq!(numbers(&*index, &open("SUP-2026-000002")).await, [0; 0]);
}

/// What means something to a parser of SQL, of `tsquery`, of FTS5, of patterns, of Postgres's words or of
/// HTML, a line each.
const PECULIAR: &str = r#"'
''
"
""
\
\'
'; DROP TABLE tickets; --
a' OR '1'='1
$1 ?1
:*
a:*
a & b
a | !b
!
<->
a <-> b
(
((a)
NOT a
a NOT
AND
NEAR(a b, 2)
{name}:a
^a
a* + *
-a --
/*
% _ []
"a
a"b"
1e10 -1.5e-3 0x1f 1/2
http://a.b/c?d=e&f
user:pass@host
&amp; &#0;
<a href='x'>
— 𠀀 ﷺ İ ß"#;

/// What shows nothing, or not by itself.
const INVISIBLE: [&str; 7] =
    ["\u{0}", "a\u{0}b", "\u{feff}", "\u{202e}abc", "\u{300}", "é\u{301}", "\u{10ffff}"];

async fn no_text_breaks_a_search(it: Installation) {
    let index = stored(&it, &[made(1)]).await;
    let marks: String = (0..=0x7f).map(char::from).collect();
    let long = "\u{1F469}\u{200D}".repeat(50) + &"é".repeat(100);
    for text in PECULIAR.lines().chain(INVISIBLE).chain([marks.as_str(), &long]) {
        for sort in [Sort::Rank, Sort::OldestFirst] {
            let asked = TicketQuery { sort, ..looking_for(text) };
            let answer = index.page(&asked).await;
            assert!(answer.is_ok(), "{text:?}: {answer:?}");
        }
    }
    assert_eq!(numbers(&*index, &query(Sort::NewestFirst)).await, [1]);
}

/// Each mark of ASCII's ends one word and begins another, and is none itself.
async fn punctuation_parts_words(it: Installation) {
    let marks = (b'!'..=b'~').map(char::from).filter(char::is_ascii_punctuation);
    let words =
        marks.enumerate().map(|(number, mark)| format!("{mark}left{number}{mark}right{number}"));
    let message: String = words.collect();
    let index = stored(&it, &[saying(1, "Ada", "ada@example.org", &message)]).await;
    for number in 0..32 {
        for word in ["left", "right"] {
            let found = numbers(&*index, &looking_for(&format!("{word}{number}"))).await;
            assert_eq!(found, [1], "{word}{number}");
        }
    }
}

async fn tickets_are_taken_in_once_whoever_does_it(it: Installation) {
    let stored: Vec<_> = (0..30).map(made).collect();
    let workers = [it.backend.worker().await, it.backend.worker().await];
    let index = it.backend.desk().await.index;
    workers[0].tickets.insert(&stored).await.unwrap();
    change(&it, 3, 100, &to(Status::InProgress)).await;
    assert_eq!(numbers(&*index, &looking_for("ada")).await, [0; 0], "nobody has taken them in");
    until(DEADLINE, "all are taken in", async || {
        let both = workers.iter().map(|worker| worker.search.take_in(4));
        for entries in futures_util::future::join_all(both).await {
            assert!(entries.unwrap() <= Some(4));
        }
        numbers(&*index, &looking_for("ada")).await.len() == 30
    })
    .await;
    while workers[1].search.take_in(4).await.unwrap() > Some(0) {}
    assert_eq!(pages(&*index, looking_for("ada"), 7).await.len(), 30);
    assert_eq!(numbers(&*index, &looking_for("SUP-2026-000003")).await, [3]);
}

async fn an_erased_ticket_is_found_no_more(it: Installation) {
    let index = stored(&it, &(1..=3).map(made).collect::<Vec<_>>()).await;
    assert_eq!(numbers(&*index, &looking_for("ada")).await.len(), 3);
    it.tamper("DELETE FROM tickets WHERE number = 'SUP-2026-000002'").await;
    for asked in [looking_for("ada"), looking_for("SUP-2026-000002"), query(Sort::NewestFirst)] {
        assert!(!numbers(&*index, &asked).await.contains(&2), "{asked:?}");
    }
    // What is known of it goes with the next entry of its.
    it.tamper(
        "INSERT INTO audit_entries (ticket_id, version, kind, at, actor, request_id, traceparent) \
         SELECT ticket_id, 2, 'ticket.erased', at, 'staff', 'r', 't' FROM audit_entries \
         WHERE ticket_id NOT IN (SELECT id FROM tickets)",
    )
    .await;
    let new = made(4);
    let worker = it.backend.worker().await;
    worker.tickets.insert(std::slice::from_ref(&new)).await.unwrap();
    take_in(&*worker.search, &*index, &new).await;
    let left = "DELETE FROM ticket_search WHERE ticket_id NOT IN (SELECT id FROM tickets)";
    assert_eq!(it.tampered(left).await, 0, "words of it are left");
}
