//! `/ops/…`: how the product is doing, and what an operator may do about it. `Authorization: Bearer $ADMIN_TOKEN` or
//! `x-admin-token`; whoever writes says who they are in `x-operator`.

use kitloop::app::ops;
use kitloop::boot::App;
use kitloop::db::{self, AuditFilter, CreditAdjustment, EventFilter};
use kitloop::door::{self, CallerRule, Endpoint, RateLimit};
use kitloop::error::{Code, Error, InvalidField, Refusal};
use kitloop::http::{Answer, Call, Fields, JSON_BODY_LIMIT, Origins, path_below};
use lambda_http::{Body, Request, Response};
use serde_json::json;

use crate::resource::Resource;

/// Its methods are those of the resource that is asked for.
const ENDPOINT: Endpoint = Endpoint {
    name: "ops",
    methods: &[],
    origins: Origins::None,
    body_limit: JSON_BODY_LIMIT,
    caller: CallerRule::Admin,
    rate_limit: RateLimit::STANDARD,
};
/// Who writes.
const OPERATOR_HEADER: &str = "x-operator";
/// In characters.
const LONGEST_OPERATOR: usize = 100;
/// In characters; longer than any id or name of a type.
const LONGEST_TEXT: usize = 255;
/// How many items a page has unless the query says otherwise.
const PAGE: i32 = 50;
/// In characters.
const LONGEST_REASON: usize = 500;
/// In credits, at once.
const LARGEST_ADJUSTMENT: i64 = 100_000;
/// As many days back the statistics go unless the query says otherwise.
const DAYS: i32 = 30;

/// Answers one request.
pub(crate) async fn handle(app: &App, request: Request) -> Response<Body> {
    let resource = Resource::at(&path_below(&request, ENDPOINT.name));
    let endpoint = Endpoint { methods: resource.methods(), ..ENDPOINT };
    door::answer(app, &endpoint, request, async |app, call| answer(app, call, &resource).await).await
}

async fn answer(app: &App, call: &Call, resource: &Resource) -> Result<Answer, Error> {
    match resource {
        Resource::Metrics => Answer::ok(ops::metrics(&app.db).await?),
        Resource::WebhookEvents => webhook_events(app, call.query()).await,
        Resource::WebhookEventReplay(event_id) => {
            let applied = ops::replay_event(&app.db, event_id, &operator(call)?).await?;
            Answer::ok(json!({
                "event_id": event_id, "decision": applied.decision, "reservation_id": applied.reservation_id,
            }))
        }
        Resource::DeadLetters => dead_letters(app, call.query()).await,
        Resource::DeadLetterReplay(id) => {
            let id = id.parse().map_err(|_| Refusal::of(Code::DeadLetterNotFound))?;
            let job = db::replay_dead_letter(&app.db, id, &operator(call)?).await?;
            Answer::accepted(
                json!({"dead_letter_id": id, "job_id": job.job_id, "kind": job.kind, "status": "queued"}),
            )
        }
        Resource::CreditAdjustment => adjust_credits(app, call).await,
        Resource::ReservationStats => reservation_stats(app, call.query()).await,
        Resource::Counts => counts(app, call.query()).await,
        Resource::Consistency if call.method() == "POST" => {
            Answer::ok(ops::repair(&app.db, &operator(call)?).await?)
        }
        Resource::Consistency => Answer::ok(ops::consistency(&app.db).await?),
        Resource::Audit => audit(app, call.query()).await,
        Resource::Unknown => Err(Refusal::of(Code::NotFound).into()),
    }
}

async fn webhook_events(app: &App, mut query: Fields) -> Result<Answer, Error> {
    let filter = EventFilter {
        status: query.optional_choice("status", &["processed", "ignored", "failed"]),
        event_type: query.optional_text("type", LONGEST_TEXT),
        reservation_id: query.optional_uuid("reservation_id"),
    };
    let cursor = query.optional_text("cursor", LONGEST_TEXT);
    let limit = limit(&mut query);
    query.finish(|| Some(()))?;
    Answer::ok(db::ops_webhook_events(&app.db, &filter, cursor.as_deref(), limit).await?)
}

async fn dead_letters(app: &App, mut query: Fields) -> Result<Answer, Error> {
    let status = query.optional_choice("status", &["open", "replayed"]);
    let (cursor, limit) = (query.optional_uuid("cursor"), limit(&mut query));
    query.finish(|| Some(()))?;
    let is_open = status.map(|status| status == "open");
    Answer::ok(db::ops_dead_letters(&app.db, is_open, cursor, limit).await?)
}

async fn adjust_credits(app: &App, call: &Call) -> Result<Answer, Error> {
    let operator = operator(call)?;
    let mut fields = call.json()?;
    let user_id = fields.uuid("user_id");
    let amount = fields.integer("amount", -LARGEST_ADJUSTMENT..=LARGEST_ADJUSTMENT);
    if amount == Some(0) {
        fields.reject("amount", "must not be 0");
    }
    let reason = fields.text("reason", LONGEST_REASON);
    if reason.as_deref().is_some_and(|reason| reason.trim().is_empty()) {
        fields.reject("reason", "must not be blank");
    }
    let key = fields.idempotency_key();
    let (user_id, amount, reason, key) = fields.finish(|| Some((user_id?, amount?, reason?, key?)))?;
    let adjustment =
        CreditAdjustment { operator: &operator, user_id, amount, reason: &reason, idempotency_key: &key };
    let adjusted = db::adjust_credits(&app.db, &adjustment).await?;
    Ok(Answer::ok(adjusted.answer)?.with_header("idempotent-replayed", adjusted.replayed.to_string()))
}

async fn reservation_stats(app: &App, mut query: Fields) -> Result<Answer, Error> {
    let provider_id = query.optional_uuid("provider_id");
    let days = query.optional_integer_text("days", 1..=365).unwrap_or(DAYS);
    query.finish(|| Some(()))?;
    Answer::ok(db::ops_reservation_stats(&app.db, provider_id, days).await?)
}

async fn counts(app: &App, mut query: Fields) -> Result<Answer, Error> {
    let provider_id = query.optional_uuid("provider_id");
    query.finish(|| Some(()))?;
    Answer::ok(db::ops_counts(&app.db, provider_id).await?)
}

async fn audit(app: &App, mut query: Fields) -> Result<Answer, Error> {
    let filter = AuditFilter {
        action: query.optional_text("action", LONGEST_TEXT),
        reservation_id: query.optional_uuid("reservation_id"),
    };
    let cursor = query.optional_integer_text("cursor", 1..=i64::MAX);
    let limit = limit(&mut query);
    query.finish(|| Some(()))?;
    Answer::ok(db::ops_audit(&app.db, &filter, cursor, limit).await?)
}

/// How many items a page may have.
fn limit(query: &mut Fields) -> i32 {
    query.optional_integer_text("limit", 1..=100).unwrap_or(PAGE)
}

/// Who writes, for the audit log: 1 to 100 visible characters.
fn operator(call: &Call) -> Result<String, Error> {
    let operator = call.header(OPERATOR_HEADER).map(str::trim).unwrap_or_default();
    let is_visible = operator.chars().all(|character| character == ' ' || character.is_ascii_graphic());
    if operator.is_empty() || operator.len() > LONGEST_OPERATOR || !is_visible {
        let reason = format!("is required: a header of 1 to {LONGEST_OPERATOR} visible characters of ASCII");
        let field = InvalidField { field: OPERATOR_HEADER.to_owned(), reason };
        return Err(Refusal::of(Code::InvalidRequest).with_fields(vec![field]).into());
    }
    Ok(operator.to_owned())
}

#[cfg(test)]
mod tests;
