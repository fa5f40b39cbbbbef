//! The catalogue of bad input: what people, programs and attackers put into a request, a file a
//! theme, each row with the status, the code and the pointer that are due. What is accepted must
//! become a ticket that reads back to the letter.
//!
//! Heads, addresses and sockets have files of their own beside this folder; what strangers publish
//! to the queue is in `flow/poison.rs`.

mod addresses;
mod business;
mod dates;
mod json;
mod queries;
mod sizes;
mod unicode;

use serde_json::Value;

use crate::bed::form::Form;

fn valid() -> String {
    serde_json::to_string(&Form::valid()).unwrap()
}

/// The valid form with this JSON instead of the value of `name`.
fn with_name(value: &[u8]) -> Vec<u8> {
    let valid = valid();
    let (before, after) = valid.split_once("\"Ada Lovelace\"").unwrap();
    [before.as_bytes(), value, after.as_bytes()].concat()
}

/// The valid form with a field more.
fn with_field(name: &str, value: &str) -> String {
    format!("{{\"{name}\":{value},{}", &valid()[1..])
}

fn times(unit: &str, count: usize) -> Value {
    Value::from(unit.repeat(count))
}
