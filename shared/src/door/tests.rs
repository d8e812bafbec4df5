//! The steps before a use case, run over events as the HTTP API sends them.

use std::time::{Duration, Instant};

use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};

use super::*;
use crate::boot::App;
use crate::config::{Config, Needs};
use crate::error::{Code, Error, Refusal};
use crate::http::testing::{CURRENT, ISSUER, claims, event, signed};
use crate::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
use crate::telemetry::meter;
use crate::telemetry::testing::Recorder;

const ENDPOINT: Endpoint = Endpoint {
    name: "reserve_gear",
    methods: &["POST"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::STANDARD,
};

fn request(method: &str, headers: &[(&str, &str)], body: &str) -> Request {
    lambda_http::request::from_str(&event(method, headers, body).to_string()).unwrap()
}

fn app() -> App {
    let settings = |name: &str| match name {
        "DATABASE_URL" => Some("postgres://kitloop_app@127.0.0.1:1/kitloop".to_owned()),
        "SUPABASE_JWT_SECRET" => Some(CURRENT.to_owned()),
        "JWT_ISSUER" => Some(ISSUER.to_owned()),
        "AUTH_ORIGIN_ALLOWLIST" => Some("https://app.example".to_owned()),
        "CRON_SECRET" => Some("the-secret-of-schedules".to_owned()),
        _ => None,
    };
    let needs = Needs { tokens: true, cron: true, ..Needs::DATABASE };
    App::new(Config::from_lookup(needs, &settings).unwrap()).unwrap()
}

/// Echoes what a use case can see.
async fn echo(_: &App, call: &Call) -> Result<Answer, Error> {
    let fields = call.json()?;
    Answer::created(
        json!({"caller": call.caller()?.user_id, "address": call.source_address(), "hash": fields.hash()}),
    )
}

async fn answered(endpoint: &Endpoint, request: Request) -> Response<Body> {
    answer(&app(), endpoint, request, echo).await
}

fn body(response: &Response<Body>) -> Value {
    serde_json::from_slice(response.body().as_ref()).unwrap_or_default()
}

fn token() -> String {
    signed(&claims(), CURRENT)
}

#[tokio::test]
async fn a_good_request_reaches_the_use_case() {
    let token = token();
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("x-correlation-id", "abc-1"),
    ];
    let response = answered(&ENDPOINT, request("POST", &headers, "{}")).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["x-correlation-id"], "abc-1");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(body(&response)["address"], "192.0.2.1");
}

#[tokio::test]
async fn bad_bodies_are_told_apart() {
    let token = token();
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    for (content_type, text, status, code) in [
        ("application/json", "{", 400, "malformed_body"),
        ("application/json", "", 400, "malformed_body"),
        ("application/json", "[1]", 400, "malformed_body"),
        ("application/json", r#"{"a":1,"a":2}"#, 400, "malformed_body"),
        ("application/json", deep.as_str(), 400, "malformed_body"),
        ("text/plain", "{}", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", "a=1", 415, "unsupported_media_type"),
    ] {
        let headers = [("authorization", token.as_str()), ("content-type", content_type)];
        let response = answered(&ENDPOINT, request("POST", &headers, text)).await;
        assert_eq!(response.status(), status, "{text}");
        assert_eq!(body(&response)["error"], code);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_anybody_is_asked_for_a_token() {
    let text = format!("{{\"notes\":\"{}\"}}", "x".repeat(JSON_BODY_LIMIT));
    let response = answered(&ENDPOINT, request("POST", &[("content-type", "application/json")], &text)).await;
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_are_malformed() {
    let token = token();
    let mut event =
        event("POST", &[("authorization", &token), ("content-type", "application/json")], "eyJhIjoi/yJ9");
    event["isBase64Encoded"] = true.into();
    let response = answered(&ENDPOINT, lambda_http::request::from_str(&event.to_string()).unwrap()).await;
    assert_eq!(response.status(), 400);
    assert_eq!(body(&response)["error"], "malformed_body");
}

#[tokio::test]
async fn a_stranger_is_told_to_log_in() {
    let response = answered(&ENDPOINT, request("POST", &[("content-type", "application/json")], "{}")).await;
    assert_eq!(response.status(), 401);
    assert!(response.headers().contains_key("www-authenticate"));
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let response = answered(&ENDPOINT, request("GET", &[], "")).await;
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "POST, OPTIONS");
}

#[tokio::test]
async fn a_preflight_from_an_allowed_origin_needs_no_token() {
    let headers = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let response = answered(&ENDPOINT, request("OPTIONS", &headers, "")).await;
    assert_eq!(response.status(), 204);
    assert!(matches!(response.body(), Body::Empty));
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    assert_eq!(response.headers()["access-control-allow-methods"], "POST");
    assert_eq!(response.headers()["vary"], "origin");
}

#[tokio::test]
async fn a_foreign_origin_is_refused_preflight_or_not() {
    let token = token();
    for method in ["OPTIONS", "POST"] {
        let headers = [("origin", "https://evil.example"), ("authorization", &token)];
        let response = answered(&ENDPOINT, request(method, &headers, "{}")).await;
        assert_eq!(response.status(), 403);
        assert_eq!(body(&response)["error"], "origin_not_allowed");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn a_page_can_read_refusals_too() {
    let response = answered(&ENDPOINT, request("POST", &[("origin", "https://app.example")], "{}")).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
    for header in ["x-correlation-id", "idempotent-replayed", "retry-after", "ratelimit-reset"] {
        assert!(exposed.split(", ").any(|name| name == header), "{header}: {exposed}");
    }
}

#[tokio::test]
async fn a_schedules_endpoint_takes_its_secret_and_no_token() {
    let endpoint = Endpoint { caller: CallerRule::CronSecret, origins: Origins::None, ..ENDPOINT };
    let token = token();
    for (authorization, status) in
        [("Bearer the-secret-of-schedules", 200), ("Bearer tock", 401), (token.as_str(), 401)]
    {
        let request = request("POST", &[("authorization", authorization)], "");
        let response = answer(&app(), &endpoint, request, async |_, _| Answer::ok(json!({}))).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn a_request_ends_with_one_line_that_names_no_person() {
    let (recorder, _guard) = Recorder::start();
    let token = token();
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("x-correlation-id", "abc"),
    ];
    answered(&ENDPOINT, request("POST", &headers, "{}")).await;
    let lines = recorder.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["message"], "request.answered");
    assert_eq!((&lines[0]["Function"], &lines[0]["Requests"]), (&json!("reserve_gear"), &json!(1)));
    let context = &lines[0]["context"];
    assert_eq!(context["function"], "reserve_gear");
    assert_eq!(context["status"], 201);
    assert_eq!(context["code"], "answered");
    assert_eq!(context["correlation_id"], "abc");
    for number in ["duration_ms", "database_ms", "database_round_trips", "stripe_ms"] {
        assert!(context[number].is_u64(), "{number}: {context}");
    }
    assert_eq!(context["caller"].as_str().unwrap().len(), 32);
    let log = json!(lines).to_string();
    for personal in ["ema@example.com", claims()["sub"].as_str().unwrap(), "192.0.2.1", &token] {
        assert!(!log.contains(personal), "{personal}");
    }
}

#[tokio::test]
async fn a_failure_of_ours_is_logged_once_with_its_cause_and_answered_without() {
    let (recorder, _guard) = Recorder::start();
    let endpoint = Endpoint { caller: CallerRule::None, ..ENDPOINT };
    let failing = async |_: &App, _: &Call| Err(Error::Database("relation does not exist".into()));
    let response = answer(&app(), &endpoint, request("POST", &[], ""), failing).await;
    assert_eq!(response.status(), 500);
    assert!(!body(&response).to_string().contains("does not exist"));
    let errors: Vec<Value> = recorder.lines().into_iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["context"]["error"], "database: relation does not exist");
}

#[tokio::test]
async fn what_a_use_case_waits_for_is_in_its_line() {
    let (recorder, _guard) = Recorder::start();
    let endpoint = Endpoint { caller: CallerRule::None, ..ENDPOINT };
    let asking = async |_: &App, _: &Call| {
        drop((meter::database(), meter::database()));
        let _call = meter::stripe();
        tokio::time::sleep(Duration::from_millis(3)).await;
        Answer::ok(json!({}))
    };
    answer(&app(), &endpoint, request("POST", &[], ""), asking).await;
    let context = &recorder.lines()[0]["context"];
    assert_eq!(context["database_round_trips"], 2);
    assert!(context["stripe_ms"].as_u64().unwrap() >= 3, "{context}");
}

#[tokio::test]
async fn an_answer_is_no_failure_whatever_its_status_is() {
    let (recorder, _guard) = Recorder::start();
    let endpoint = Endpoint { caller: CallerRule::None, ..ENDPOINT };
    for status in [409, 503] {
        let answering = async |_: &App, _: &Call| Answer::new(status, json!({}));
        let response = answer(&app(), &endpoint, request("POST", &[], ""), answering).await;
        assert_eq!(response.status(), status);
    }
    let failing = async |_: &App, _: &Call| Err(Error::DatabaseUnavailable("away".into()));
    answer(&app(), &endpoint, request("POST", &[], ""), failing).await;
    let told = recorder
        .lines()
        .into_iter()
        .map(|line| [&line["level"], &line["Outcome"], &line["Code"]].map(Value::to_owned));
    assert_eq!(
        json!(told.collect::<Vec<_>>()),
        json!([
            ["INFO", "ok", "answered"],
            ["INFO", "ok", "answered"],
            ["ERROR", "failed", "database_unavailable"]
        ])
    );
}

#[tokio::test]
async fn a_use_case_that_panics_is_answered_and_has_its_line() {
    let (recorder, _guard) = Recorder::start();
    let endpoint = Endpoint { caller: CallerRule::None, ..ENDPOINT };
    let panicking = async |_: &App, _: &Call| panic!("a mistake");
    let response = answer(&app(), &endpoint, request("POST", &[], ""), panicking).await;
    assert_eq!(response.status(), 500);
    assert_eq!(body(&response)["error"], "internal_error");
    let lines = recorder.lines();
    let line = lines.last().unwrap();
    assert_eq!((&line["message"], &line["Outcome"]), (&json!("request.answered"), &json!("failed")));
}

#[tokio::test]
async fn a_refusal_is_not_an_error_in_the_log() {
    let (recorder, _guard) = Recorder::start();
    let endpoint = Endpoint { caller: CallerRule::None, ..ENDPOINT };
    let refusing =
        async |_: &App, _: &Call| Err(Refusal::new(Code::HoldExpired, "The hold has lapsed.").into());
    let response = answer(&app(), &endpoint, request("POST", &[], ""), refusing).await;
    assert_eq!(response.status(), 410);
    let lines = recorder.lines();
    assert!(lines.iter().all(|line| line["level"] != "ERROR"));
    assert_eq!((&lines[0]["Outcome"], &lines[0]["Code"]), (&json!("refused"), &json!("hold_expired")));
}

#[tokio::test]
async fn a_use_case_that_hangs_is_answered_before_the_invocation_ends() {
    let endpoint = Endpoint { caller: CallerRule::None, ..ENDPOINT };
    let mut app = app();
    app.config.function_timeout = Duration::from_millis(600);
    let started = Instant::now();
    let hanging = async |_: &App, _: &Call| std::future::pending().await;
    let response = answer(&app, &endpoint, request("POST", &[], ""), hanging).await;
    assert!(started.elapsed() < app.config.function_timeout, "{:?}", started.elapsed());
    assert_eq!(response.status(), 503);
    assert_eq!(body(&response)["error"], "out_of_time");
    assert!(response.headers().contains_key("retry-after"));
}

#[test]
fn answering_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let app = app();
    is_send(&answer(&app, &ENDPOINT, Request::default(), echo));
}
