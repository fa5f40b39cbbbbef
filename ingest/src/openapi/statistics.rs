//! What is told of the statistics.

use common::domain::{DAYS_MAX, Role};
use serde_json::{Value, json};

use super::{Answer, Operation, Schemas};
use crate::{
    problem::{Problem, Success},
    stats::{Counts, DAYS_DEFAULT},
};

pub const TAG: &str = "Statistics";

/// `GET /api/support/stats`
pub fn statistics(schemas: &mut Schemas) -> Operation {
    let counts = Answer::enveloped::<Counts>(Success::Found, "The counts.", schemas);
    Operation {
        description: "At most one second behind the store. Without the cache they are read from \
                      the store itself, and `source` says so."
            .to_owned(),
        parameters: vec![json!({
            "name": "days",
            "in": "query",
            "description": "How many days `daily` tells of, today included; days are those of UTC.",
            "schema":
                {"type": "integer", "minimum": 1, "maximum": DAYS_MAX, "default": DAYS_DEFAULT},
            "example": 7,
        })],
        answers: vec![counts.example("counts", "Two days", &example())],
        problems: vec![
            Problem::Unauthorized,
            Problem::Forbidden,
            Problem::InvalidQuery("days must be one whole number from 1 to 366."),
            Problem::Unavailable,
        ],
        roles: Role::ALL,
        ..Operation::new("statistics", TAG, "Count the tickets")
    }
}

fn example() -> Value {
    json!({
        "success": true,
        "data": {
            "total": 6,
            "open": 4,
            "byStatus": {"open": 4, "in-progress": 1, "resolved": 1, "closed": 0},
            "byPriority": {"high": 3, "medium": 2, "low": 1},
            "bySubject": {"technical": 3, "billing": 1, "feature": 0, "account": 1, "general": 1},
            "daily": [
                {"date": "2026-11-21", "created": 4, "resolved": 0},
                {"date": "2026-11-22", "created": 2, "resolved": 1},
            ],
            "generatedAt": "2026-11-22T10:30:00.000Z",
            "source": "cache",
        },
        "message": "Support ticket statistics",
        "timestamp": "2026-11-22T10:30:00.400Z",
    })
}
