//! A verified Stripe event takes effect, once.

use crate::db::{self, AppliedEvent, Db};
use crate::error::Error;
use crate::stripe::Event;
use crate::telemetry::metrics;

/// The function whose decisions are counted.
const FUNCTION: &str = "stripe_webhook";

/// Logs, decides and applies the event in one SQL call. If that fails, the event is marked failed, so that operators
/// see it and Stripe's next delivery runs it again.
///
/// # Errors
/// [`Error::DatabaseUnavailable`] and [`Error::Database`]; the event had no effect then.
pub async fn apply(db: &Db, event: &Event) -> Result<AppliedEvent, Error> {
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
            metrics::decision(FUNCTION, applied.decision.as_str());
            Ok(applied)
        }
        Err(error) => {
            let reason = error.to_string();
            if let Err(error) =
                db::fail_stripe_event(db, &event.id, &event.event_type, &event.payload, &reason).await
            {
                tracing::warn!(event_id = %event.id, error = %error, "the event could not be marked failed");
            }
            Err(error)
        }
    }
}
