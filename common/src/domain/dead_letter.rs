//! Why something cannot become a ticket.

/// Why something cannot become a ticket, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterCode {
    /// Its body is no envelope.
    Unreadable,
    /// It is an envelope of a version that this release does not know.
    UnknownVersion,
    /// A submission of it breaks a rule.
    Invalid,
    /// Another form is stored under its id, or under its key.
    Conflict,
    /// The store cannot hold it.
    Rejected,
    /// It was delivered as often as the queue allows, and never settled.
    Crashed,
}

impl DeadLetterCode {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unreadable,
        Self::UnknownVersion,
        Self::Invalid,
        Self::Conflict,
        Self::Rejected,
        Self::Crashed,
    ];

    /// The word as it is kept, logged and counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::UnknownVersion => "unknown-version",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
            Self::Crashed => "crashed",
        }
    }
}
