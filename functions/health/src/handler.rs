//! `GET /health`: alive. `GET /ready`: able to serve, part by part.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kitloop::app::ready::{self, Parts};
use kitloop::boot::App;
use kitloop::clock;
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::{Code, Error, Refusal};
use kitloop::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};

const ENDPOINT: Endpoint = Endpoint {
    name: "health",
    methods: &["GET"],
    origins: Origins::Public,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::None,
    rate_limit: RateLimit::STANDARD,
};

/// What both paths say.
#[derive(serde::Serialize)]
struct HealthAnswer<'a> {
    status: &'static str,
    version: &'static str,
    environment: &'a str,
    timestamp: Timestamp,
    /// Which settings are there; never their values.
    #[serde(skip_serializing_if = "Option::is_none")]
    configured: Option<BTreeMap<&'static str, bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Parts>,
}

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, health).await
}

async fn health(app: &App, call: &Call) -> Result<Answer, Error> {
    let answer = |status| HealthAnswer {
        status,
        version: env!("CARGO_PKG_VERSION"),
        environment: &app.config.environment,
        timestamp: clock::now(),
        configured: None,
        parts: None,
    };
    match call.last_path_segment() {
        "ready" => {
            let parts = ready::check(&app.db, &app.guard, app.stripe().ok()).await;
            let (status, word) = if parts.is_ready() { (200, "ready") } else { (503, "unavailable") };
            Answer::new(status, HealthAnswer { parts: Some(parts), ..answer(word) })
        }
        // A function URL has no path of its own.
        "health" | "" => {
            let configured = app.config.configured().into_iter().collect();
            Answer::ok(HealthAnswer { configured: Some(configured), ..answer("ok") })
        }
        _ => Err(Refusal::new(Code::NotFound, "There is /health and /ready.").into()),
    }
}

#[cfg(test)]
mod tests;
