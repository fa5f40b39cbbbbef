//! A line as a submission: a form as the public edge takes it, and what an import adds to one.

use chrono::{DateTime, Datelike, SubsecRound, Utc};
use common::{
    domain::{
        ClientTimestamp, Fingerprint, Form, KeyHash, RuleViolation, SubmissionId, SubmissionIds,
    },
    keys::{NumberKey, half, keyed_hash},
};
use http::{
    answer::rfc3339,
    form::Check,
    problem::{FieldError, Problem},
};

use super::records::{Flaw, RECORD_BYTES_MAX};

/// The members of a line, or columns, those of a form first.
pub const FIELDS: [&str; 10] = [
    "name",
    "email",
    "subject",
    "message",
    "timestamp",
    "userId",
    "userAgent",
    "url",
    "submittedAt",
    "externalId",
];
/// Columns that must be there.
pub const REQUIRED: [&str; 4] = ["name", "email", "subject", "message"];

const TIMESTAMP: usize = 4;
const SUBMITTED_AT: usize = 8;
const EXTERNAL_ID: usize = 9;

/// The first year that a ticket may be of.
const YEAR_MIN: i32 = 2000;
const EXTERNAL_ID_CHARS_MAX: usize = 255;

/// One that can become a ticket.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub form: Form,
    /// When it was submitted elsewhere; else it is now.
    pub submitted_at: Option<DateTime<Utc>>,
    /// What tells it from the others of its source.
    identity: Identity,
}

#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// What they call it there.
    External(String),
    /// All that is said.
    Content(Fingerprint),
}

impl Line {
    /// Reads a line of JSON. Without a time of the submitter's own it has the one it was submitted at. None
    /// is older than `oldest`, if there is such a time.
    pub fn parse(
        text: &[u8],
        now: DateTime<Utc>,
        oldest: Option<DateTime<Utc>>,
    ) -> Result<Self, Vec<FieldError>> {
        Self::read(text, now, oldest).map_err(|problem| match problem {
            Problem::ValidationFailed(errors) => errors,
            _ => vec![whole("invalid_json", "must be one JSON object in UTF-8")],
        })
    }

    fn read(
        text: &[u8],
        now: DateTime<Utc>,
        oldest: Option<DateTime<Utc>>,
    ) -> Result<Self, Problem> {
        let mut check = Check::read(text, &FIELDS)?;
        let submitted_at = check.optional(SUBMITTED_AT, time)?;
        if submitted_at.is_some_and(|at| at > now) {
            let violation = RuleViolation::new("out_of_range", "must not lie in the future");
            check.refuse(SUBMITTED_AT, violation);
        }
        if submitted_at.zip(oldest).is_some_and(|(at, oldest)| at < oldest) {
            let detail =
                "must not lie further back than tickets are kept: it would be erased at once";
            check.refuse(SUBMITTED_AT, RuleViolation::new("too_old", detail));
        }
        let external_id = check.optional(EXTERNAL_ID, external_id)?;
        // What stands in for a time is the same whenever the file is read, or the line would be
        // another one each time.
        let stand_in = submitted_at.unwrap_or(DateTime::UNIX_EPOCH);
        let has_stand_in = check.is_absent(TIMESTAMP);
        let stand_in = ClientTimestamp::parse(&rfc3339(stand_in)).ok();
        let form = check.form(stand_in.as_ref())?;
        check.finish()?;
        // What is required is there, or there was a violation.
        let mut form = form.ok_or(Problem::Internal)?;
        let identity =
            external_id.map_or(Identity::Content(form.fingerprint()), Identity::External);
        if has_stand_in && submitted_at.is_none() {
            form.timestamp = ClientTimestamp::stored(rfc3339(now));
        }
        Ok(Self { form, submitted_at, identity })
    }
}

/// Milliseconds are all that is kept, as of our own times.
fn time(text: &str) -> Result<DateTime<Utc>, RuleViolation> {
    let text = ClientTimestamp::parse(text)?;
    let time = DateTime::parse_from_rfc3339(text.as_str()).map(|time| time.to_utc());
    let time = time.ok().filter(|time| time.year() >= YEAR_MIN).map(|time| time.trunc_subsecs(3));
    time.ok_or_else(|| {
        RuleViolation::new("out_of_range", format!("must be of the year {YEAR_MIN} or later"))
    })
}

fn external_id(text: &str) -> Result<String, RuleViolation> {
    let is_fit = !text.trim().is_empty()
        && text.chars().count() <= EXTERNAL_ID_CHARS_MAX
        && !text.chars().any(char::is_control);
    let detail = format!("must be 1 to {EXTERNAL_ID_CHARS_MAX} characters, on one line");
    is_fit.then(|| text.to_owned()).ok_or_else(|| RuleViolation::new("invalid_id", detail))
}

/// Something that is wrong with a record as a whole.
pub fn whole(code: &'static str, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: "".into(), code, detail: detail.into() }
}

impl From<Flaw> for FieldError {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::TooLong => whole("too_long", format!("must be at most {RECORD_BYTES_MAX} bytes")),
            Flaw::StrayQuote => whole(
                "stray_quote",
                "a cell with a quote in it must stand in quotes, and have it twice",
            ),
            Flaw::UnclosedQuote => whole(
                "unclosed_quote",
                "a quote that is opened here is never closed: nothing behind it was read",
            ),
        }
    }
}

/// Names lines: the same line of the same source has the same id, whenever and wherever it is read.
pub struct Naming {
    ids: SubmissionIds,
    key: [u8; 32],
    source: String,
}

impl Naming {
    /// Of a source, by the installation's key.
    pub fn new(key: &NumberKey, source: &str) -> Self {
        let ids = SubmissionIds::new(key);
        Self { ids, key: key.derive("import"), source: source.to_owned() }
    }

    /// The line's name from here on.
    pub fn id(&self, line: &Line) -> SubmissionId {
        let submitted_at = line.submitted_at.map(rfc3339).unwrap_or_default();
        let (kind, identity): (&[u8], &[u8]) = match &line.identity {
            Identity::External(id) => (b"external", id.as_bytes()),
            Identity::Content(fingerprint) => (b"content", &fingerprint.0),
        };
        // Of a line that has a name there, another time is another word on the same.
        let time = if kind == b"content" { submitted_at.as_bytes() } else { b"" };
        let length = (self.source.len() as u64).to_be_bytes();
        let parts = [kind, &length, self.source.as_bytes(), time, identity];
        let hash = keyed_hash(&self.key, &parts);
        self.ids.derive(KeyHash(half(hash)), Fingerprint([0; 16]))
    }
}

/// Reads rows of CSV as lines of JSON are read: the first one names the columns.
#[derive(Default)]
pub struct Table {
    /// Which field each column holds, if any. `None` before the first row.
    columns: Option<Vec<Option<usize>>>,
}

impl Table {
    /// Whether the columns have names by now.
    pub const fn has_head(&self) -> bool {
        self.columns.is_some()
    }

    /// Takes the names of the columns. Those that no form has are left out, as such members of an
    /// object are; they are not told, for a file may begin with a row that is no head.
    pub fn read_head(&mut self, cells: &[Vec<u8>]) -> Result<(), Vec<FieldError>> {
        let column = |cell: &Vec<u8>| FIELDS.iter().position(|name| name.as_bytes() == cell);
        let columns: Vec<_> = cells.iter().map(column).collect();
        let mut errors = Vec::new();
        for (field, name) in FIELDS.iter().enumerate() {
            let pointer = format!("/{name}").into();
            let count = columns.iter().filter(|column| **column == Some(field)).count();
            if count > 1 {
                let detail = "must be the name of one column".to_owned();
                errors.push(FieldError { pointer, code: "duplicate_field", detail });
            } else if count == 0 && REQUIRED.contains(name) {
                let detail = "must be the name of a column, in the first line".to_owned();
                errors.push(FieldError { pointer, code: "required", detail });
            }
        }
        self.columns = Some(columns);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// A row as an object. An empty cell is nothing.
    pub fn object(&self, cells: Vec<Vec<u8>>) -> Result<Vec<u8>, FieldError> {
        let columns = self.columns.as_deref().unwrap_or_default();
        if cells.len() != columns.len() {
            let (expected, found) = (columns.len(), cells.len());
            let detail = format!("must have {expected} cells, as the first line, and has {found}");
            return Err(whole("wrong_cell_count", detail));
        }
        let mut object = serde_json::Map::new();
        for (cell, field) in cells.into_iter().zip(columns) {
            let text = String::from_utf8(cell);
            let text = text.map_err(|_| whole("invalid_utf8", "must be in UTF-8"))?;
            if let Some(field) = field.filter(|_| !text.is_empty()) {
                object.insert(FIELDS[field].to_owned(), crate::cell::unguarded(text).into());
            }
        }
        serde_json::to_vec(&object).map_err(|_| whole("invalid_utf8", "must be in UTF-8"))
    }
}

#[cfg(test)]
mod tests;
