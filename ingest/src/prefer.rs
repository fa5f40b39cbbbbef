//! The `Prefer` header (RFC 7240): how long a sender is willing to wait.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::client::split_unquoted;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The preferences known here; all others are ignored, as the RFC asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preferences {
    respond_async: bool,
    wait_seconds: Option<u64>,
}

/// How long an answer waits for the ticket number, and what of that was the sender's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// `None`: not at all, whoever asked for that gets 202 as soon as that is true.
    pub reply_wait: Option<Duration>,
    wished: Preferences,
}

impl Patience {
    /// The value of `Preference-Applied`, of an answer that is not the last word or one that is:
    /// `respond-async` is honoured by the former only.
    pub fn applied(self, is_async: bool) -> Option<HeaderValue> {
        let respond_async = self.wished.respond_async && is_async;
        let respond_async = respond_async.then(|| "respond-async".to_owned());
        let wait = self.wished.wait_seconds.map(|seconds| format!("wait={seconds}"));
        let words: Vec<_> = respond_async.into_iter().chain(wait).collect();
        HeaderValue::try_from(words.join(", ")).ok().filter(|words| !words.is_empty())
    }
}

impl Preferences {
    /// Reads every `Prefer` line. Of a preference given twice the first counts.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut preferences = Self::default();
        let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
        for preference in lines.flat_map(|line| split_unquoted(line, ',')) {
            preferences.add(preference);
        }
        preferences
    }

    fn add(&mut self, preference: &str) {
        // Parameters of a preference, after a semicolon, mean nothing to the two known here.
        let word = split_unquoted(preference, ';').next().unwrap_or_default();
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.eq_ignore_ascii_case("respond-async") && value.is_empty() {
            self.respond_async = true;
        } else if name.eq_ignore_ascii_case("wait") && self.wait_seconds.is_none() {
            self.wait_seconds = seconds(value);
        }
    }

    /// What the preferences make of the reply wait that is configured. They shorten it only;
    /// together they mean: wait so long, and only then go on without me (RFC 7240, 4.3).
    pub fn patience(self, reply_wait_max: Duration) -> Patience {
        let wait_seconds =
            self.wait_seconds.filter(|seconds| Duration::from_secs(*seconds) <= reply_wait_max);
        let reply_wait = match (self.wait_seconds, wait_seconds) {
            (_, Some(seconds)) => Some(Duration::from_secs(seconds)),
            (None, _) if self.respond_async => None,
            _ => Some(reply_wait_max),
        };
        Patience { reply_wait, wished: Self { wait_seconds, ..self } }
    }
}

/// Whole seconds; more than fit are as good as the most that do.
fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(lines: &[&'static str]) -> Patience {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(PREFER, HeaderValue::from_static(line));
        }
        Preferences::of(&headers).patience(Duration::from_secs(10))
    }

    fn applied(patience: Patience, is_async: bool) -> String {
        let applied = patience.applied(is_async);
        applied.map(|applied| applied.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn preferences_are_read_as_the_rfc_writes_them() {
        let table: &[(&[&str], Option<u64>, &str)] = &[
            (&[], Some(10), ""),
            (&["respond-async"], None, "respond-async"),
            (&["Respond-Async"], None, "respond-async"),
            (&["respond-async=\"\""], None, "respond-async"),
            (&["respond-async=1"], Some(10), ""),
            (&["wait=3"], Some(3), "wait=3"),
            (&["WAIT = \"3\""], Some(3), "wait=3"),
            (&["wait=0"], Some(0), "wait=0"),
            (&["wait=3, wait=5"], Some(3), "wait=3"),
            (&["wait=10"], Some(10), "wait=10"),
            (&["wait=11"], Some(10), ""),
            (&["wait=99999999999999999999999"], Some(10), ""),
            (&["wait=-1"], Some(10), ""),
            (&["wait=1.5"], Some(10), ""),
            (&["wait="], Some(10), ""),
            (&["wait"], Some(10), ""),
            (&["respond-async, wait=3"], Some(3), "respond-async, wait=3"),
            (&["wait=3", "respond-async"], Some(3), "respond-async, wait=3"),
            (&["respond-async, wait=60"], Some(10), "respond-async"),
            (&["return=minimal; x=\"a,wait=1\", wait=4;y=2"], Some(4), "wait=4"),
            (&["foo=\"a\\\",wait=1\", , ;, wait=4"], Some(4), "wait=4"),
            (&["handling=lenient", "respond-asynchronously"], Some(10), ""),
        ];
        for (lines, wait, expected) in table {
            let told = patience(lines);
            assert_eq!(told.reply_wait.map(|wait| wait.as_secs()), *wait, "{lines:?}");
            assert_eq!(applied(told, true), *expected, "{lines:?}");
        }
    }

    #[test]
    fn an_answer_that_is_the_last_word_was_not_asynchronous() {
        for (lines, expected) in [
            (&["respond-async, wait=3"], "wait=3"),
            (&["respond-async, wait=60"], ""),
            (&["wait=3"], "wait=3"),
        ] {
            assert_eq!(applied(patience(lines), false), expected, "{lines:?}");
        }
    }
}
