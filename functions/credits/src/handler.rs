//! `GET /credits`: the caller's balance, and what it came from.

use kitloop::boot::App;
use kitloop::db;
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};

const ENDPOINT: Endpoint = Endpoint {
    name: "credits",
    methods: &["GET"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::STANDARD,
};
/// How many entries a page has unless the query says otherwise.
const PAGE: i32 = 50;

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, credits).await
}

async fn credits(app: &App, call: &Call) -> Result<Answer, Error> {
    let user_id = call.caller()?.user_id;
    let mut query = call.query();
    let cursor = query.optional_integer_text("cursor", 1..=i64::MAX);
    let limit = query.optional_integer_text("limit", 1..=100).unwrap_or(PAGE);
    query.finish(|| Some(()))?;
    Answer::ok(db::credits(&app.db, user_id, cursor, limit).await?)
}

#[cfg(test)]
mod tests;
