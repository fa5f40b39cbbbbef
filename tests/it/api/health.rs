//! Health, and what a supervisor asks.

use std::time::Duration;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{Api, on_both_systems};
use crate::bed::wait::until;

on_both_systems! {
    a_process_that_runs_is_alive_and_ready,
    health_tells_of_every_component,
}

async fn a_process_that_runs_is_alive_and_ready(api: Api) {
    for path in ["/livez", "/readyz"] {
        let answer = api.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"status": "ok"})));
    }
}

/// The figures of the components differ: one has three servers, the other none.
async fn health_tells_of_every_component(api: Api) {
    // Ready is who accepts; that a worker is there is seen a second later.
    until(Duration::from_secs(10), "every component is up", async || {
        api.get("/api/support/health").await.json()["status"] == "ok"
    })
    .await;
    let answer = api.get("/api/support/health").await;
    assert_eq!(answer.status, 200);
    let mut health = super::shown::masked(answer.json());
    for component in health["components"].as_object_mut().unwrap().values_mut() {
        for (_, figure) in component.as_object_mut().unwrap() {
            if figure.is_u64() {
                *figure = Value::from("COUNT");
            }
        }
    }
    expected().assert_eq(&serde_json::to_string_pretty(&health).unwrap());
}

/// The same for both backends.
fn expected() -> Expect {
    expect![[r#"
        {
          "components": {
            "broker": {
              "latencyMs": "MS",
              "queued": "COUNT",
              "status": "up"
            },
            "cache": {
              "latencyMs": "MS",
              "status": "up"
            },
            "store": {
              "latencyMs": "MS",
              "status": "up"
            },
            "workers": {
              "consumers": "COUNT",
              "latencyMs": "MS",
              "status": "up"
            }
          },
          "status": "ok",
          "uptimeSeconds": "SECONDS",
          "version": "VERSION"
        }"#]]
}
