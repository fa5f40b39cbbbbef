//! The fields of a form. Each is a type that only its rule can make, so whatever the edge accepts
//! every store can hold, and a worker reading a foreign message applies the same rules.

use std::fmt;

use chrono::DateTime;
use email_address::{EmailAddress, Options};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use url::Url;

/// A rule of one field that a value breaks. Never repeats the value: it may be personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleViolation {
    /// The machine's word for it, as in the error body.
    pub code: &'static str,
    /// A sentence for a person.
    pub detail: String,
}

impl RuleViolation {
    /// A violation with a word for programs and a sentence for people.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl fmt::Display for RuleViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

macro_rules! text_field {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        /// Its length only: what people wrote must not get into a log by way of a `{:?}`.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.0.len())
            }
        }

        impl $name {
            /// A text read back from the store. It met the rule of the release that accepted it,
            /// and a later release's rule does not make it unreadable.
            #[must_use]
            pub const fn stored(text: String) -> Self {
                Self(text)
            }

            /// The text as it is stored.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

text_field! {
    /// The submitter's name: 1–100 characters after trimming, on one line.
    Name
}
text_field! {
    /// A mail address with a dotted domain, at most 254 bytes, no display name, no comment.
    Email
}
text_field! {
    /// What the submitter wrote: 1–10,000 characters after trimming.
    Message
}
text_field! {
    /// The submitter's own time, RFC 3339, kept to the letter and never used as ours.
    ClientTimestamp
}
text_field! {
    /// The form's word for who is logged in, at most 128 characters. A claim, not a proof.
    UserId
}
text_field! {
    /// The submitter's browser, at most 512 characters.
    UserAgent
}
text_field! {
    /// The page the form stood on: `http` or `https`, at most 2,048 characters. Never fetched.
    PageUrl
}

impl Name {
    /// Longest name, after trimming.
    pub const CHARS_MAX: usize = 100;

    /// Trims white space at both ends, then applies the rule.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        let text = trimmed(text)?;
        one_line(text)?;
        chars_at_most(text, Self::CHARS_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

impl Message {
    /// Longest message, after trimming.
    pub const CHARS_MAX: usize = 10_000;

    /// Trims white space at both ends, then applies the rule.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        let text = trimmed(text)?;
        chars_at_most(text, Self::CHARS_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

impl Email {
    /// Longest address.
    pub const BYTES_MAX: usize = 254;

    /// Takes the address as it is; nothing is trimmed or folded.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        no_control_characters(text)?;
        if text.len() > Self::BYTES_MAX {
            return Err(RuleViolation::new("too_long", "must be at most 254 bytes"));
        }
        let options =
            Options::default().with_required_tld().without_display_text().without_domain_literal();
        EmailAddress::parse_with_options(text, options)
            .ok()
            .filter(|address| is_host_name(address.domain()) && !address.local_part().contains('"'))
            .map(|_| Self(text.to_owned()))
            .ok_or_else(|| {
                RuleViolation::new(
                    "invalid_email",
                    "must be a mail address such as ada@example.org",
                )
            })
    }
}

impl ClientTimestamp {
    /// RFC 3339 leaves the number of digits open; this leaves room for nanoseconds twice.
    pub const BYTES_MAX: usize = 40;

    /// Takes the text as it is, if RFC 3339 knows it.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        // chrono also reads a space for the T, longer years, and a minus sign that is not ASCII's.
        let shaped = text.is_ascii()
            && text.len() <= Self::BYTES_MAX
            && matches!(text.as_bytes().get(10), Some(b'T' | b't'))
            && text.bytes().take(4).all(|byte| byte.is_ascii_digit());
        if shaped && DateTime::parse_from_rfc3339(text).is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(RuleViolation::new(
                "invalid_timestamp",
                "must be an RFC 3339 time such as 2026-11-22T10:30:00.000Z",
            ))
        }
    }
}

impl UserId {
    /// Longest user id.
    pub const CHARS_MAX: usize = 128;

    /// Takes the text as it is.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        one_line(text)?;
        no_control_characters(text)?;
        chars_at_most(text, Self::CHARS_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

impl UserAgent {
    /// Longest name of a browser.
    pub const CHARS_MAX: usize = 512;

    /// Takes the text as it is.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        one_line(text)?;
        no_control_characters(text)?;
        chars_at_most(text, Self::CHARS_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

impl PageUrl {
    /// Longest URL.
    pub const CHARS_MAX: usize = 2_048;

    /// Takes the text as it is, if it is an absolute web address.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        one_line(text)?;
        no_control_characters(text)?;
        chars_at_most(text, Self::CHARS_MAX)?;
        // The parser repairs `http:/x`, `http:\\x` and surrounding blanks; what is stored is the
        // text, so the text itself must be in order.
        let scheme_written_out = ["http://", "https://"].iter().any(|scheme| {
            text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        let is_web_address = scheme_written_out
            && !text.contains(char::is_whitespace)
            && Url::parse(text).is_ok_and(|url| url.has_host());
        if is_web_address {
            Ok(Self(text.to_owned()))
        } else {
            Err(RuleViolation::new("invalid_url", "must be an absolute http or https URL"))
        }
    }
}

/// Trims white space and refuses what then shows nothing: empty, or only format characters such
/// as the zero-width space. Format characters beside visible ones stay: scripts and emoji need them.
fn trimmed(text: &str) -> Result<&str, RuleViolation> {
    no_control_characters(text)?;
    let text = text.trim();
    let invisible = |c: char| c.is_whitespace() || c.general_category() == GeneralCategory::Format;
    if text.chars().all(invisible) {
        return Err(RuleViolation::new("blank", "must have at least one visible character"));
    }
    Ok(text)
}

fn no_control_characters(text: &str) -> Result<(), RuleViolation> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~')); // Seen quickly.
    if !is_plain && text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(RuleViolation::new(
            "control_character",
            "must not contain control characters other than line breaks and tabs",
        ));
    }
    Ok(())
}

/// A line break in a field that ends up in a mail header or a log line is an injection.
fn one_line(text: &str) -> Result<(), RuleViolation> {
    if text.contains(['\n', '\r']) {
        return Err(RuleViolation::new("line_break", "must be on one line"));
    }
    Ok(())
}

fn chars_at_most(text: &str, chars_max: usize) -> Result<(), RuleViolation> {
    // A text of at most that many bytes needs no counting.
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(RuleViolation::new(
            "too_long",
            format!("must be at most {chars_max} characters"),
        ));
    }
    Ok(())
}

/// Labels of letters, digits and inner hyphens, at least two of them: stricter than the address
/// parser, which takes any atom.
fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.chars().count())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(parsed: Result<T, RuleViolation>) -> &'static str {
        parsed.err().map_or("ok", |violation| violation.code)
    }

    #[test]
    fn a_name_is_trimmed_and_counted_in_characters() {
        assert_eq!(Name::parse(" \u{a0}Ada Lovelace\t\n").unwrap().as_str(), "Ada Lovelace");
        assert_eq!(code(Name::parse(&"é".repeat(100))), "ok");
        assert_eq!(code(Name::parse(&"é".repeat(101))), "too_long");
        assert_eq!(code(Name::parse("a\r\nBcc: x@y.io")), "line_break");
        assert_eq!(code(Name::parse("a\u{1b}[2J")), "control_character");
    }

    #[test]
    fn what_people_wrote_is_not_printed_for_debugging() {
        let name = Name::parse("Ada Lovelace").unwrap();
        assert_eq!(format!("{:?}", Some(name)), "Some(Name(12 bytes))");
        let address = Email::stored("ada@example.org".to_owned());
        assert_eq!(format!("{address:?}"), "Email(15 bytes)");
    }

    #[test]
    fn what_shows_nothing_is_blank_and_what_joins_letters_stays() {
        for text in ["", "   ", "\u{a0}", "\u{200b}", "\u{2060}\u{feff}", "\u{200b} \u{200d}"] {
            assert_eq!(code(Name::parse(text)), "blank", "{text:?}");
        }
        for text in ["👩‍👩‍👧", "مرحبا", "𠀀𠀁", "İß", "\u{200f}שלום"] {
            assert_eq!(Name::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_message_keeps_its_line_breaks_and_refuses_nul() {
        assert_eq!(Message::parse("a\r\n\tb\n").unwrap().as_str(), "a\r\n\tb");
        assert_eq!(code(Message::parse("a\0b")), "control_character");
        assert_eq!(code(Message::parse("a\u{85}b")), "control_character");
        assert_eq!(code(Message::parse(&"x".repeat(10_000))), "ok");
        assert_eq!(code(Message::parse(&"x".repeat(10_001))), "too_long");
    }

    #[test]
    fn an_address_is_one_address_and_nothing_else() {
        let local = "l".repeat(64);
        let longest = format!("{local}@x.io");
        for text in ["ada@example.org", "a.b+c@x-y.co.uk", "münchen@exämple.de", &longest] {
            assert_eq!(code(Email::parse(text)), "ok", "{text}");
        }
        for text in [
            "",
            "a",
            "a@b",
            "@x.io",
            "a@",
            "a@@b.io",
            "a b@x.io",
            "a@x.io,b@y.io",
            "<a@x.io>",
            "Ada <a@x.io>",
            "a@x.io%0aCc:",
            "a@[127.0.0.1]",
            "\"a\"@x.io",
            "a@-x.io",
            "a@x..io",
            ".a@x.io",
            "a.@x.io",
            "a@x.io.",
            " a@x.io",
            "a@x.io\nBcc: b@y.io",
            &format!("{local}l@x.io"),
        ] {
            assert_eq!(code(Email::parse(text)), "invalid_email", "{text}");
        }
        let label = "d".repeat(61);
        let at_limit = format!("{local}@{label}.{label}.{label}.org");
        assert_eq!((at_limit.len(), code(Email::parse(&at_limit))), (254, "ok"));
        assert_eq!(code(Email::parse(&format!("{at_limit}g"))), "too_long");
    }

    #[test]
    fn a_client_timestamp_is_rfc_3339_and_kept_to_the_letter() {
        for text in
            ["2026-11-22T10:30:00Z", "2026-11-22t10:30:00.123456789z", "1996-12-19T16:39:57-08:00"]
        {
            assert_eq!(ClientTimestamp::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "2026-11-22",
            "2026-11-22 10:30:00Z",
            "2026-11-22T10:30:00",
            "2026-02-30T10:30:00Z",
            "2026-11-22T10:30:00+24:00",
            "2026-11-22T10:30:00\u{2212}01:00",
            "+262142-01-01T00:00:00Z",
            "1763807400",
            "2026-11-22T10:30:00.0000000000000000000000000Z",
        ] {
            assert_eq!(code(ClientTimestamp::parse(text)), "invalid_timestamp", "{text}");
        }
    }

    #[test]
    fn a_url_is_a_web_address() {
        for text in
            ["https://example.org/help?x=1#y", "HTTP://localhost:3000/", "https://münchen.de/ü"]
        {
            assert_eq!(code(PageUrl::parse(text)), "ok", "{text}");
        }
        for text in [
            "",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "//evil",
            "http:evil",
            "http:/evil",
            "https://",
            "http:\\\\evil",
            " https://x.io",
            "https://x.io/a b",
            "ftp://x.io",
        ] {
            assert_eq!(code(PageUrl::parse(text)), "invalid_url", "{text}");
        }
        let long = format!("https://x.io/{}", "a".repeat(2_040));
        assert_eq!(code(PageUrl::parse(&long)), "too_long");
    }
}
