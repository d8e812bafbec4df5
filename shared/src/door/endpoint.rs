//! The steps that every request takes, in order.

use std::time::Duration;

use lambda_http::{Body, Request, Response};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::rate_limit::{self, RateLimit};
use crate::boot::App;
use crate::digest::pseudonym;
use crate::error::{Code, Error, Refusal};
use crate::http::cors::{self, OriginVerdict};
use crate::http::response::{self, Problem};
use crate::http::{Answer, Call, Headers, Origins, shared_secret};
use crate::telemetry::meter::{self, Spent};
use crate::telemetry::{ANSWERED, Ending, Outcome, caught};

/// What is kept of an invocation for its answer.
const TIME_TO_ANSWER: Duration = Duration::from_millis(500);

/// What an endpoint asks of a request before its use case sees it.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// The function's name, in logs, metrics and the guard's keys.
    pub name: &'static str,
    /// The methods it knows beside OPTIONS, in upper case.
    pub methods: &'static [&'static str],
    /// The browser origins it lets in.
    pub origins: Origins,
    /// The longest body it takes, in bytes.
    pub body_limit: usize,
    /// Who may call.
    pub caller: CallerRule,
    /// How often.
    pub rate_limit: RateLimit,
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerRule {
    /// Whoever has a token that holds.
    Required,
    /// Whoever knows the schedule's secret.
    CronSecret,
    /// Operators, who know the admin token.
    Admin,
    /// Everybody; the use case has its own check, if any.
    None,
}

/// Answers a request: correlation id, preflight, method, origin, size, caller and rate limits, use case. Never fails.
pub async fn answer(
    app: &App,
    endpoint: &Endpoint,
    request: Request,
    use_case: impl AsyncFnOnce(&App, &Call) -> Result<Answer, Error>,
) -> Response<Body> {
    let started = Instant::now();
    let mut call = Call::new(request, app.config.function_timeout);
    // At the level of errors, so that every line that is written says whose it is.
    let span = tracing::error_span!(
        "request",
        function = endpoint.name,
        correlation_id = call.correlation_id(),
        caller = tracing::field::Empty
    );
    async {
        let mut headers = Headers::new();
        let work = async {
            // Both on the heap: they are large, and the stack of every layer around would hold them once more.
            match Box::pin(admit(app, endpoint, &mut call, &mut headers)).await? {
                Admission::Answered(answer) => Ok(answer),
                Admission::Admitted => Box::pin(in_time(call.deadline(), use_case(app, &call))).await,
            }
        };
        let (outcome, spent) = meter::measured(caught(work)).await;
        let outcome = outcome.unwrap_or(Err(Error::Panicked));
        let outcome = conclude(endpoint.name, outcome, started.elapsed(), spent);
        response::render(outcome, call.correlation_id(), headers)
    }
    .instrument(span)
    .await
}

/// The outcome of `work`, or that the time is up. Without this, the platform would answer, with a document that no page
/// may read. Cut off anywhere, a use case can be repeated: what it claimed lapses.
async fn in_time(
    deadline: Instant,
    work: impl Future<Output = Result<Answer, Error>>,
) -> Result<Answer, Error> {
    let limit = deadline.checked_sub(TIME_TO_ANSWER).unwrap_or(deadline);
    timeout_at(limit, work).await.unwrap_or(Err(Error::OutOfTime))
}

enum Admission {
    Admitted,
    Answered(Answer),
}

/// The steps before the use case. `headers` collects what every response says, refusals included.
async fn admit(
    app: &App,
    endpoint: &Endpoint,
    call: &mut Call,
    headers: &mut Headers,
) -> Result<Admission, Error> {
    let verdict = endpoint.origins.judge(&app.config.origins, call.header("origin"));
    headers.extend(cors::headers(endpoint.origins, verdict));
    let preflight = call.method() == "OPTIONS";
    if !preflight && !endpoint.methods.contains(&call.method()) {
        headers.push(("allow", format!("{}, OPTIONS", endpoint.methods.join(", "))));
        return Err(Refusal::new(Code::MethodNotAllowed, "The method is not allowed here.").into());
    }
    if verdict == OriginVerdict::Foreign {
        return Err(Refusal::new(Code::OriginNotAllowed, "The origin is not on the allow-list.").into());
    }
    if preflight {
        return Ok(Admission::Answered(cors::preflight(endpoint.methods, verdict)));
    }
    // The token is checked first because that costs no round trip, but for a secret that is read again, and both limits
    // can then be counted at once; a request without a good one is counted too, and being over the limit is what it hears
    // first.
    let identified = identify(app, endpoint, call).await;
    rate_limit::count(app, endpoint, call, headers).await?;
    if call.raw_body().len() > endpoint.body_limit {
        let detail = format!("The body must be at most {} bytes long.", endpoint.body_limit);
        return Err(Refusal::new(Code::BodyTooLarge, detail).into());
    }
    identified.map(|()| Admission::Admitted)
}

async fn identify(app: &App, endpoint: &Endpoint, call: &mut Call) -> Result<(), Error> {
    let authorization = call.header("authorization");
    match endpoint.caller {
        CallerRule::None => Ok(()),
        CallerRule::CronSecret => shared_secret::verify_cron(&app.config.cron_secrets, authorization).await,
        CallerRule::Admin => {
            let admin_header = call.header(shared_secret::ADMIN_HEADER);
            shared_secret::verify_admin(&app.config.admin_tokens, authorization, admin_header).await
        }
        CallerRule::Required => {
            let caller = app.tokens.verify(authorization).await?;
            tracing::Span::current().record("caller", pseudonym(&caller.key()));
            call.caller = Some(caller);
            Ok(())
        }
    }
}

/// Says once, here at the boundary, how the request ended.
pub(crate) fn conclude(
    function: &str,
    outcome: Result<Answer, Error>,
    duration: Duration,
    spent: Spent,
) -> Result<Answer, Problem> {
    let mut ending = Ending {
        function,
        outcome: Outcome::Ok,
        code: ANSWERED,
        error: None,
        panicked: matches!(outcome, Err(Error::Panicked)),
        duration,
        spent,
    };
    match outcome {
        Ok(answer) => {
            ending.tell_request(answer.status);
            Ok(answer)
        }
        Err(error) => {
            let problem = Problem::of(&error);
            ending.code = problem.code;
            ending.outcome = if problem.status < 500 { Outcome::Refused } else { Outcome::Failed };
            if ending.outcome == Outcome::Failed {
                ending.error = Some(&error);
            }
            ending.tell_request(problem.status);
            Err(problem)
        }
    }
}
