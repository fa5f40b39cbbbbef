//! `GET /api/support/admin/tickets/export`: all tickets, or some, as a stream.

use std::{io, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderValue, header, request::Parts},
    response::Response,
};
use bytes::Bytes;
use common::{chain, domain::ActionKind};
use futures_util::stream;
use http::{auth::Principal, problem::Problem};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::{Format, Pages, query::Wanted};
use crate::{desk::Desk, fields::Fields};

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
    let place = desk.transfer()?;
    let details = json!({"format": format.as_str(), "narrowedBy": choice.narrowed_by()});
    desk.record(&principal, ActionKind::TicketExport, SUBJECT, details).await?;
    let mut pages = Pages::of(Arc::clone(&desk.exports), choice);
    // What cannot begin is a problem yet; later it can only break off.
    let first = desk.stored(pages.next_at_once()).await?.unwrap_or_default();
    let mut text = format.head();
    format.write(&first, &mut text);
    let name = desk.clock.now().format("%Y-%m-%d");
    let disposition = format!("attachment; filename=\"tickets-{name}.{}\"", format.as_str());
    let sending = Sending { pages, format, text: Some(text), _place: place };
    let mut response = Response::new(Body::from_stream(stream::unfold(sending, Sending::next)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.extend(
        HeaderValue::try_from(disposition).ok().map(|it| (header::CONTENT_DISPOSITION, it)),
    );
    Ok(response)
}

/// An export under way.
struct Sending {
    pages: Pages,
    format: Format,
    /// What is to be sent first; `None` behind a failure.
    text: Option<Vec<u8>>,
    _place: OwnedSemaphorePermit,
}

impl Sending {
    async fn next(mut self) -> Option<(Result<Bytes, io::Error>, Self)> {
        let mut text = self.text.take()?;
        // A page may hold none of those asked for, and an empty chunk would be the last.
        while text.is_empty() {
            match self.pages.next().await {
                Ok(Some(tickets)) => self.format.write(&tickets, &mut text),
                Ok(None) => return None,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "an export breaks off");
                    // Not the store's own words: hyper may log them.
                    return Some((Err(io::Error::other("the export breaks off")), self));
                }
            }
        }
        self.text = Some(Vec::new());
        Some((Ok(text.into()), self))
    }
}
