//! Web origins: whose pages may use the public API from a browser.

use url::Url;

/// The origins of pages that may read answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CorsOrigins {
    /// None but our own.
    #[default]
    None,
    /// Whichever.
    Any,
    /// These, as browsers write them.
    These(Vec<String>),
}

impl CorsOrigins {
    /// `*`, or origins separated by commas.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let origins = text.split(',').map(str::trim).map(origin);
        origins.collect::<Option<_>>().map(Self::These)
    }

    /// Whether pages of this origin may read answers.
    #[must_use]
    pub fn admit(&self, origin: &str) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::These(origins) => origins.iter().any(|admitted| admitted == origin),
        }
    }
}

/// Takes exactly what a browser would send: whatever else is written down would never match.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()))?;
    let origin = url.origin().ascii_serialization();
    // A star within an origin means nothing to a browser, whatever its writer hopes for.
    (origin == text && !text.contains('*')).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_send_them() {
        assert_eq!(CorsOrigins::parse(" * "), Some(CorsOrigins::Any));
        let origins = "https://www.example.org,http://localhost:3000 , https://[::1]:8443";
        let Some(CorsOrigins::These(origins)) = CorsOrigins::parse(origins) else { panic!() };
        assert_eq!(
            origins,
            ["https://www.example.org", "http://localhost:3000", "https://[::1]:8443"]
        );
    }

    #[test]
    fn what_no_browser_would_send_is_refused() {
        for text in [
            "",
            "null",
            "example.org",
            "https://",
            "https://example.org/",
            "https://example.org/path",
            "https://example.org?x",
            "https://example.org#x",
            "https://user@example.org",
            "https://example.org:443",
            "http://example.org:80",
            "https://Example.org",
            "HTTPS://example.org",
            "https://*.example.org",
            "https://exämple.org",
            "https://example.org:99999",
            "ftp://example.org",
            "file:///tmp",
            "https://a.org,",
            "https://a.org,,https://b.org",
            "https://a.org https://b.org",
            "*,https://a.org",
        ] {
            assert_eq!(CorsOrigins::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_origin_is_admitted_as_a_whole() {
        let origins = CorsOrigins::parse("https://example.org,http://localhost:3000").unwrap();
        assert!(origins.admit("https://example.org") && origins.admit("http://localhost:3000"));
        for other in [
            "",
            "null",
            "http://example.org",
            "https://example.org:8443",
            "https://example.org.evil.net",
            "https://evil-example.org",
            "https://www.example.org",
            "http://localhost",
        ] {
            assert!(!origins.admit(other), "{other}");
        }
        assert!(CorsOrigins::Any.admit("null") && !CorsOrigins::None.admit("https://example.org"));
    }
}
