//! The words of the product: a *form* is what somebody typed, a *submission* is a form the edge
//! said yes to, a *ticket* is what a worker made of it.

mod action;
mod dead_letter;
mod event;
mod field;
mod id;
mod number;
mod person;
mod query;
mod statistics;
mod submission;
mod tally;
mod ticket;
mod time_span;
mod token;
mod work;

pub use action::{ActionKind, Actor, Because, OperatorAction, Origin, Record};
pub use dead_letter::DeadLetterCode;
pub use event::{Event, EventId, EventKind};
pub use field::{ClientTimestamp, Email, Message, Name, PageUrl, RuleViolation, UserAgent, UserId};
pub use id::{SubmissionId, SubmissionIds};
pub use number::{MalformedNumber, NumberCipher, TicketNumber};
pub use person::{PersonHash, PersonKey};
pub use query::{Between, Filters, Place, Search, Sort, TicketPage, TicketQuery};
pub use statistics::{
    BACKLOG_DAYS, DAYS_MAX, DAYS_RECENT, DAYS_TOLD, Day, Statistics, UnknownCount, days_before,
    recounted,
};
pub use submission::{Fingerprint, Form, KeyHash, Submission};
pub use tally::{Bucket, DayTally, Done, QUARTER, Tallies, Times, retallied};
pub use ticket::{NewTicket, Priority, Status, StatusChange, Subject, Ticket, UnknownWord};
pub use time_span::TimeSpan;
pub use token::{Overlap, Role, Rotated, Standing, Token, TokenDigest, TokenId, TokenSecret};
pub use work::{
    Assignment, Case, Change, Entry, Outcome, Post, PostKind, Refused, TAGS_MAX, Tag, Work,
};
