//! What ties the log lines, messages and events of one request together.

use std::fmt;

use serde::{Deserialize, Serialize};

use tracing::Span;

use crate::{clock::Entropy, keys::hex};

/// The name of the span that log lines of a request are in.
pub(crate) const SPAN: &str = "request";

/// Longest request id taken over from a caller, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;

/// The request id and the W3C trace context of the request that caused something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The caller's `X-Request-Id` if it was sane, else one of ours.
    pub request_id: String,
    /// `traceparent` as of <https://www.w3.org/TR/trace-context/>, with our own span as parent.
    pub traceparent: String,
}

impl Trace {
    /// Continues the caller's trace where it sent a sane one, and starts one where not.
    #[must_use]
    pub fn of_request(
        request_id: Option<&str>,
        traceparent: Option<&str>,
        entropy: &dyn Entropy,
    ) -> Self {
        let mut fresh = [0; 40];
        entropy.fill(&mut fresh);
        let request_id = request_id
            .filter(|id| is_sane_request_id(id))
            .map_or_else(|| hex(&fresh[..16]), str::to_owned);
        let (trace_id, flags) = traceparent
            .and_then(parse_traceparent)
            .map_or_else(|| (hex(&fresh[16..32]), "00"), |(id, flags)| (id.to_owned(), flags));
        let traceparent = format!("00-{trace_id}-{}-{flags}", hex(&fresh[32..]));
        Self { request_id, traceparent }
    }

    /// What the request causes is logged in it, by whatever part: its lines name the request.
    #[must_use]
    pub fn span(&self) -> Span {
        let Self { request_id, traceparent } = self;
        // As grave as any line can be: a filter that lets a line through lets its request through.
        tracing::error_span!(target: "supportline", SPAN, request_id, traceparent)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.request_id)
    }
}

/// Whether a caller's request id may stand in headers and logs as it is.
#[must_use]
pub fn is_sane_request_id(id: &str) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether the text is a version-00 `traceparent`.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    parse_traceparent(text).is_some()
}

/// The trace id and the flags of a version-00 header; a later version is read as 00, as the
/// recommendation asks.
fn parse_traceparent(text: &str) -> Option<(&str, &str)> {
    let lower_hex = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let not_zero = |part: &str| part.bytes().any(|byte| byte != b'0');
    let mut parts = text.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = [version.len(), id.len(), parent.len(), flags.len()] == [2, 32, 16, 2];
    let digits = [version, id, parent, flags].into_iter().all(lower_hex);
    let complete = version != "00" || parts.next().is_none();
    (lengths && digits && complete && version != "ff" && not_zero(id) && not_zero(parent))
        .then_some((id, flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_sane_request_id_and_trace_are_continued_under_a_span_of_ours() {
        let trace = Trace::of_request(Some("order-66"), Some(PARENT), &SystemEntropy);
        assert_eq!(trace.request_id, "order-66");
        assert!(trace.traceparent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(trace.traceparent.ends_with("-01"));
        assert!(!trace.traceparent.contains("00f067aa0ba902b7"));
    }

    #[test]
    fn anything_else_is_replaced() {
        let long = "x".repeat(REQUEST_ID_BYTES_MAX + 1);
        for id in ["", "\"><script>", "a b", "é", &long] {
            assert_ne!(Trace::of_request(Some(id), None, &SystemEntropy).request_id, id);
        }
        let no_id = PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        for parent in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &no_id,
            &format!("{PARENT}-x"),
            &PARENT.replace("00-4", "ff-4"),
        ] {
            assert!(!is_traceparent(parent), "{parent}");
        }
        assert!(is_traceparent(&Trace::of_request(None, None, &SystemEntropy).traceparent));
    }
}
