//! Tickets listed, and searched.
//!
//! Guarantees of a list:
//! - `every_page_goes_on_where_the_last_one_ended`: each ticket once, in order, whichever the sort;
//! - `tickets_that_arrive_between_two_pages_move_nothing`: neither list nor search shows a ticket twice
//!   or leaves one out because of them;
//! - `every_filter_keeps_what_it_says_and_nothing_else`, alone and together with others.
//!
//! Guarantees of a search:
//! - `a_ticket_is_found_by_what_its_words_begin_with`: those of its number, address, name and message,
//!   all that were asked for;
//! - `what_fits_better_comes_first`, number and address before name before message, and of what fits
//!   alike the newest;
//! - `a_whole_number_or_address_finds_just_that`, and words only where there is none;
//! - `no_text_breaks_a_search`, and `punctuation_parts_words`;
//! - `tickets_are_taken_in_once_whoever_does_it`, those stored before there was a search as well;
//! - `an_erased_ticket_is_found_no_more`.
//!
//! What is searched is not written with the tickets, which come too fast for that, but taken in after
//! them, from the entries of the outbox in their order. A search looks at the newest
//! [`SEARCH_WINDOW`] tickets that match, and sorts those.

use async_trait::async_trait;

use super::store::StoreError;
use crate::domain::{TicketPage, TicketQuery};

/// So many of the tickets that match are ranked, or sorted otherwise; a word that every ticket has is
/// not to cost more than one that few have.
pub const SEARCH_WINDOW: u32 = 500;

/// The desk's half.
#[async_trait]
pub trait TicketIndex: Send + Sync {
    /// The tickets that a query asks for.
    async fn page(&self, query: &TicketQuery) -> Result<TicketPage, StoreError>;
}

/// The worker's half.
#[async_trait]
pub trait SearchWriter: Send + Sync {
    /// Takes in what the next entries of the outbox tell of, that many at most, and says how many there
    /// were; nothing while another worker does the same.
    async fn take_in(&self, entries_max: u32) -> Result<Option<u32>, StoreError>;
}
