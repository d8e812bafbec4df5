//! A verified Stripe event takes effect, once.

use std::time::Duration;

use tokio::time::timeout;

use crate::db::{self, AppliedEvent, Db};
use crate::error::Error;
use crate::stripe::{Event, EventObject};
use crate::telemetry::metrics;

/// How long marking an event failed may take; the invocation has waited for the database once already.
const TIME_TO_MARK: Duration = Duration::from_secs(3);

/// Logs, decides and applies the event in one SQL call. If that fails, the event is marked failed, so that operators
/// see it and Stripe's next delivery runs it again.
///
/// # Errors
/// [`Error::DatabaseUnavailable`] and [`Error::Database`], [`Error::Internal`] for an event whose object cannot be read; it
/// had no effect then.
pub async fn apply(db: &Db, event: &Event) -> Result<AppliedEvent, Error> {
    if let EventObject::Unreadable(reason) = &event.object {
        let error = Error::Internal(format!("unreadable event: {reason}"));
        mark_failed(db, event, &error).await;
        return Err(error);
    }
    let fact = event.fact();
    match db::apply_stripe_event(db, &event.id, &event.event_type, &event.payload, fact.as_ref()).await {
        Ok(applied) => {
            tracing::info!(
                decision = applied.decision.as_str(),
                event_id = %event.id,
                event_type = %event.event_type,
                reservation_id = applied.reservation_id.map(tracing::field::display),
                "stripe_webhook.decision"
            );
            metrics::decision(applied.decision.as_str());
            Ok(applied)
        }
        Err(error) => {
            mark_failed(db, event, &error).await;
            Err(error)
        }
    }
}

/// Notes the failure, unless the database is so far away that even this takes too long.
async fn mark_failed(db: &Db, event: &Event, error: &Error) {
    let reason = error.to_string();
    let marking = db::fail_stripe_event(db, &event.id, &event.event_type, &event.payload, &reason);
    match timeout(TIME_TO_MARK, marking).await {
        Ok(Ok(())) => {}
        Ok(Err(unmarked)) => {
            tracing::warn!(event_id = %event.id, error = %unmarked, "stripe_webhook.unmarked")
        }
        Err(_) => {
            tracing::warn!(event_id = %event.id, error = "no answer in time", "stripe_webhook.unmarked")
        }
    }
}
