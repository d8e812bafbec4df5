//! PostgreSQL: one connection per sandbox, and one function here per SQL operation.
//!
//! Every call is one statement, one round trip, one transaction; what is decided is decided in the SQL function of the
//! same name (schema `kitloop`, folder `migrations/`). Only `query_typed` and its kin are used, since they alone work
//! behind a transaction pooler.

mod cancellations;
mod connection;
mod credits;
mod error;
mod events;
mod jobs;
mod ops;
mod paid_jobs;
mod payments;
mod readiness;
mod reconciliations;
mod reservations;
mod row;
mod schedules;

pub use cancellations::{
    CancellationRequest, Cancelled, RefundRequest, Refunding, cancel_reservation, refund_reservation,
};
pub use connection::Db;
pub use credits::{
    AdjustedCredits, CreditAdjustment, StartedTopup, TopupRequest, adjust_credits, credits,
    record_checkout_session, spend_checkout_key, start_topup,
};
pub use events::{AppliedEvent, apply_stripe_event, fail_stripe_event};
pub use jobs::{
    EmailDelivery, FinishedJob, JobOutcome, JobRetry, beat, claim_job, finish_email, finish_job,
    finish_paid_job, retry_job,
};
pub use ops::{
    AuditFilter, EventFilter, ReplayedJob, Violation, check_consistency, ops_audit, ops_counts,
    ops_dead_letters, ops_metrics, ops_repair, ops_reservation_stats, ops_webhook_events, replay_dead_letter,
    request_event_replay,
};
pub use paid_jobs::{CreatedJob, ExportRequest, JobRequest, create_job, export_reservations, get_job};
pub use payments::{
    PaymentStep, SettledReservation, StartedPayment, record_payment_intent, release_payment_claim,
    settle_payment_intent, start_payment,
};
pub use readiness::{Readiness, readiness};
pub use reconciliations::{
    MendedPayment, Reconciliation, ReconciliationReport, advance_reconciliation, differences, mend_money,
    missing_events, open_checkout_sessions, open_payment_intents, reconciliation_report, record_finding,
    settle_fact, start_reconciliation,
};
pub use reservations::{
    Confirmation, ConfirmationRequest, ReserveRequest, Reserved, ReservedLine, confirm_reservation,
    reserve_gear,
};
pub use schedules::{ExpiredHolds, expire_holds, finish_cron_run, start_cron_run};
