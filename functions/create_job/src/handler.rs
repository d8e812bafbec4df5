//! `POST /create_job`: parse, hold the credits and make the job, answer with where it stands.

use jiff::Timestamp;
use kitloop::app::paid_jobs::{KINDS, PaidJobKind};
use kitloop::boot::App;
use kitloop::db::{self, JobRequest};
use kitloop::domain::{JobInput, JobInputRule, ProviderId};
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{Answer, Call, Fields, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};
use serde_json::{Map, Value};

const ENDPOINT: Endpoint = Endpoint {
    name: "create_job",
    methods: &["POST"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::STANDARD,
};

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, create_job).await
}

async fn create_job(app: &App, call: &Call) -> Result<Answer, Error> {
    let caller = call.caller()?;
    let mut fields = call.json()?;
    let request_hash = fields.hash();
    let idempotency_key = fields.idempotency_key();
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let kind = fields.choice("kind", &names).and_then(PaidJobKind::of);
    let input = kind.and_then(|kind| fields.object("input", |input| Some(Input::read(kind, input))));
    let (idempotency_key, kind, input) = fields.finish(|| Some((idempotency_key?, kind?, input?)))?;

    let request = JobRequest {
        caller: &caller.key(),
        idempotency_key: &idempotency_key,
        request_hash: &request_hash,
        user_id: caller.user_id,
        profile: &caller.contact(),
        kind: kind.name,
        credits: kind.credits,
        max_attempts: kind.max_attempts,
        provider_id: input.provider_id,
        input: &Value::Object(input.members),
    };
    let job = db::create_job(&app.db, &request).await?;
    let replayed = job.replayed.to_string();
    Ok(Answer::accepted(job.answer)?.with_header("idempotent-replayed", replayed))
}

/// What a kind of job is told, and nothing else of the request.
#[derive(Default)]
struct Input {
    provider_id: Option<ProviderId>,
    members: Map<String, Value>,
}

impl Input {
    fn read(kind: &PaidJobKind, fields: &mut Fields) -> Self {
        let mut input = Self::default();
        for &JobInput { name, rule } in kind.input {
            let value = match rule {
                JobInputRule::Choice(choices) => fields.choice(name, choices).map(Value::from),
                JobInputRule::Provider => {
                    input.provider_id = fields.optional_uuid(name).map(ProviderId);
                    None
                }
                JobInputRule::Instant => fields.optional_timestamp(name).map(text),
                JobInputRule::InstantAfter(earlier) => {
                    let instant = fields.optional_timestamp(name);
                    if instant.is_some_and(|instant| {
                        input.instant(earlier).is_some_and(|earlier| instant <= earlier)
                    }) {
                        fields.reject(name, format!("must be later than {earlier}"));
                    }
                    instant.map(text)
                }
            };
            input.members.extend(value.map(|value| (name.to_owned(), value)));
        }
        input
    }

    /// What an earlier member says.
    fn instant(&self, name: &str) -> Option<Timestamp> {
        self.members.get(name)?.as_str()?.parse().ok()
    }
}

fn text(instant: Timestamp) -> Value {
    Value::from(instant.to_string())
}

#[cfg(test)]
mod tests;
