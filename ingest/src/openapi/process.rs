//! What is told of the process itself: its health, and this description.

use common::domain::Role;
use serde_json::{Value, json};

use super::{Answer, Operation, Schemas};
use crate::{
    health::{Body, Word},
    problem::{Problem, Success},
    whoami::Whoami,
};

pub const TAG: &str = "Process";

/// `GET /api/support/health`
pub fn health(schemas: &mut Schemas) -> Operation {
    let told = Answer::plain::<Body>(Success::Found, "Submissions are taken.", schemas);
    let unready = Answer::plain::<Body>(Success::Unready, "They are not.", schemas);
    Operation {
        description: "From what was found out within the last seconds: asking costs nothing and \
                      cannot hang."
            .to_owned(),
        answers: vec![
            told.example("ok", "All is well", &example("ok", "up")),
            unready.example("unavailable", "No broker", &example("unavailable", "down")),
        ],
        ..Operation::new("health", TAG, "Tell how the service is")
    }
}

fn example(status: &str, broker: &str) -> Value {
    json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": 86_400,
        "components": {
            "broker": {"status": broker, "latencyMs": 0.7, "queued": 0},
            "store": {"status": "up", "latencyMs": 0.4},
            "cache": {"status": "up", "latencyMs": 0.2},
            "workers": {"status": "up", "latencyMs": 0.6, "consumers": 2},
        },
    })
}

/// `GET /livez`
pub fn live(schemas: &mut Schemas) -> Operation {
    let alive = Answer::plain::<Word>(Success::Found, "It does.", schemas);
    Operation {
        description: "Says nothing of what the process leans on: a restart would not mend that."
            .to_owned(),
        answers: vec![alive.example("ok", "Alive", &json!({"status": "ok"}))],
        ..Operation::new("live", TAG, "Tell whether the process answers")
    }
}

/// `GET /readyz`
pub fn ready(schemas: &mut Schemas) -> Operation {
    let yes = Answer::plain::<Word>(Success::Found, "Yes.", schemas);
    let no = Answer::plain::<Word>(Success::Unready, "Not now.", schemas);
    Operation {
        description: "False as soon as the process is asked to stop.".to_owned(),
        answers: vec![
            yes.example("ok", "Ready", &json!({"status": "ok"})),
            no.example("unavailable", "Not ready", &json!({"status": "unavailable"})),
        ],
        ..Operation::new("ready", TAG, "Tell whether to send submissions here")
    }
}

/// `GET /metrics`
pub fn metrics(_: &mut Schemas) -> Operation {
    let text = json!({"type": "string"});
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    let series = Answer::new(Success::Found, "Every series.", media_type, &text);
    let example = "# TYPE supportline_submissions_total counter\n\
                   supportline_submissions_total{outcome=\"created\"} 3\n";
    Operation {
        description: "What the process has recorded, as Prometheus reads it.".to_owned(),
        answers: vec![series.example("one", "A series", &example.into())],
        ..Operation::new("metrics", TAG, "Tell the figures of the process")
    }
}

/// `GET /api/support/whoami`
pub fn whoami(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Whoami<'_>>(Success::Found, "The account.", schemas);
    let example = json!({
        "success": true,
        "data": {
            "address": "203.0.113.7",
            "countedAs": "203.0.113.7",
            "peer": "10.0.0.2",
            "header": "x-forwarded-for",
            "trustedProxies": ["10.0.0.0/8"],
            "chain": [
                {
                    "said": "10.0.0.2", "trusted": true,
                    "why": "a trusted proxy: the address it names is believed",
                },
                {
                    "said": "203.0.113.7", "trusted": false,
                    "why": "not a trusted proxy: this is the client",
                },
            ],
            "countedBy": "all instances",
            "limits": [{
                "policy": "create", "quota": 3, "windowSeconds": 600, "remaining": 2,
                "resetSeconds": 431,
            }],
        },
        "message": "How this request is counted",
        "timestamp": "2026-11-22T10:30:00.000Z",
    });
    Operation {
        description: "For whoever sets up the proxies in front. It is counted nowhere.".to_owned(),
        answers: vec![told.example("behindAProxy", "Behind a proxy", &example)],
        problems: vec![Problem::Unauthorized, Problem::Forbidden, Problem::Unavailable],
        roles: &[Role::Admin],
        ..Operation::new("whoami", TAG, "Tell which address this request is counted under")
    }
}

/// `GET /openapi.json`
pub fn openapi(_: &mut Schemas) -> Operation {
    let schema = json!({"type": "object", "additionalProperties": true});
    let served = Answer::new(Success::Found, "The document.", "application/json", &schema);
    Operation { answers: vec![served], ..Operation::new("openApi", TAG, "Describe this API") }
}
