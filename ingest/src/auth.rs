//! Who may see the statistics: for now whoever has the bootstrap key of role admin.

use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::Problem;

/// The admin token as a digest: of equal length whatever the token's, so that comparing takes the
/// same time for any guess, and useless to whoever reads it in a core dump.
pub struct AdminToken(Option<[u8; 32]>);

impl AdminToken {
    /// Without a token, or with an empty one, nobody is admitted.
    pub fn new(token: Option<&SecretString>) -> Self {
        let token = token.map(SecretString::expose_secret).filter(|token| !token.is_empty());
        Self(token.map(|token| digest(token.as_bytes())))
    }

    /// Admits a request with exactly one `Authorization: Bearer` header that holds the token. All
    /// others get the same answer.
    pub fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = digest(bearer_token(headers).unwrap_or_default());
        let admitted = self.0.is_some_and(|token| token.ct_eq(&given).into());
        if admitted { Ok(()) } else { Err(Problem::Unauthorized) }
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(credentials), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = credentials.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn is_admitted(token: Option<&str>, headers: &[&'static str]) -> bool {
        let mut given = HeaderMap::new();
        for value in headers {
            given.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        AdminToken::new(token.map(SecretString::from).as_ref()).admit(&given).is_ok()
    }

    #[test]
    fn only_the_token_in_one_bearer_header_is_admitted() {
        assert!(is_admitted(Some("s3cret"), &["Bearer s3cret"]));
        assert!(is_admitted(Some("s3cret"), &["bearer s3cret"]));
        let refused: &[&[&str]] = &[
            &[],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Bearers3cret"],
            &["Bearer s3cre"],
            &["Bearer s3crets"],
            &["Bearer S3CRET"],
            &["Bearer s3cret "],
            &["Bearer  s3cret"],
            &["Bearer s3cret s3cret"],
            &["Bearer s3cret,"],
            &["Basic s3cret"],
            &["s3cret"],
            &["Bearer s3cret", "Bearer s3cret"],
            &["Bearer s3cret", "Bearer wrong"],
        ];
        for headers in refused {
            assert!(!is_admitted(Some("s3cret"), headers), "{headers:?}");
        }
    }

    #[test]
    fn without_a_token_configured_nobody_is_admitted() {
        for header in ["Bearer ", "Bearer x", ""] {
            assert!(!is_admitted(None, &[header]), "{header}");
            assert!(!is_admitted(Some(""), &[header]), "{header}");
        }
    }
}
