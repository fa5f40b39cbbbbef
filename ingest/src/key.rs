//! The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): the name under which a
//! sender repeats a submission.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{client::split_unquoted, problem::Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key.
const CHARACTERS_MAX: usize = 255;

/// A key: 1 to 255 visible ASCII characters.
#[derive(Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the header, if there is one. [`Problem::InvalidIdempotencyKey`] for what is no key, and
    /// for two of them: which one was meant is anybody's guess.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut lines = headers.get_all(IDEMPOTENCY_KEY).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(line), None) => read(line).map(Some).ok_or(Problem::InvalidIdempotencyKey),
            (Some(_), Some(_)) => Err(Problem::InvalidIdempotencyKey),
        }
    }

    /// The key's characters, without quotes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A quoted string as structured fields have it (RFC 9651, 3.3.3), or its characters bare. Either way
/// it is the same key.
fn read(line: &HeaderValue) -> Option<IdempotencyKey> {
    let line = line.to_str().ok()?.trim_ascii();
    let is_quoted = line.starts_with('"');
    // A comma joins what were two lines.
    if split_unquoted(line, ',').nth(1).is_some() {
        return None;
    }
    let key = if is_quoted {
        // Parameters, of which none is defined, are to be ignored.
        let item = split_unquoted(line, ';').next()?;
        unquoted(item.strip_prefix('"')?.strip_suffix('"')?)?
    } else {
        line.to_owned()
    };
    let is_key = (1..=CHARACTERS_MAX).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic())
        // A quote in it was meant to be a string's.
        && (is_quoted || !key.contains('"'));
    is_key.then_some(IdempotencyKey(key))
}

/// What is between the quotes: only a quote and a backslash are escaped, and always.
fn unquoted(text: &str) -> Option<String> {
    let mut characters = text.chars();
    let mut key = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        key.push(match character {
            '\\' => characters.next().filter(|it| "\"\\".contains(*it))?,
            '"' => return None,
            character => character,
        });
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(lines: &[&[u8]]) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(line).unwrap());
        }
        let key = IdempotencyKey::of(&headers)?;
        Ok(key.map(|key| String::from_utf8(key.as_bytes().to_vec()).unwrap()))
    }

    #[test]
    fn quoted_or_bare_it_is_the_same_key() {
        let longest = "k".repeat(255);
        for (line, expected) in [
            ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("  \"a\"\t", "a"),
            ("x", "x"),
            ("a=b;c:d/e+f==", "a=b;c:d/e+f=="),
            (r#""a\"b\\c,d""#, r#"a"b\c,d"#),
            (&longest, &longest),
            (&format!("\"{longest}\""), &longest),
            ("\"a;b,c\"", "a;b,c"),
            ("\"a\";v=1; w=\"x,y\";z", "a"),
        ] {
            assert_eq!(key(&[line.as_bytes()]), Ok(Some(expected.to_owned())), "{line}");
        }
        assert_eq!(key(&[]), Ok(None));
    }

    #[test]
    fn anything_else_is_refused() {
        let too_long = "k".repeat(256);
        let too_long_quoted = format!("\"{too_long}\"");
        let refused: [&[&[u8]]; 20] = [
            &[b""],
            &[b"  "],
            &[b"\"\""],
            &[b"\""],
            &[b"\"a"],
            &[b"a\""],
            &[b"\"a\"b\""],
            &[b"\"a\" ;v=1"],
            &[b"\"a\";v=1, \"b\""],
            &[b"\"a\", \"b\""],
            &[br#""a\b""#],
            &[br#""a\""#],
            &[b"a b"],
            &[b"\"a b\""],
            &[b"a,b"],
            &[b"a\tb"],
            &["schlüssel".as_bytes()],
            &[too_long.as_bytes()],
            &[too_long_quoted.as_bytes()],
            &[b"a", b"a"],
        ];
        for lines in refused {
            assert_eq!(key(lines), Err(Problem::InvalidIdempotencyKey), "{lines:?}");
        }
    }
}
