//! What one release writes and another reads, as it was once written: envelopes, receipts (tested
//! beside their code), events, dead letters, what Redis holds. A file here is never changed: a message
//! that an older release left in the queue must become the same tickets in every later one.
//!
//! A new shape of the current version, such as a new optional field, gets a file of its own.

mod events;
mod letters;
mod redis;
mod schemas;

use bytes::Bytes;
use common::domain::{
    ClientTimestamp, Email, Form, KeyHash, Message, Name, PageUrl, Subject, Submission, UserAgent,
    UserId,
};
use common::envelope;
use common::trace::Trace;
use uuid::Uuid;

fn minimal() -> Submission {
    Submission {
        id: Uuid::from_u128(0x019a_ab3c_5d6e_7f80_9182_a3b4_c5d6_e7f8).into(),
        key: None,
        submitted_at: "2026-11-22T10:30:00.000Z".parse().unwrap(),
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
        trace: Trace {
            request_id: "r".to_owned(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".to_owned(),
        },
    }
}

fn full() -> Submission {
    Submission {
        submitted_at: "2026-12-31T23:59:59.999Z".parse().unwrap(),
        form: Form {
            name: Name::parse("Ada Lovelace").unwrap(),
            email: Email::parse("ada.lovelace+help@example.org").unwrap(),
            subject: Subject::Technical,
            message: Message::parse("The \"engine\"\r\n\tis stuck: C:\\tmp/x").unwrap(),
            timestamp: ClientTimestamp::parse("2026-12-31t23:59:60.123456789-08:00").unwrap(),
            user_id: Some(UserId::parse("user-4711").unwrap()),
            user_agent: Some(UserAgent::parse("Mozilla/5.0 (X11; Linux)").unwrap()),
            url: Some(PageUrl::parse("https://example.org/help?a=b&c=%20#d").unwrap()),
        },
        trace: Trace {
            request_id: "9f86d081884c7d659a2feaa0c55ad015".to_owned(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        },
        ..minimal()
    }
}

fn unicode() -> Submission {
    let form = Form {
        name: Name::parse("👩‍👩‍👧 مرحبا 𠀀 İß e\u{301}").unwrap(),
        email: Email::parse("münchen@exämple.de").unwrap(),
        message: Message::parse("\u{2028}\u{200b}x\u{feff}\u{fffd}<script>&amp;").unwrap(),
        // Empty is not absent.
        user_id: Some(UserId::parse("").unwrap()),
        url: Some(PageUrl::parse("https://münchen.de/ü?ß=𠀀").unwrap()),
        ..minimal().form
    };
    Submission { form, ..minimal() }
}

fn several() -> Vec<Submission> {
    let subjects = Subject::ALL.iter().zip(1..);
    let of_subject = |(subject, number): (&Subject, u128)| Submission {
        id: Uuid::from_u128(number).into(),
        form: Form { subject: *subject, ..minimal().form },
        ..minimal()
    };
    subjects.map(of_subject).chain([full(), unicode()]).collect()
}

fn keyed() -> Submission {
    let id = Uuid::from_u128(0x8246_4917_671e_81ff_a4d5_59bd_47bc_f198).into();
    let key = Some(KeyHash(*b"\x00\x01\x7f\x80\xfe\xff0123456789"));
    Submission { id, key, ..minimal() }
}

/// Every file with what was once encoded into it.
fn files() -> [(&'static [u8], Vec<Submission>); 5] {
    [
        (include_bytes!("envelope-v1-minimal.json"), vec![minimal()]),
        (include_bytes!("envelope-v1-full.json"), vec![full()]),
        (include_bytes!("envelope-v1-unicode.json"), vec![unicode()]),
        (include_bytes!("envelope-v1-several.json"), several()),
        (include_bytes!("envelope-v1-keyed.json"), vec![keyed(), minimal()]),
    ]
}

#[test]
fn every_envelope_that_was_ever_sent_decodes_to_the_same_submissions() {
    for (bytes, submissions) in files() {
        let items = envelope::decode(&Bytes::from_static(bytes)).unwrap();
        let decoded: Vec<_> = items.into_iter().map(Result::unwrap).collect();
        assert_eq!(decoded, submissions);
    }
}

/// Fails when a release writes otherwise. Then an older worker must still read it, and what is
/// written now belongs in a new file beside the old one, for the test above.
#[test]
fn todays_encoder_writes_exactly_these_bytes() {
    assert_eq!(envelope::VERSION, 1);
    for (bytes, submissions) in files() {
        let encoded = envelope::encode(&submissions);
        assert_eq!(str::from_utf8(&encoded).unwrap(), str::from_utf8(bytes).unwrap());
    }
}

#[test]
fn every_file_here_is_tested() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden");
    let is_golden = |path: &std::path::PathBuf| path.to_string_lossy().contains("/envelope-");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        paths.filter(is_golden).map(|path| std::fs::read(path).unwrap()).collect();
    let mut known: Vec<_> = files().iter().map(|(bytes, _)| bytes.to_vec()).collect();
    found.sort();
    known.sort();
    assert!(found == known, "a golden file that no test reads");
}
