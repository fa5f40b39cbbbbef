//! The schema of the form: no single type stands for it, since it is read by hand.

use std::borrow::Cow;

use common::domain::{ClientTimestamp, Email, Message, Name, PageUrl, UserAgent, UserId};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

use super::schemas::{SubjectWord, text};

/// What is posted.
pub struct TicketForm;

impl PartialSchema for TicketForm {
    fn schema() -> RefOr<Schema> {
        form().description(Some(ABOUT)).build().into()
    }
}

impl ToSchema for TicketForm {
    fn name() -> Cow<'static, str> {
        "TicketForm".into()
    }
}

const ABOUT: &str = "A support form. Fields not named here are ignored, and `null` is as good as \
    absent for an optional one. Control characters other than line breaks and tabs are refused \
    everywhere.";

/// No control character but a tab, so no line break either.
const ONE_LINE: &str = r"^[^\u0000-\u0008\u000a-\u001f\u007f-\u009f]*$";
/// The same with something to see in it; what shows nothing without being white space is refused
/// as well.
const NAME: &str =
    r"^[^\u0000-\u0008\u000a-\u001f\u007f-\u009f]*\S[^\u0000-\u0008\u000a-\u001f\u007f-\u009f]*$";
/// No control characters but tabs and line breaks, and something to see.
const TEXT: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*\S[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";

fn form() -> ObjectBuilder {
    let name = text()
        .min_length(Some(1))
        .max_length(Some(Name::CHARS_MAX))
        .pattern(Some(NAME))
        .description(Some("Counted after trimming white space, on one line."));
    let email = text()
        .format(Some(SchemaFormat::Custom("idn-email".to_owned())))
        .max_length(Some(Email::BYTES_MAX))
        .pattern(Some(r"^[^@\s]+@[^@\s]+\.[^@\s]+$"))
        .description(Some("One mail address with a dotted domain; its length counts in bytes."));
    let message = text()
        .min_length(Some(1))
        .max_length(Some(Message::CHARS_MAX))
        .pattern(Some(TEXT))
        .description(Some("Counted after trimming white space."));
    let timestamp = text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .max_length(Some(ClientTimestamp::BYTES_MAX))
        .description(Some("The sender's time, kept as its word and never used as ours."));
    let user_id = optional(UserId::CHARS_MAX)
        .pattern(Some(ONE_LINE))
        .description(Some("Who the page says is logged in: a claim, not a proof."));
    let user_agent = optional(UserAgent::CHARS_MAX)
        .pattern(Some(ONE_LINE))
        .description(Some("The sender's browser."));
    let url = optional(PageUrl::CHARS_MAX)
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .pattern(Some("^[Hh][Tt][Tt][Pp][Ss]?://"))
        .description(Some("The page the form stood on. It is never fetched."));
    let form = ObjectBuilder::new().schema_type(Type::Object);
    let form = form.property("name", name).property("email", email);
    let form = form.property("subject", Ref::from_schema_name(SubjectWord::name()));
    let form = form.property("message", message).property("timestamp", timestamp);
    let form = form.property("userId", user_id).property("userAgent", user_agent);
    ["name", "email", "subject", "message", "timestamp"]
        .into_iter()
        .fold(form.property("url", url), ObjectBuilder::required)
}

/// A text, or `null`, which is the same as no field.
fn optional(chars_max: usize) -> ObjectBuilder {
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).max_length(Some(chars_max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form;

    #[test]
    fn the_form_has_the_fields_that_are_read() {
        let form = serde_json::to_value(TicketForm::schema()).unwrap();
        let mut read = form::FIELDS;
        read.sort_unstable();
        assert_eq!(form["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), read);
    }
}
