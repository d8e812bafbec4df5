//! `POST /create_checkout_session`: parse, start the checkout, answer with where the browser pays.

use kitloop::app::topup;
use kitloop::boot::App;
use kitloop::db::TopupRequest;
use kitloop::domain::Currency;
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::Error;
use kitloop::http::{Answer, Call, Fields, JSON_BODY_LIMIT, Origins};
use lambda_http::{Body, Request, Response};

const ENDPOINT: Endpoint = Endpoint {
    name: "create_checkout_session",
    methods: &["POST"],
    origins: Origins::Authenticated,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Required,
    rate_limit: RateLimit::PAYMENTS,
};

/// At once.
const MOST_CREDITS: i64 = 10_000;
/// In characters.
const LONGEST_URL: usize = 2048;

#[derive(serde::Serialize)]
struct CheckoutAnswer {
    session_id: String,
    url: String,
    credits: i64,
    amount_minor: i64,
    currency: Currency,
}

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    door::answer(app, &ENDPOINT, request, create_checkout_session).await
}

async fn create_checkout_session(app: &App, call: &Call) -> Result<Answer, Error> {
    let caller = call.caller()?;
    let mut fields = call.json()?;
    let request_hash = fields.hash();
    let idempotency_key = fields.idempotency_key();
    let credits = fields.integer("credits", 1..=MOST_CREDITS);
    let success_url = return_url(app, &mut fields, "success_url");
    let cancel_url = return_url(app, &mut fields, "cancel_url");
    let (idempotency_key, credits, success_url, cancel_url) =
        fields.finish(|| Some((idempotency_key?, credits?, success_url?, cancel_url?)))?;

    let request = TopupRequest {
        caller: &caller.key(),
        idempotency_key: &idempotency_key,
        request_hash: &request_hash,
        user_id: caller.user_id,
        profile: &caller.contact(),
        credits,
        credit_price: app.config.credit_price,
    };
    let return_urls = (success_url.as_str(), cancel_url.as_str());
    let checkout =
        topup::start_checkout(&app.db, app.stripe()?, &request, return_urls, call.deadline()).await?;
    let replayed = checkout.replayed.to_string();
    let answer = CheckoutAnswer {
        session_id: checkout.session_id,
        url: checkout.url,
        credits: checkout.credits,
        amount_minor: checkout.amount.amount_minor,
        currency: checkout.amount.currency,
    };
    Ok(Answer::ok(answer)?.with_header("idempotent-replayed", replayed))
}

/// Where Stripe sends the browser back to: a page that may call us, so that nobody is led elsewhere in our name.
fn return_url(app: &App, fields: &mut Fields, name: &str) -> Option<String> {
    let url = fields.text(name, LONGEST_URL)?;
    if !ENDPOINT.origins.allows_return_to(&app.config.origins, &url) {
        fields.reject(name, "must be a page of an allowed origin");
        return None;
    }
    Some(url)
}

#[cfg(test)]
mod tests;
