//! `GET /api/support/admin/tickets/export`: all tickets, or some, as a stream.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderValue, header, request::Parts},
    response::Response,
};
use common::{domain::ActionKind, ports::store::StoreError};
use http::{auth::Principal, problem::Problem};
use serde_json::json;

use super::{Format, Pages, query::Wanted};
use crate::{
    desk::Desk,
    fields::Fields,
    transfer::{Pieces, Transfer},
};

/// What is exported or imported, on record.
pub const SUBJECT: &str = "tickets";

/// Answers with the first page, and has the others follow as they are taken: the store is read no
/// faster than the caller reads. An export that cannot be finished ends without its last chunk.
pub async fn export(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    head: Parts,
) -> Result<Response, Problem> {
    let mut fields = Fields::of_query(head.uri.query());
    let Wanted { format, choice } = Wanted::read(&mut fields);
    fields.finish()?;
    let transfer = Transfer::begin(&desk, &principal)?;
    let details = json!({"format": format.as_str(), "narrowedBy": choice.narrowed_by()});
    desk.record(&principal, ActionKind::TicketExport, SUBJECT, details).await?;
    let mut pages = Pages::of(Arc::clone(&desk.exports), choice);
    // What cannot begin is a problem yet; later it can only break off.
    let first = desk.stored(pages.next_at_once()).await?.unwrap_or_default();
    let mut text = format.head();
    format.write(&first, &mut text);
    let name = desk.clock.now().format("%Y-%m-%d");
    let disposition = format!("attachment; filename=\"tickets-{name}.{}\"", format.as_str());
    let mut response = Response::new(transfer.body(text, Written { pages, format }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.extend(
        HeaderValue::try_from(disposition).ok().map(|it| (header::CONTENT_DISPOSITION, it)),
    );
    Ok(response)
}

/// Its pages as they are written.
struct Written {
    pages: Pages,
    format: Format,
}

impl Pieces for Written {
    /// Of a page, nothing may have been asked for.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut text = Vec::new();
        Ok(self.pages.next().await?.map(|tickets| {
            self.format.write(&tickets, &mut text);
            text
        }))
    }
}
