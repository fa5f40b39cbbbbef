//! What one would measure against: handlers that do nothing, and those that one would write first.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use common::clock::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::bed::instance::Instance;

/// A floor.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Parses a form and answers 201; answers a GET with as many bytes as a look-up has.
    Nothing,
    /// Inserts a row a form, selects a row a look-up: axum and sqlx, with what each has as defaults.
    RowPerRequest,
}

/// The variable that tells a floor which one it is.
const NAME: &str = "FLOOR";
const NOTHING: &str = "nothing";
const ROW_PER_REQUEST: &str = "row-per-request";

/// The form, as serde reads it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    name: String,
    email: String,
    subject: String,
    message: String,
    timestamp: String,
    user_id: Option<String>,
    user_agent: Option<String>,
    url: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    success: bool,
    data: Data,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    id: Uuid,
    ticket_number: String,
    #[serde(flatten)]
    form: Form,
}

/// What a look-up by number shows.
#[derive(Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
struct Progress {
    number: String,
    subject: String,
    status: String,
    priority: String,
    submitted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Serves one until it is killed. What it needs to know is in its environment.
pub async fn serve() {
    let variable = |name| std::env::var(name).expect(name);
    let listener = tokio::net::TcpListener::bind(variable("SUPPORT_LISTEN")).await.expect("listen");
    let router = match &*variable(NAME) {
        ROW_PER_REQUEST => {
            let pool = PgPoolOptions::new().connect(&variable("DATABASE_URL")).await;
            row_per_request(pool.expect("connect"))
        }
        _ => nothing(),
    };
    let router = router.route("/readyz", get(async || "ready"));
    axum::serve(listener, router).await.expect("serve");
}

fn nothing() -> Router {
    let answer = Progress {
        number: "SUP-2026-483920".to_owned(),
        subject: "technical".to_owned(),
        status: "open".to_owned(),
        priority: "high".to_owned(),
        submitted_at: SystemClock.now(),
        updated_at: SystemClock.now(),
    };
    let answer = Arc::<str>::from(serde_json::to_string(&answer).expect("JSON"));
    let asked = async move || ([("content-type", "application/json")], answer.to_string());
    Router::new()
        .route("/api/support/ticket", post(async |Json(form): Json<Form>| created(form)))
        .fallback(get(asked))
}

fn created(form: Form) -> (StatusCode, Json<Created>) {
    let data = Data { id: Uuid::now_v7(), ticket_number: "SUP-2026-483920".to_owned(), form };
    (StatusCode::CREATED, Json(Created { success: true, data }))
}

/// The table has the columns and indexes of the product's.
fn row_per_request(pool: PgPool) -> Router {
    Router::new()
        .route("/api/support/ticket", post(insert))
        .route("/api/support/ticket/{name}", get(select))
        .with_state(pool)
}

async fn insert(
    State(pool): State<PgPool>,
    Json(form): Json<Form>,
) -> Result<(StatusCode, Json<Created>), StatusCode> {
    let id = Uuid::now_v7();
    let (number, now) = (format!("SUP-2026-{}", id.simple()), SystemClock.now());
    sqlx::query(include_str!("sql/insert_one.sql"))
        .bind(id)
        .bind(&number)
        .bind(&form.name)
        .bind(&form.email)
        .bind(&form.subject)
        .bind(&form.message)
        .bind(&form.user_id)
        .bind(&form.user_agent)
        .bind(&form.url)
        .bind(&form.timestamp)
        .bind(now)
        .execute(&pool)
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let data = Data { id, ticket_number: number, form };
    Ok((StatusCode::CREATED, Json(Created { success: true, data })))
}

async fn select(
    State(pool): State<PgPool>,
    Path(name): Path<String>,
) -> Result<Json<Progress>, StatusCode> {
    let row = match name.parse::<Uuid>() {
        Ok(id) => sqlx::query_as(include_str!("sql/select_by_id.sql")).bind(id),
        Err(_) => sqlx::query_as(include_str!("sql/select_by_number.sql")).bind(name),
    };
    let row = row.fetch_optional(&pool).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    row.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Starts one as a process.
pub async fn start(kind: Kind, folder: &std::path::Path, database_url: &str) -> Instance {
    let name = match kind {
        Kind::Nothing => NOTHING,
        Kind::RowPerRequest => ROW_PER_REQUEST,
    };
    let settings = [(NAME, name), ("DATABASE_URL", database_url)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let program = std::env::current_exe().expect("this program");
    let floor = Instance::start_program(&program, "floor", folder, &settings);
    floor.ready().await;
    floor
}
