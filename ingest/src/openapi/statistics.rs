//! What is told of the statistics.

use common::domain::{DAYS_MAX, Role};
use serde_json::{Value, json};

use super::{Answer, Operation, Schemas};
use crate::{
    problem::{FieldError, Problem, Success},
    stats::{Counts, DAYS_DEFAULT},
};

pub const TAG: &str = "Statistics";

/// `GET /api/support/stats`
pub fn statistics(schemas: &mut Schemas) -> Operation {
    let counts = Answer::enveloped::<Counts>(Success::Found, "The counts.", schemas);
    Operation {
        description: "At most one second behind the store. Without the cache they are read from \
                      the store itself, and `source` says so.\n\nThe period is the last `days` days, \
                      today included. `daily` and the tickets in `trend` are of days of `timeZone`, \
                      which may have 23 or 25 hours; durations and members of days of UTC. A ticket \
                      that is reopened was not resolved, until it is again."
            .to_owned(),
        parameters: vec![json!({
            "name": "days",
            "in": "query",
            "description": "How many days the period has, today included.",
            "schema":
                {"type": "integer", "minimum": 1, "maximum": DAYS_MAX, "default": DAYS_DEFAULT},
            "example": 7,
        }), json!({
            "name": "timeZone",
            "in": "query",
            "description": "Whose days: the name of an IANA time zone, as it is written there.",
            "schema": {"type": "string", "default": "UTC"},
            "example": "Asia/Kolkata",
        })],
        answers: vec![counts.example("counts", "Two days", &example())],
        problems: vec![
            Problem::Unauthorized,
            Problem::Forbidden,
            Problem::InvalidParameters(violations()),
            Problem::Unavailable,
        ],
        roles: Role::ALL,
        ..Operation::new("statistics", TAG, "Count the tickets")
    }
}

fn violations() -> Vec<FieldError> {
    let violation = |pointer: &'static str, code, detail: &str| FieldError {
        pointer: pointer.into(),
        code,
        detail: detail.to_owned(),
    };
    let zone = "must be the name of an IANA time zone, such as Asia/Kolkata";
    vec![
        violation("/days", "out_of_range", "must be a whole number from 1 to 366"),
        violation("/timeZone", "invalid_time_zone", zone),
    ]
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
            "responseTime": {
                "averageSeconds": 1830.5, "p50Seconds": 1756.365, "p90Seconds": 2018.509,
                "p99Seconds": 2018.509, "count": 2,
            },
            "resolutionTime": {
                "averageSeconds": 7260.0, "p50Seconds": 7025.459, "p90Seconds": 7025.459,
                "p99Seconds": 7025.459, "count": 1,
            },
            "daily": [
                {"date": "2026-11-21", "created": 4, "resolved": 0},
                {"date": "2026-11-22", "created": 2, "resolved": 1},
            ],
            "trend": {
                "created": {"current": 6, "previous": 4, "change": 0.5},
                "resolved": {"current": 1, "previous": 0, "change": null},
                "averageResponseSeconds": {"current": 1830.5, "previous": 3661.0, "change": -0.5},
                "averageResolutionSeconds": {"current": 7260.0, "previous": null, "change": null},
            },
            "backlog": [
                {"fromDays": 0, "toDays": 1, "count": 1},
                {"fromDays": 1, "toDays": 3, "count": 4},
                {"fromDays": 3, "toDays": 7, "count": 0},
                {"fromDays": 7, "toDays": 30, "count": 0},
                {"fromDays": 30, "toDays": null, "count": 0},
            ],
            "byMember": [
                {"name": "grace", "assigned": 1, "resolved": 1, "averageResolutionSeconds": 7260.0},
            ],
            "timeZone": "UTC",
            "generatedAt": "2026-11-22T10:30:00.000Z",
            "source": "cache",
        },
        "message": "Support ticket statistics",
        "timestamp": "2026-11-22T10:30:00.400Z",
    })
}
