//! Schemas of what travels. Those of answers are derived from the types that write them; here are
//! the ones that no single type of the wire stands for.

use std::{borrow::Cow, collections::BTreeMap};

use common::domain::{Priority, Status, Subject};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, Object, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use crate::answer::Envelope;

/// The schemas in use, by name.
#[derive(Default)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Takes a type's schema and those that it refers to, and gives back a reference to it.
    pub fn of<T: ToSchema>(&mut self) -> Value {
        let mut all = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut all);
        let written = all.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema)));
        // A schema is strings, numbers and lists under string keys: it always serializes.
        self.0.extend(written.map(|(name, schema)| (name, schema.unwrap_or_default())));
        json!({"$ref": format!("#/components/schemas/{}", T::name())})
    }

    /// The same in the success envelope.
    pub fn envelope<T: ToSchema>(&mut self) -> Value {
        let data = self.of::<T>();
        let empty = self.of::<Envelope<'_, Time>>();
        let mut envelope = self.0.remove("Envelope").unwrap_or(empty);
        envelope["properties"]["data"] = data;
        let name = format!("{}Envelope", T::name());
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        self.0.insert(name, envelope);
        reference
    }

    /// As `components` lists them.
    #[must_use]
    pub fn into_json(self) -> Value {
        self.0.into_iter().collect()
    }
}

/// A schema of its own name, written out.
macro_rules! schema {
    ($(#[doc = $doc:literal])+ $name:ident as $named:literal = $build:expr) => {
        $(#[doc = $doc])+
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let build: fn() -> ObjectBuilder = || $build;
                let lines = [$($doc.trim()),+];
                build().description(Some(lines.join(" "))).build().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                $named.into()
            }
        }
    };
}

schema! {
    /// What a ticket is about; it decides the priority.
    SubjectWord as "Subject" = words(Subject::ALL.iter().map(|word| word.as_str()))
}

schema! {
    /// How soon somebody should look: `technical` is `high`, `billing` and `account` are `medium`,
    /// `feature` and `general` are `low`.
    PriorityWord as "Priority" = words(Priority::ALL.iter().map(|word| word.as_str()))
}

schema! {
    /// How far a ticket has come.
    StatusWord as "Status" = words(Status::ALL.iter().map(|word| word.as_str()))
}

schema! {
    /// A time of ours: RFC 3339, UTC, milliseconds.
    Time as "Time" = text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"))
        .examples(["2026-11-22T10:30:00.000Z"])
}

schema! {
    /// A ticket's number: the UTC year of its submission and at least six digits. Unique for ever,
    /// and neither guessable from another number nor a count. Whoever has it sees the progress.
    Number as "TicketNumber" = text()
        .pattern(Some(r"^SUP-\d{4}-\d{6,20}$"))
        .examples(["SUP-2026-483920"])
}

schema! {
    /// A submission's id: a secret between the submitter and the service.
    Id as "SubmissionId" = text()
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .pattern(Some("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))
        .examples(["01a202c3-c662-7aeb-85b5-ac7a63952b19"])
}

/// Any text.
#[must_use]
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn words(words: impl Iterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(words))
}

/// One of these words.
#[must_use]
pub fn one_of<const N: usize>(all: [&'static str; N]) -> Object {
    words(all.into_iter()).build()
}

/// The status of what is no ticket yet.
#[must_use]
pub fn queued() -> Object {
    one_of(["queued"])
}

/// The status of what is a ticket or is on its way to become one.
#[must_use]
pub fn progress() -> Object {
    words(["queued"].into_iter().chain(Status::ALL.iter().map(|word| word.as_str()))).build()
}

/// A count for every word.
#[must_use]
pub fn counts(words: impl Iterator<Item = &'static str>) -> Object {
    let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
    words
        .fold(ObjectBuilder::new(), |all, word| all.property(word, count.clone()).required(word))
        .build()
}

/// `true`, for the `success` of an answer that is one.
#[must_use]
pub fn always_true() -> Object {
    always(true)
}

/// `false`, for the `success` of a problem.
#[must_use]
pub fn always_false() -> Object {
    always(false)
}

fn always(value: bool) -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([value])).build()
}
