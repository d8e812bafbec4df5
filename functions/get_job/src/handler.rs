//! `GET /get_job`: where one of the caller's paid jobs stands, with its result once it is done.

use kitloop::boot::App;
use kitloop::db;
use kitloop::domain::JobId;
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{Answer, Call, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};

const ENDPOINT: Endpoint = Endpoint {
    name: "get_job",
    methods: &["GET"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::STANDARD,
};

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, get_job).await
}

async fn get_job(app: &App, call: &Call) -> Result<Answer, Error> {
    let user_id = call.caller()?.user_id;
    let mut query = call.query();
    let job_id = query.uuid("job_id");
    let job_id = query.finish(|| Some(JobId(job_id?)))?;
    Answer::ok(db::get_job(&app.db, user_id, job_id).await?)
}

#[cfg(test)]
mod tests;
