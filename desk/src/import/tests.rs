//! Whole files on a scripted queue.

use chrono::{DateTime, Utc};
use common::{
    clock::SystemEntropy,
    domain::{Email, Message},
    ports::backend::Intakes,
};

use super::*;
use crate::doubles::{NOW, ScriptedIntake, ScriptedIntakes};

struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        NOW.parse().unwrap()
    }
}

fn order(format: Format) -> Order {
    Order {
        format,
        source: Name::stored(SOURCE_DEFAULT.to_owned()),
        rate: None,
        trace: Trace::of_request(None, None, &SystemEntropy),
        patience: Duration::from_secs(5),
        kept: None,
    }
}

async fn begun(intake: &Arc<ScriptedIntake>, order: Order) -> Import {
    let ports = ScriptedIntakes(Arc::clone(intake)).open().await;
    let key = NumberKey::from_hex(&"42".repeat(32)).unwrap();
    Import::new(order, Some(ports), &key, Arc::new(TestClock))
}

/// Imports all of a text, and tells the counts and the bad lines.
async fn imported(intake: &Arc<ScriptedIntake>, order: Order, text: &str) -> (Report, Vec<String>) {
    let mut import = begun(intake, order).await;
    for piece in text.as_bytes().chunks(1_000) {
        import.feed(piece).await.unwrap();
    }
    import.finish().await.unwrap();
    let told = |it: BadLine| {
        let errors = it.errors.iter().map(|error| format!("{} {}", error.pointer, error.code));
        format!("{}: {}", it.line, errors.collect::<Vec<_>>().join(", "))
    };
    let mut bad = import.bad_lines();
    bad.sort_by_key(|it| it.line);
    (import.report(), bad.into_iter().map(told).collect())
}

fn line(message: &str) -> String {
    format!(
        "{{\"name\":\"Ada\",\"email\":\"ada@example.org\",\"subject\":\"billing\",\"message\":\"{message}\"}}\n"
    )
}

fn lines(count: usize) -> String {
    (0..count).map(|number| line(&format!("It is stuck {number}"))).collect()
}

const fn report(lines: u64, accepted: u64, known: u64, rejected: u64) -> Report {
    Report { lines, accepted, known, rejected, unsent: 0 }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_imported_once_however_often_it_is_sent() {
    let intake = Arc::<ScriptedIntake>::default();
    let text = lines(1_000);
    let (told, bad) = imported(&intake, order(Format::Ndjson), &text).await;
    assert_eq!((told, bad), (report(1_000, 1_000, 0, 0), vec![]));
    assert_eq!(*intake.envelopes.lock().unwrap(), [200; 5]);
    let (told, _) = imported(&intake, order(Format::Ndjson), &text).await;
    assert_eq!(told, report(1_000, 0, 1_000, 0));
    // Where nobody says what is there, it is sent again and stored once all the same.
    *intake.is_silent.lock().unwrap() = true;
    let (told, _) = imported(&intake, order(Format::Ndjson), &text).await;
    assert_eq!(told, report(1_000, 1_000, 0, 0));
    assert_eq!(intake.messages().len(), 1_000);
    *intake.is_silent.lock().unwrap() = false;
    let other = Order { source: Name::parse("other").unwrap(), ..order(Format::Ndjson) };
    assert_eq!(imported(&intake, other, &text).await.0, report(1_000, 1_000, 0, 0));
    assert_eq!(intake.messages().len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn an_import_that_broke_off_anywhere_is_gone_on_with() {
    let intake = Arc::<ScriptedIntake>::default();
    let text = lines(1_000);
    for part in [1, 17, 500, 999] {
        let mut import = begun(&intake, order(Format::Ndjson)).await;
        import.feed(&text.as_bytes()[..text.len() * part / 1_000]).await.unwrap();
        drop(import);
    }
    let (told, _) = imported(&intake, order(Format::Ndjson), &text).await;
    assert_eq!(told.accepted + told.known, 1_000);
    assert_eq!(intake.messages().len(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn bad_lines_are_told_by_their_numbers_and_the_others_imported() {
    let intake = Arc::<ScriptedIntake>::default();
    let long = "x".repeat(70_000);
    let text = format!(
        "\u{feff}{}\n{{\"name\":\"secret\"}}\r\nsecret\n{}{}{}",
        line("first"),
        line(&long),
        line("first"),
        line("last").trim_end(),
    );
    let (told, bad) = imported(&intake, order(Format::Ndjson), &text).await;
    assert_eq!(told, report(6, 2, 1, 3));
    assert_eq!(
        bad,
        [
            "3: /email required, /subject required, /message required",
            "4:  invalid_json",
            "5:  too_long"
        ]
    );
    assert_eq!(intake.messages(), ["first", "last"]);
}

#[tokio::test(start_paused = true)]
async fn another_word_on_what_was_imported_is_a_conflict() {
    let intake = Arc::<ScriptedIntake>::default();
    let named = |message: &str| line(message).replace("\"}", "\",\"externalId\":\"4711\"}");
    let (told, _) = imported(&intake, order(Format::Ndjson), &named("first")).await;
    assert_eq!(told, report(1, 1, 0, 0));
    let (told, bad) =
        imported(&intake, order(Format::Ndjson), &[named("first"), named("second")].concat()).await;
    assert_eq!((told, bad), (report(2, 0, 1, 1), vec!["2:  conflict".to_owned()]));
    assert_eq!(intake.messages(), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_imported_and_erased_is_known_whatever_comes_under_its_name() {
    let intake = Arc::<ScriptedIntake>::default();
    let named = |message: &str| line(message).replace("\"}", "\",\"externalId\":\"4711\"}");
    let text = [named("first"), line("other")].concat();
    imported(&intake, order(Format::Ndjson), &text).await;
    for submission in intake.stored.lock().unwrap().values_mut() {
        submission.form.email = Email::stored(String::new());
        submission.form.message = Message::stored(String::new());
    }
    let text = [text, named("second")].concat();
    let (told, bad) = imported(&intake, order(Format::Ndjson), &text).await;
    assert_eq!((told, bad), (report(3, 0, 3, 0), vec![]));
    assert_eq!(intake.messages(), ["", ""]);
}

#[tokio::test(start_paused = true)]
async fn what_would_be_erased_at_once_is_not_imported() {
    let intake = Arc::<ScriptedIntake>::default();
    let submitted = |message: &str, at: &str| {
        line(message).replace("\"}", &format!("\",\"submittedAt\":\"{at}\"}}"))
    };
    let text = [
        submitted("old", "2026-11-15T10:29:59.999Z"),
        submitted("young", "2026-11-15T10:30:00Z"),
        line("new"),
    ];
    let kept = Some(Duration::from_hours(7 * 24));
    let order = Order { kept, ..order(Format::Ndjson) };
    let (told, bad) = imported(&intake, order, &text.concat()).await;
    assert_eq!((told, bad), (report(3, 2, 0, 1), vec!["1: /submittedAt too_old".to_owned()]));
    assert_eq!(intake.messages(), ["new", "young"]);
}

#[tokio::test(start_paused = true)]
async fn a_table_is_imported_like_lines() {
    let intake = Arc::<ScriptedIntake>::default();
    let text = "email,message,name,subject,status\r\n\
                ada@example.org,\"first,\r\n\"\"line\"\"\",Ada,billing,closed\r\n\
                \r\n\
                ada@example.org,'=1+1,Ada,billing,\r\n\
                ada@example.org,Ada,billing\r\n\
                ada@example.org,a \"quote\",Ada,billing,\r\n\
                ada@example.org,\"never closed,Ada,billing,\r\n\
                ada@example.org,lost,Ada,billing,\r\n";
    let (told, bad) = imported(&intake, order(Format::Csv), text).await;
    assert_eq!(told, report(5, 2, 0, 3));
    let expected = ["6:  wrong_cell_count", "7:  stray_quote", "8:  unclosed_quote"];
    assert_eq!(bad, expected);
    assert_eq!(intake.messages(), ["=1+1", "first,\r\n\"line\""]);
}

#[tokio::test(start_paused = true)]
async fn a_table_without_names_is_refused_and_nothing_of_it_imported() {
    let intake = Arc::<ScriptedIntake>::default();
    for text in ["", "\n\n", "Ada,ada@example.org,billing,Hello\n", "\"name\n", "name,email\n"] {
        let mut import = begun(&intake, order(Format::Csv)).await;
        let fed = import.feed(text.as_bytes()).await;
        let refused = if fed.is_err() { fed } else { import.finish().await };
        let Refused(errors) = refused.unwrap_err();
        assert!(
            errors.iter().any(|it| it.pointer == "/subject" && it.code == "required"),
            "{text}"
        );
    }
    assert_eq!(intake.messages(), [""; 0]);
    let (told, _) = imported(&intake, order(Format::Ndjson), "").await;
    assert_eq!(told, report(0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_full_is_waited_for_and_one_that_stays_so_ends_it() {
    let intake = Arc::<ScriptedIntake>::default();
    *intake.refusals.lock().unwrap() = 3;
    let (told, _) = imported(&intake, order(Format::Ndjson), &lines(300)).await;
    assert_eq!(told, report(300, 300, 0, 0));
    *intake.refusals.lock().unwrap() = usize::MAX;
    let mut import = begun(&intake, order(Format::Ndjson)).await;
    let text = lines(100_000).replace("stuck", "gone");
    import.feed(text.as_bytes()).await.unwrap();
    assert!(import.has_given_up());
    import.settle().await;
    let told = import.report();
    assert_eq!((told.accepted, told.rejected), (0, 0));
    assert!(told.lines < 5_000, "the rest was not read: {told:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_go_in_a_second_than_the_rate_says() {
    let intake = Arc::<ScriptedIntake>::default();
    for (rate, count, seconds) in [(100, 1_000, 9.9), (10_000, 10_000, 0.98), (3, 30, 9.6)] {
        let begun = tokio::time::Instant::now();
        let order = Order { rate: NonZeroU32::new(rate), ..order(Format::Ndjson) };
        let text = lines(count).replace("stuck", &format!("at {rate}"));
        imported(&intake, order, &text).await;
        let took = begun.elapsed().as_secs_f64();
        assert!((took - seconds).abs() < 0.1, "{rate}: {took}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_ports_lines_are_looked_at_and_nothing_is_sent() {
    let key = NumberKey::from_hex(&"42".repeat(32)).unwrap();
    let mut import = Import::new(order(Format::Ndjson), None, &key, Arc::new(TestClock));
    import.feed(format!("{}x\n", lines(1_000)).as_bytes()).await.unwrap();
    import.finish().await.unwrap();
    assert_eq!(import.report(), report(1_001, 1_000, 0, 1));
}
