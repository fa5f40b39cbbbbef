//! Reads a request's body: of the right kind, of bounded size, in bounded time.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::problem::Problem;

/// Longest body read, in bytes: the longest form in four-byte characters and room for escapes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a body may take. A form fits into a few packets; whoever takes longer holds a
/// connection on purpose or has lost theirs.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// What is read and thrown away of a body that is too large, so that a sender who is still writing
/// gets to see the answer instead of a reset connection.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;
const DISCARD_WAIT: Duration = Duration::from_secs(1);

/// What a request with a body may be answered that is no JSON, or does not come: from here, and from
/// whoever parses what was read.
#[must_use]
pub fn refusals() -> Vec<Problem> {
    vec![
        Problem::InvalidJson,
        Problem::IncompleteBody,
        Problem::BodyTimeout,
        Problem::BodyTooLarge,
        Problem::UnsupportedMediaType,
        Problem::UnsupportedEncoding,
    ]
}

/// Admits `application/json`, with `charset=utf-8` or without, and nothing compressed, be it for the
/// whole way or for this hop.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    require(headers, &["application/json"]).map(drop)
}

/// The same of one of these types, and which one it is. A table in CSV has the names of its columns.
pub fn require(headers: &HeaderMap, accepted: &[&'static str]) -> Result<&'static str, Problem> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let found = match (types.next(), types.next()) {
        (Some(content_type), None) => accepted.iter().find(|it| is_of(content_type, it)),
        _ => None,
    };
    let found = found.ok_or(Problem::UnsupportedMediaType)?;
    let is_identity =
        |encoding: &HeaderValue| encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    let is_chunked =
        |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_identity)
        && headers.get_all(header::TRANSFER_ENCODING).iter().all(is_chunked)
    {
        Ok(found)
    } else {
        Err(Problem::UnsupportedEncoding)
    }
}

fn is_of(content_type: &HeaderValue, accepted: &str) -> bool {
    let Ok(content_type) = content_type.to_str() else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let is_fit = |parameter: &str| {
        parameter.split_once('=').is_some_and(|(name, value)| {
            let says = |its_name: &str, its_value: &str| {
                name.eq_ignore_ascii_case(its_name)
                    && value.trim_matches('"').eq_ignore_ascii_case(its_value)
            };
            says("charset", "utf-8") || accepted == "text/csv" && says("header", "present")
        })
    };
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(accepted))
        && parts.all(|parameter| parameter.is_empty() || is_fit(parameter))
}

/// Reads the whole body. One that is announced too large is refused unread, so that a sender who
/// asked first (`Expect: 100-continue`) need not send it.
pub async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Problem> {
    if announced_bytes(headers) > BODY_BYTES_MAX as u64 {
        if !headers.contains_key(header::EXPECT) {
            discard(&mut body).await;
        }
        return Err(Problem::BodyTooLarge);
    }
    let collected = timeout(BODY_WAIT, collect(&mut body)).await;
    let collected = collected.unwrap_or(Err(Problem::BodyTimeout));
    if collected == Err(Problem::BodyTooLarge) {
        discard(&mut body).await;
    }
    collected
}

fn announced_bytes(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Most bodies come in one piece and are not copied.
async fn collect(body: &mut Body) -> Result<Bytes, Problem> {
    let Some(first) = next_piece(body, 0).await? else { return Ok(Bytes::new()) };
    let Some(second) = next_piece(body, first.len()).await? else { return Ok(first) };
    let mut whole = BytesMut::with_capacity(first.len() + 2 * second.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(piece) = next_piece(body, whole.len()).await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next bytes after `bytes_before` others; trailers are of no interest.
async fn next_piece(body: &mut Body, bytes_before: usize) -> Result<Option<Bytes>, Problem> {
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Problem::IncompleteBody)?.into_data() else { continue };
        if bytes_before + piece.len() > BODY_BYTES_MAX {
            return Err(Problem::BodyTooLarge);
        }
        return Ok(Some(piece));
    }
    Ok(None)
}

/// How long whoever is refused before their body was read may take to send the rest of it. What
/// was sent together with the head is there by then.
const REST_WAIT: Duration = Duration::from_millis(20);

/// Answers a request that is refused unread, and throws away what is already there of its body:
/// closed on what was not read, a connection is reset, and its answer with it. If there is more, the
/// answer says that the connection ends.
pub async fn decline(headers: &HeaderMap, mut body: Body, refusal: impl IntoResponse) -> Response {
    let is_asked_for = headers.contains_key(header::EXPECT);
    let is_read = body.is_end_stream()
        || (!is_asked_for && timeout(REST_WAIT, discard(&mut body)).await.unwrap_or(false));
    let mut response = refusal.into_response();
    if !is_read {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether that was all. A sender who needs longer sees a reset.
async fn discard(body: &mut Body) -> bool {
    let discarding = async {
        let mut bytes = 0;
        while bytes < DISCARD_BYTES_MAX {
            let Some(Ok(frame)) = body.frame().await else { return true };
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
        false
    };
    timeout(DISCARD_WAIT, discarding).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{StreamBody, combinators::UnsyncBoxBody};
    use hyper::body::Frame;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// A body of pieces that come with a pause before each.
    fn pieces(pieces: &[usize], pause: Duration) -> Body {
        let pieces: Vec<_> = pieces.iter().map(|bytes| Bytes::from(vec![b'x'; *bytes])).collect();
        let stream = stream::unfold(pieces.into_iter(), move |mut pieces| async move {
            sleep(pause).await;
            let piece = pieces.next()?;
            Some((Ok::<_, std::io::Error>(Frame::data(piece)), pieces))
        });
        Body::new(UnsyncBoxBody::new(StreamBody::new(stream)))
    }

    async fn read_pieces(lengths: &[usize], pause: Duration) -> Result<usize, Problem> {
        read(&HeaderMap::new(), pieces(lengths, pause)).await.map(|body| body.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_have_64_kib_in_however_many_pieces_and_no_byte_more() {
        let at_once = Duration::ZERO;
        assert_eq!(read_pieces(&[], at_once).await, Ok(0));
        assert_eq!(read_pieces(&[7], at_once).await, Ok(7));
        assert_eq!(read_pieces(&[65_536], at_once).await, Ok(65_536));
        assert_eq!(read_pieces(&[60_000, 5_000, 500, 36], at_once).await, Ok(65_536));
        assert_eq!(read_pieces(&[65_537], at_once).await, Err(Problem::BodyTooLarge));
        assert_eq!(read_pieces(&[65_536, 1], at_once).await, Err(Problem::BodyTooLarge));
        assert_eq!(read_pieces(&[60_000, 5_000, 537], at_once).await, Err(Problem::BodyTooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_ten_seconds() {
        let asked_at = Instant::now();
        assert_eq!(read_pieces(&[1; 9], Duration::from_secs(1)).await, Ok(9));
        assert_eq!(read_pieces(&[1; 60], Duration::from_secs(1)).await, Err(Problem::BodyTimeout));
        assert_eq!(asked_at.elapsed(), Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_unread_is_told_that_the_connection_ends_unless_all_was_there() {
        let mut headers = HeaderMap::new();
        let (at_once, half) = (Duration::ZERO, Duration::from_millis(500));
        for (body, is_closed) in [
            (Body::empty(), false),
            (pieces(&[1, 60_000], at_once), false),
            (pieces(&[1; 9], half), true),
            (pieces(&[65_536; 17], at_once), true),
        ] {
            let asked_at = Instant::now();
            let answer = decline(&headers, body, Problem::Saturated).await;
            assert_eq!(answer.headers().contains_key(header::CONNECTION), is_closed);
            assert!(asked_at.elapsed() <= REST_WAIT);
        }
        headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        let answer = decline(&headers, pieces(&[1], at_once), Problem::Saturated).await;
        assert_eq!(answer.headers()[header::CONNECTION], "close");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_announced_too_large_is_refused_and_unread_if_its_sender_asked_first() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, 65_537.into());
        let endless = || pieces(&[1; 1_000], Duration::from_millis(500));
        let asked_at = Instant::now();
        assert_eq!(read(&headers, endless()).await, Err(Problem::BodyTooLarge));
        assert_eq!(asked_at.elapsed(), DISCARD_WAIT);
        headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        assert_eq!(read(&headers, endless()).await, Err(Problem::BodyTooLarge));
        assert_eq!(asked_at.elapsed(), DISCARD_WAIT);
    }

    fn kind(types: &[&'static str], encodings: &[&'static str]) -> &'static str {
        let mut headers = HeaderMap::new();
        for value in types {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        for value in encodings {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        require_json(&headers).map_or_else(|problem| problem.code(), |()| "ok")
    }

    #[test]
    fn only_uncompressed_json_in_utf_8_is_read() {
        let json = "application/json";
        for content_type in [
            json,
            "Application/JSON",
            "application/json;",
            "application/json;charset=utf-8",
            "application/json; charset=UTF-8",
            "application/json ; Charset=\"utf-8\"",
        ] {
            assert_eq!(kind(&[content_type], &[]), "ok", "{content_type}");
        }
        let refused: &[&[&str]] = &[
            &[],
            &[""],
            &["application/json; charset=utf-16"],
            &["application/json; charset=iso-8859-1"],
            &["application/json; boundary=x"],
            &["application/problem+json"],
            &["application/jsonp"],
            &["application/x-www-form-urlencoded"],
            &["multipart/form-data; boundary=x"],
            &["text/plain"],
            &[json, json],
        ];
        for types in refused {
            assert_eq!(kind(types, &[]), "unsupported_media_type", "{types:?}");
        }
        assert_eq!(kind(&[json], &["Identity"]), "ok");
        for encodings in [&["gzip"][..], &["identity", "br"], &["identity, gzip"], &[""]] {
            assert_eq!(kind(&[json], encodings), "unsupported_encoding", "{encodings:?}");
        }
        for (codings, told) in [("chunked", true), ("Chunked", true), ("gzip, chunked", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(json));
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static(codings));
            assert_eq!(require_json(&headers).is_ok(), told, "{codings}");
        }
    }
}
