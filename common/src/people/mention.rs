//! Whose a dead letter is. Letters lie there because something is wrong with them, or new, so nothing is
//! asked of an envelope or a part of one but that it says whose it is.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use crate::{
    domain::{Email, SubmissionId},
    envelope::BODY_BYTES_MAX,
    ports::dead_letters::Verdict,
};

/// What a letter holds of a person.
#[derive(Debug, Default)]
pub(super) struct Mention {
    /// Their submissions, as they lie there.
    pub(super) submissions: Vec<Value>,
    /// What is left of the body without them; nothing, if there is nothing else in it.
    rest: Option<Bytes>,
    /// Whether their address stands in what is nobody's for certain.
    pub(super) is_undecided: bool,
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

impl Mention {
    /// Of this person, in this body.
    pub(super) fn of(email: &Email, body: &Bytes) -> Self {
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= BODY_BYTES_MAX);
        match text.and_then(members) {
            Some(whole) => Self::in_object(email, &whole, body),
            None => Self { is_undecided: stands_in(email, body), ..Self::default() },
        }
    }

    fn in_object(email: &Email, whole: &Members<'_>, body: &[u8]) -> Self {
        let parts = whole.get("submissions").map(|it| serde_json::from_str(it.get()));
        match parts {
            Some(Ok(parts)) => Self::in_envelope(email, whole, parts),
            // A part of an envelope by itself, or nothing we know.
            None | Some(Err(_)) => match whose(email, whole) {
                Whose::Theirs => Self { submissions: vec![value(body)], ..Self::default() },
                Whose::Others => Self::default(),
                Whose::Unknown => {
                    Self { is_undecided: stands_in_json(email, body), ..Self::default() }
                }
            },
        }
    }

    fn in_envelope(email: &Email, whole: &Members<'_>, parts: Vec<&RawValue>) -> Self {
        let mut mention = Self::default();
        let mut others = Vec::new();
        for part in parts {
            match members(part.get()).map_or(Whose::Unknown, |it| whose(email, &it)) {
                Whose::Theirs => mention.submissions.push(value(part.get().as_bytes())),
                Whose::Others => others.push(part),
                Whose::Unknown => {
                    mention.is_undecided |= stands_in_json(email, part.get().as_bytes());
                    others.push(part);
                }
            }
        }
        if !mention.submissions.is_empty() && !others.is_empty() {
            mention.rest = without(whole, &others);
        }
        mention
    }

    /// What is to become of the letter.
    pub(super) fn verdict(&self) -> Verdict {
        match &self.rest {
            _ if self.submissions.is_empty() => Verdict::Keep,
            Some(rest) => Verdict::Replace(rest.clone()),
            None => Verdict::Discard,
        }
    }

    /// What their submissions are called.
    pub(super) fn ids(&self) -> Vec<SubmissionId> {
        let id = |it: &Value| it["id"].as_str()?.parse::<Uuid>().ok().map(SubmissionId::from);
        self.submissions.iter().filter_map(id).collect()
    }
}

/// Whose a submission is, by its own word.
enum Whose {
    Theirs,
    Others,
    Unknown,
}

fn whose(email: &Email, submission: &Members<'_>) -> Whose {
    let address = submission.get("email").map(|it| serde_json::from_str::<String>(it.get()));
    match address {
        Some(Ok(address)) if address.eq_ignore_ascii_case(email.as_str()) => Whose::Theirs,
        Some(Ok(_)) => Whose::Others,
        Some(Err(_)) | None => Whose::Unknown,
    }
}

/// serde reads lists as structs; this reads objects.
fn members(text: &str) -> Option<Members<'_>> {
    let is_object = text.trim_start().starts_with('{');
    is_object.then(|| serde_json::from_str(text).ok()).flatten()
}

/// The envelope with these submissions alone.
fn without(whole: &Members<'_>, others: &[&RawValue]) -> Option<Bytes> {
    let submissions = serde_json::value::to_raw_value(others).ok()?;
    let mut whole = whole.clone();
    whole.insert("submissions".to_owned(), &submissions);
    serde_json::to_vec(&whole).ok().map(Bytes::from)
}

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_default()
}

/// Also where it is written with escapes.
fn stands_in_json(email: &Email, json: &[u8]) -> bool {
    stands_in(email, json) || stands_in(email, value(json).to_string().as_bytes())
}

fn stands_in(email: &Email, body: &[u8]) -> bool {
    let address = email.as_str().as_bytes();
    body.windows(address.len()).any(|window| window.eq_ignore_ascii_case(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mention(body: &str) -> Mention {
        Mention::of(&Email::parse("ada@example.org").unwrap(), &Bytes::from(body.to_owned()))
    }

    fn replaced(body: &str) -> String {
        match mention(body).verdict() {
            Verdict::Replace(rest) => String::from_utf8(rest.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_letter_of_theirs_alone_goes() {
        for body in [
            r#"{"v":1,"submissions":[{"email":"ada@example.org"}]}"#,
            r#"{"v":1,"submissions":[{"email":"ADA@Example.org"},{"email":"ada@example.org"}]}"#,
            r#"{"v":7,"submissions":[{"email":"ada@example.org","later":[1]}]}"#,
            r#"{"email":"ad\u0061@example.org"}"#,
        ] {
            assert_eq!(mention(body).verdict(), Verdict::Discard, "{body}");
            assert!(!mention(body).is_undecided);
        }
    }

    #[test]
    fn others_stay_to_the_letter() {
        let others = r#"{"email" : "bob@example.org","n":1e2},7"#;
        let body = format!(r#"{{"v":1,"submissions":[{{"email":"ada@example.org"}},{others}]}}"#);
        assert_eq!(replaced(&body), format!(r#"{{"submissions":[{others}],"v":1}}"#));
        let about_them =
            r#"{"v":1,"submissions":[{"email":"b@x.org","message":"ada@example.org"}]}"#;
        assert_eq!(mention(about_them).verdict(), Verdict::Keep);
        assert!(!mention(about_them).is_undecided, "it is another's");
    }

    #[test]
    fn what_cannot_be_decided_is_kept_and_told() {
        for body in [
            "ada@example.org\u{0}\u{1}",
            "{\"email\":\"ADA@example.org\"",
            r#"["ada@example.org"]"#,
            r#"{"from":"ad\u0061@example.org"}"#,
            r#"{"email":["ada@example.org"]}"#,
            r#"{"v":2,"submissions":["ada@example.org"]}"#,
            r#"{"v":2,"submissions":{"a":"ada@example.org"}}"#,
        ] {
            assert_eq!(mention(body).verdict(), Verdict::Keep, "{body}");
            assert!(mention(body).is_undecided, "{body}");
        }
        assert!(!mention("bob@example.org").is_undecided);
    }

    #[test]
    fn a_letters_submissions_are_told_by_their_ids() {
        let id = "01a202c3-c662-7aeb-85b5-ac7a63952b19";
        let body = format!(
            r#"{{"v":1,"submissions":[{{"id":"{id}","email":"ada@example.org"}},{{"email":"b@x.org"}}]}}"#
        );
        let ids = mention(&body).ids();
        assert_eq!(ids.iter().map(ToString::to_string).collect::<Vec<_>>(), [id]);
    }
}
