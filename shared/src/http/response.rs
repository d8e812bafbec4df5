//! Outcomes as HTTP responses: the only place that knows which failure has which status.

use std::time::Duration;

use lambda_http::{Body, Response};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Headers};
use crate::error::{Code, Error};

/// What a client is told to wait when something of ours, or Stripe, is away.
const RETRY_WHEN_UNAVAILABLE: Duration = Duration::from_secs(2);

/// The status of a refusal.
const fn status(code: Code) -> u16 {
    match code {
        Code::MalformedBody
        | Code::InvalidRequest
        | Code::InvalidSignature
        | Code::LeadTimeTooShort
        | Code::BeyondHorizon
        | Code::DurationTooShort
        | Code::DurationTooLong => 400,
        Code::Unauthenticated => 401,
        Code::PaymentRequired | Code::InsufficientCredits => 402,
        Code::Forbidden | Code::OriginNotAllowed | Code::PlanInactive => 403,
        Code::NotFound
        | Code::ProviderNotFound
        | Code::GearNotFound
        | Code::ReservationNotFound
        | Code::EventNotFound
        | Code::CustomerNotFound
        | Code::DeadLetterNotFound
        | Code::JobNotFound => 404,
        Code::MethodNotAllowed => 405,
        Code::InsufficientAvailability
        | Code::TooManyOpenHolds
        | Code::RequestInFlight
        | Code::PaymentStarting
        | Code::AlreadyPaid
        | Code::NothingToPay
        | Code::PaymentIntentMismatch
        | Code::CaptureInProgress
        | Code::CancelledConflict
        | Code::ReservationOver
        | Code::AlreadyCancelled
        | Code::RentalStarted
        | Code::NotPaid
        | Code::AlreadyRefunded
        | Code::RefundExceedsPayment
        | Code::InvalidRefundAmount
        | Code::PaidOffline
        | Code::PaymentDisputed
        | Code::AlreadyRunning
        | Code::AlreadyReplayed
        | Code::JobObsolete
        | Code::ExportTooLarge => 409,
        Code::HoldExpired | Code::CheckoutExpired => 410,
        Code::BodyTooLarge => 413,
        Code::UnsupportedMediaType => 415,
        Code::IdempotencyKeyReused => 422,
        Code::RateLimited => 429,
        Code::NotConfigured => 503,
    }
}

/// An error as the client sees it: RFC 9457, without the cause of what is ours to mend.
pub(crate) struct Problem {
    pub(crate) status: u16,
    /// The stable code, also for the log.
    pub(crate) code: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    members: Map<String, Value>,
}

impl Problem {
    pub(crate) fn of(error: &Error) -> Self {
        let away = Some(RETRY_WHEN_UNAVAILABLE);
        let (status, retry_after) = match error {
            Error::Refused(refusal) => return Self::refused(refusal),
            Error::DatabaseUnavailable(_)
            | Error::StripeUnavailable(_)
            | Error::AlertUndelivered(_)
            | Error::TokenKeysUnavailable(_)
            | Error::OutOfTime => (503, away),
            Error::StripeRefused(_) => (502, None),
            Error::Database(_) | Error::Panicked | Error::Internal(_) => (500, None),
        };
        Self::ours(status, error.code(), retry_after)
    }

    fn refused(refusal: &crate::error::Refusal) -> Self {
        let mut members = refusal.details.clone();
        if !refusal.invalid_fields.is_empty() {
            members.insert("invalid_fields".into(), json!(refusal.invalid_fields));
        }
        Self {
            status: status(refusal.code),
            code: refusal.code.as_str(),
            detail: refusal.detail.clone(),
            retry_after: refusal.retry_after,
            members,
        }
    }

    fn ours(status: u16, code: &'static str, retry_after: Option<Duration>) -> Self {
        let detail = match status {
            502 => "The payment service refused the request.",
            503 => "A service this depends on is away for the moment; try again.",
            _ => "Something went wrong on our side.",
        };
        Self { status, code, detail: detail.to_owned(), retry_after, members: Map::new() }
    }

    fn into_answer(self, correlation_id: &str) -> Answer {
        let mut members = self.members;
        members.extend(
            [
                // Clients branch on `error`; with "about:blank" the title is the status' own (RFC 9457 §4.2.1).
                ("type", json!("about:blank")),
                ("title", json!(title(self.status))),
                ("status", json!(self.status)),
                ("detail", json!(self.detail)),
                ("error", json!(self.code)),
                ("correlation_id", json!(correlation_id)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let mut headers = vec![("content-type", "application/problem+json".to_owned())];
        headers.extend(self.retry_after.map(|after| ("retry-after", seconds(after).to_string())));
        if self.status == 401 {
            headers.push(("www-authenticate", "Bearer realm=\"kitloop\"".to_owned()));
        }
        Answer { status: self.status, body: Value::Object(members), headers }
    }
}

/// Whole seconds, rounded up, at least one: trying earlier would be in vain.
pub(crate) fn seconds(duration: Duration) -> u64 {
    let rounded_up = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    rounded_up.max(1)
}

fn title(status: u16) -> &'static str {
    ::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}

/// The response to an outcome. `headers` are those that do not depend on it.
pub(crate) fn render(
    outcome: Result<Answer, Problem>,
    correlation_id: &str,
    headers: Headers,
) -> Response<Body> {
    let answer = outcome.unwrap_or_else(|problem| problem.into_answer(correlation_id));
    let mut response = Response::builder()
        .status(answer.status)
        .header(crate::telemetry::correlation::HEADER, correlation_id)
        .header("cache-control", "no-store");
    if !answer.headers.iter().any(|(name, _)| *name == "content-type") && !answer.body.is_null() {
        response = response.header("content-type", "application/json");
    }
    for (name, value) in answer.headers.into_iter().chain(headers) {
        response = response.header(name, value);
    }
    let body = if answer.body.is_null() { Body::Empty } else { Body::Text(answer.body.to_string()) };
    response.body(body).unwrap_or_else(|error| {
        tracing::error!(%error, "response.not_built");
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = ::http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{InvalidField, Refusal};

    /// The contract's table of statuses, apart from the code above on purpose.
    const STATUSES: &[(u16, &[&str])] = &[
        (
            400,
            &[
                "malformed_body",
                "invalid_request",
                "invalid_signature",
                "lead_time_too_short",
                "beyond_horizon",
                "duration_too_short",
                "duration_too_long",
            ],
        ),
        (401, &["unauthenticated"]),
        (402, &["payment_required", "insufficient_credits"]),
        (403, &["forbidden", "origin_not_allowed", "plan_inactive"]),
        (
            404,
            &[
                "not_found",
                "provider_not_found",
                "gear_not_found",
                "reservation_not_found",
                "event_not_found",
                "customer_not_found",
                "dead_letter_not_found",
                "job_not_found",
            ],
        ),
        (405, &["method_not_allowed"]),
        (
            409,
            &[
                "insufficient_availability",
                "too_many_open_holds",
                "request_in_flight",
                "payment_starting",
                "already_paid",
                "nothing_to_pay",
                "payment_intent_mismatch",
                "capture_in_progress",
                "cancelled_conflict",
                "reservation_over",
                "already_cancelled",
                "rental_started",
                "not_paid",
                "already_refunded",
                "refund_exceeds_payment",
                "invalid_refund_amount",
                "paid_offline",
                "payment_disputed",
                "already_running",
                "already_replayed",
                "job_obsolete",
                "export_too_large",
            ],
        ),
        (410, &["hold_expired", "checkout_expired"]),
        (413, &["body_too_large"]),
        (415, &["unsupported_media_type"]),
        (422, &["idempotency_key_reused"]),
        (429, &["rate_limited"]),
        (503, &["not_configured"]),
    ];

    #[test]
    fn every_code_has_the_status_of_the_contract() {
        for code in Code::ALL {
            let expected = STATUSES.iter().find(|(_, codes)| codes.contains(&code.as_str()));
            assert_eq!(Some(status(*code)), expected.map(|(status, _)| *status), "{}", code.as_str());
        }
    }

    fn rendered(error: &Error) -> (u16, ::http::HeaderMap, Value) {
        let response = render(Err(Problem::of(error)), "abc", Vec::new());
        let body = serde_json::from_slice(response.body().as_ref()).unwrap();
        (response.status().as_u16(), response.headers().clone(), body)
    }

    #[test]
    fn what_is_ours_to_mend_says_nothing_of_its_cause() {
        let cause = || "password=hunter2 SELECT".to_owned();
        for (error, expected, code) in [
            (Error::DatabaseUnavailable(cause()), 503, "database_unavailable"),
            (Error::StripeUnavailable(cause()), 503, "stripe_unavailable"),
            (Error::AlertUndelivered(cause()), 503, "alert_undelivered"),
            (Error::TokenKeysUnavailable(cause()), 503, "token_keys_unavailable"),
            (Error::OutOfTime, 503, "out_of_time"),
            (Error::StripeRefused(cause()), 502, "stripe_refused"),
            (Error::Database(cause()), 500, "internal_error"),
            (Error::Internal(cause()), 500, "internal_error"),
        ] {
            let (status, headers, body) = rendered(&error);
            assert_eq!((status, body["error"].as_str()), (expected, Some(code)));
            assert_eq!(headers.contains_key("retry-after"), status == 503);
            assert!(!body.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_refusal_is_a_problem_document() {
        let mut refusal = Refusal::new(Code::InvalidRequest, "Wrong.")
            .with_fields(vec![InvalidField { field: "a".into(), reason: "is required".into() }])
            .with_retry_after(Duration::from_millis(1200));
        refusal.details.insert("available".into(), json!(2));
        let (status, headers, body) = rendered(&refusal.into());
        assert_eq!(status, 400);
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(headers["retry-after"], "2");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-correlation-id"], "abc");
        assert_eq!(
            body,
            json!({
                "type": "about:blank", "title": "Bad Request", "status": 400, "detail": "Wrong.",
                "error": "invalid_request", "correlation_id": "abc", "available": 2,
                "invalid_fields": [{"field": "a", "reason": "is required"}],
            })
        );
    }

    #[test]
    fn details_cannot_replace_the_documents_own_members() {
        let mut refusal = Refusal::new(Code::HoldExpired, "Lapsed.");
        refusal.details.insert("status".into(), json!("expired"));
        assert_eq!(rendered(&refusal.into()).2["status"], 410);
    }

    #[test]
    fn who_must_log_in_is_told_how() {
        let (_, headers, _) = rendered(&Refusal::new(Code::Unauthenticated, "Who?").into());
        assert_eq!(headers["www-authenticate"], "Bearer realm=\"kitloop\"");
    }
}
