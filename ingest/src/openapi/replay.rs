//! What is told of replaying events.

use std::borrow::Cow;

use common::domain::Role;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, ObjectBuilder, Ref, RefOr, Schema, schema::Type},
};

use super::{
    Answer, Operation, Schemas,
    schemas::{Id, Number, PriorityWord, StatusWord, SubjectWord, Time, text},
};
use crate::{
    events::{Events, LIMIT_DEFAULT, LIMIT_MAX},
    problem::{FieldError, Problem, Success},
};

pub const TAG: &str = "Events";

/// A [`common::cloud_event::CloudEvent`], in the structured mode.
pub struct EventSchema;

impl ToSchema for EventSchema {
    fn name() -> Cow<'static, str> {
        "Event".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        fn named<T: ToSchema>() -> (String, RefOr<Schema>) {
            (T::name().into_owned(), T::schema())
        }
        schemas.extend([named::<Time>(), named::<Id>(), named::<Number>()]);
        schemas.extend([named::<SubjectWord>(), named::<PriorityWord>(), named::<StatusWord>()]);
    }
}

impl PartialSchema for EventSchema {
    fn schema() -> RefOr<Schema> {
        let one = |word: &'static str| RefOr::from(text().enum_values(Some([word])).build());
        let any = || RefOr::from(text().build());
        let event = all_required([
            ("specversion", one("1.0")),
            ("id", any()),
            ("source", one("urn:supportline")),
            ("type", any()),
            ("time", reference::<Time>()),
            ("subject", reference::<Number>()),
            ("datacontenttype", one("application/json")),
            ("dataschema", any()),
            ("traceparent", any()),
            ("requestid", any()),
            ("data", data().into()),
        ]);
        let told = "A CloudEvent 1.0; `id` is what a repetition is recognised by.";
        event.description(Some(told)).build().into()
    }
}

fn data() -> Object {
    let any = || RefOr::from(text().build());
    let version = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let verified = ObjectBuilder::new().schema_type(Type::Boolean);
    let data = all_required([
        ("id", reference::<Id>()),
        ("ticketNumber", reference::<Number>()),
        ("version", version.build().into()),
        ("name", any()),
        ("email", any()),
        ("recipientVerified", verified.build().into()),
        ("subject", reference::<SubjectWord>()),
        ("priority", reference::<PriorityWord>()),
        ("status", reference::<StatusWord>()),
        ("submittedAt", reference::<Time>()),
    ]);
    data.build()
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

fn all_required<const N: usize>(fields: [(&str, RefOr<Schema>); N]) -> ObjectBuilder {
    fields.into_iter().fold(ObjectBuilder::new(), |object, (name, schema)| {
        object.property(name, schema).required(name)
    })
}

/// `GET /api/support/events`
pub fn events(schemas: &mut Schemas) -> Operation {
    let page = Answer::enveloped::<Events>(Success::Found, "A page of events.", schemas);
    Operation {
        description:
            "Every event once more, in the order in which they are published, for whoever \
                      missed some or came late."
                .to_owned(),
        parameters: vec![
            json!({
                "name": "after",
                "in": "query",
                "description": "`next` of an answer; without it the first events come.",
                "schema": {"type": "string"},
            }),
            json!({
                "name": "limit",
                "in": "query",
                "description": "How many at most.",
                "schema": {
                    "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT,
                },
                "example": 10,
            }),
        ],
        answers: vec![page.example("page", "One event", &example())],
        problems: vec![
            Problem::Unauthorized,
            Problem::Forbidden,
            Problem::InvalidParameters(vec![bad_limit()]),
            Problem::Unavailable,
        ],
        roles: &[Role::Admin],
        ..Operation::new("replayEvents", TAG, "Read events again")
    }
}

fn bad_limit() -> FieldError {
    let detail = "must be a whole number from 1 to 1000".to_owned();
    FieldError { pointer: "/limit".into(), code: "out_of_range", detail }
}

fn example() -> Value {
    json!({
        "success": true,
        "data": {
            "events": [{
                "specversion": "1.0",
                "id": "0b5e7f0c-2f3a-5d8e-9c61-6a0f1f2d3c4b",
                "source": "urn:supportline",
                "type": "supportline.ticket.created",
                "time": "2026-11-22T10:30:00.120Z",
                "subject": "SUP-2026-483920",
                "datacontenttype": "application/json",
                "dataschema": "urn:supportline:schema:ticket.created",
                "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "requestid": "order-66",
                "data": {
                    "id": "01a202c3-c662-7aeb-85b5-ac7a63952b19",
                    "ticketNumber": "SUP-2026-483920",
                    "version": 1,
                    "name": "Ada Lovelace",
                    "email": "ada@example.org",
                    "recipientVerified": false,
                    "subject": "technical",
                    "priority": "high",
                    "status": "open",
                    "submittedAt": "2026-11-22T10:30:00.120Z",
                },
            }],
            "next": "000000000000000000000000000004d2",
        },
        "message": "Support ticket events",
        "timestamp": "2026-11-22T10:31:00.000Z",
    })
}
