//! The `Prefer` header (RFC 7240): how long a sender is willing to wait.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The preferences known here; all others are ignored, as the RFC asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preferences {
    respond_async: bool,
    wait_seconds: Option<u64>,
}

/// How long an answer waits for the ticket number, and what of that was the sender's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// `None`: not at all, whoever asked for that gets 202 as soon as that is true.
    pub reply_wait: Option<Duration>,
    /// The value of `Preference-Applied`.
    pub applied: Option<HeaderValue>,
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
        let applied = match (self.respond_async, wait_seconds) {
            (true, None) => Some(HeaderValue::from_static("respond-async")),
            (true, Some(seconds)) => {
                HeaderValue::try_from(format!("respond-async, wait={seconds}")).ok()
            }
            (false, Some(seconds)) => HeaderValue::try_from(format!("wait={seconds}")).ok(),
            (false, None) => None,
        };
        Patience { reply_wait, applied }
    }
}

/// Whole seconds; more than fit are as good as the most that do.
fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Splits where the separator stands outside a quoted string.
pub fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(lines: &[&'static str]) -> (Option<u64>, String) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(PREFER, HeaderValue::from_static(line));
        }
        let Patience { reply_wait, applied } =
            Preferences::of(&headers).patience(Duration::from_secs(10));
        let applied = applied.map(|applied| applied.to_str().unwrap().to_owned());
        (reply_wait.map(|wait| wait.as_secs()), applied.unwrap_or_default())
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
        for (lines, wait, applied) in table {
            assert_eq!(patience(lines), (*wait, (*applied).to_owned()), "{lines:?}");
        }
    }
}
