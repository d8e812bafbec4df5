//! Comparing with Stripe: what never arrived is found, applied by the same SQL as the webhook, and reported.
//!
//! Page by page, one request to Stripe at a time, which stays far within its rate limits; after each page it is noted how
//! far this came, so that the next invocation goes on there, whatever happens to this one. Only what differs costs more
//! than its share of a page.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{schedule, upstream_deadline, webhook};
use crate::db::{self, AppliedEvent, Db, MendedPayment, Reconciliation, ReconciliationReport};
use crate::domain::{Decision, Fact, Finding, Mending, Period, ReconciliationPhase};
use crate::error::Error;
use crate::stripe::{CheckoutSession, Dispute, Event, Page, PaymentIntent, Refund, Stripe, StripeError};

/// The name of the run in `cron_runs`.
pub(super) const RUN_NAME: &str = "reconcile_payments";
/// What is kept of an invocation for the page that is under way, and the report.
const TIME_FOR_A_PAGE: Duration = Duration::from_secs(8);
/// How many open intents or sessions are looked up before it is noted how far this came.
const OPEN_AT_ONCE: i32 = 25;
/// How many payments are mended in one statement.
const MENDED_AT_ONCE: i32 = 100;

/// What a run came to.
#[derive(Debug, Serialize)]
pub struct Reconciled {
    /// Its entry in the log of runs.
    pub cron_run_id: Uuid,
    /// The reconciliation, which may take several runs.
    pub reconciliation_id: Uuid,
    /// From when.
    pub from: Timestamp,
    /// To when.
    pub to: Timestamp,
    /// What it found, in all its runs.
    #[serde(flatten)]
    pub report: ReconciliationReport,
    /// Whether time ran out with work left; the next run goes on.
    pub is_partial: bool,
}

/// Reconciles a window, or (`None`) goes on from where the last reconciliation ended, until it is done or the time is up.
///
/// # Errors
/// `already_running`; [`Error::StripeUnavailable`], [`Error::StripeRefused`], [`Error::DatabaseUnavailable`]: the next run
/// goes on with the page that failed.
pub async fn reconcile(
    db: &Db,
    stripe: &Stripe,
    window: Option<Period>,
    deadline: Instant,
) -> Result<Reconciled, Error> {
    schedule::run(db, RUN_NAME, async |cron_run_id| {
        let lease = deadline.saturating_duration_since(Instant::now()) + TIME_FOR_A_PAGE;
        let run = db::start_reconciliation(db, window, lease).await?;
        let (reconciliation_id, from, to) = (run.id, run.window.start(), run.window.end());
        let mut reconciler = Reconciler { db, stripe, run, deadline };
        let is_partial = reconciler.go_on().await?;
        let report = db::reconciliation_report(db, reconciliation_id).await?;
        Ok(Reconciled { cron_run_id, reconciliation_id, from, to, report, is_partial })
    })
    .await
}

struct Reconciler<'a> {
    db: &'a Db,
    stripe: &'a Stripe,
    run: Reconciliation,
    deadline: Instant,
}

impl Reconciler<'_> {
    /// Looks at page after page; true when the time is up with work left.
    async fn go_on(&mut self) -> Result<bool, Error> {
        while self.run.phase != ReconciliationPhase::Done {
            if Instant::now() + TIME_FOR_A_PAGE > self.deadline {
                db::advance_reconciliation(self.db, &self.run, 0, true).await?;
                return Ok(true);
            }
            let page = match self.next_page().await {
                Ok(page) => page,
                Err(error) => {
                    // What it would go on after may be gone, as events are after thirty days: then from the first page.
                    if matches!(error, Error::StripeRefused(_)) {
                        self.run.cursor = None;
                    }
                    // Given back at once, so that a retry need not wait for the lease; if that fails, the lease runs out.
                    db::advance_reconciliation(self.db, &self.run, 0, true).await?;
                    return Err(error);
                }
            };
            self.run.cursor = page.next;
            if self.run.cursor.is_none() {
                self.run.phase = self.run.phase.next();
            }
            db::advance_reconciliation(self.db, &self.run, page.examined, false).await?;
        }
        Ok(false)
    }

    /// Looks at the next page.
    async fn next_page(&self) -> Result<Examined, Error> {
        let (stripe, window) = (self.stripe, self.run.window);
        let deadline = upstream_deadline(self.deadline);
        let after = self.run.cursor.as_deref();
        match self.run.phase {
            ReconciliationPhase::Events => {
                self.events(stripe.undelivered_events(window, after, deadline).await?).await
            }
            ReconciliationPhase::PaymentIntents => {
                self.facts(stripe.payment_intents_within(window, after, deadline).await?, fact_of_intent)
                    .await
            }
            ReconciliationPhase::OpenPayments => {
                self.facts(self.open_payments(deadline).await?, fact_of_intent).await
            }
            ReconciliationPhase::CheckoutSessions => {
                let page = stripe.checkout_sessions_within(window, after, deadline).await?;
                self.facts(page, fact_of_session).await
            }
            ReconciliationPhase::OpenTopups => {
                self.facts(self.open_topups(deadline).await?, fact_of_session).await
            }
            ReconciliationPhase::Refunds => {
                let page = stripe.refunds_within(window, after, deadline).await?;
                self.facts(page, |refund: &Refund| Some((refund.id.clone(), refund.fact()))).await
            }
            ReconciliationPhase::Disputes => {
                let page = stripe.disputes_within(window, after, deadline).await?;
                self.facts(page, |dispute: &Dispute| Some((dispute.id.clone(), dispute.fact()))).await
            }
            ReconciliationPhase::Owed => self.owed().await,
            ReconciliationPhase::Done => Ok(Examined { examined: 0, next: None }),
        }
    }

    /// Applies the events of a page that took no effect yet.
    async fn events(&self, page: Page<Event>) -> Result<Examined, Error> {
        let ids: Vec<&str> = page.items.iter().map(|event| event.id.as_str()).collect();
        let missing = db::missing_events(self.db, &ids).await?;
        // Oldest first, as they would have come.
        for event in page.items.iter().rev().filter(|event| missing.contains(&event.id)) {
            let applied = webhook::apply(self.db, event).await;
            self.record(&event.id, "undelivered_event", applied).await?;
        }
        Ok(Examined { examined: page.items.len(), next: page.next })
    }

    /// Applies what a page says that is not known here.
    async fn facts<T>(
        &self,
        page: Page<T>,
        fact_of: impl Fn(&T) -> Option<(String, Fact)>,
    ) -> Result<Examined, Error> {
        let (ids, facts): (Vec<String>, Vec<Fact>) = page.items.iter().filter_map(fact_of).unzip();
        for (index, difference) in db::differences(self.db, &facts).await? {
            if let (Some(id), Some(fact)) = (ids.get(index), facts.get(index)) {
                let applied = db::settle_fact(self.db, fact).await;
                self.record(id, &difference, applied).await?;
            }
        }
        Ok(Examined { examined: page.items.len(), next: page.next })
    }

    async fn open_payments(&self, deadline: Instant) -> Result<Page<PaymentIntent>, Error> {
        let (before, after) = (self.run.window.start(), self.run.cursor.as_deref());
        let ids = db::open_payment_intents(self.db, before, after, OPEN_AT_ONCE).await?;
        looked_up(ids, async |id| self.stripe.payment_intent(id, deadline).await).await
    }

    async fn open_topups(&self, deadline: Instant) -> Result<Page<CheckoutSession>, Error> {
        let (before, after) = (self.run.window.start(), self.run.cursor.as_deref());
        let ids = db::open_checkout_sessions(self.db, before, after, OPEN_AT_ONCE).await?;
        looked_up(ids, async |id| self.stripe.checkout_session(id, deadline).await).await
    }

    /// Has money moved that should move and for which nothing is under way.
    async fn owed(&self) -> Result<Examined, Error> {
        let payments = db::mend_money(self.db, MENDED_AT_ONCE).await?;
        for payment in &payments {
            let finding = Finding {
                object_id: payment.payment_id.to_string(),
                difference: "money_not_moving".to_owned(),
                decision: Some(payment.mending.as_str().to_owned()),
                reservation_id: Some(payment.reservation_id),
                is_mended: payment.mending != Mending::Owed,
            };
            self.report(&finding).await?;
        }
        // What is under way again is not found again, so a full page of it may hide others; what takes a person comes last.
        let is_full = payments.len() >= usize::try_from(MENDED_AT_ONCE).unwrap_or(usize::MAX);
        let is_under_way = |payment: &MendedPayment| {
            matches!(payment.mending, Mending::RefundResent | Mending::CancelResent)
        };
        let next = payments.last().filter(|_| is_full && payments.iter().all(is_under_way));
        Ok(Examined { examined: payments.len(), next: next.map(|payment| payment.payment_id.to_string()) })
    }

    /// Notes what was different and what came of it, unless it is about nothing of ours or arrived meanwhile. What cannot
    /// be applied must not keep the rest from it: only a database that is away ends the run.
    async fn record(
        &self,
        object_id: &str,
        difference: &str,
        applied: Result<AppliedEvent, Error>,
    ) -> Result<(), Error> {
        let (decision, reservation_id) = match applied {
            Ok(AppliedEvent {
                decision: Decision::Ignored | Decision::Unmatched | Decision::Replay, ..
            }) => return Ok(()),
            Ok(applied) => (Some(applied.decision), applied.reservation_id),
            Err(error @ Error::DatabaseUnavailable(_)) => return Err(error),
            Err(error) => {
                tracing::error!(object_id, %error, "reconcile.unapplied");
                (None, None)
            }
        };
        let finding = Finding {
            object_id: object_id.to_owned(),
            difference: difference.to_owned(),
            decision: decision.map(|decision| decision.as_str().to_owned()),
            reservation_id,
            is_mended: match decision {
                // What is the same as before, or older, changed nothing.
                None | Some(Decision::Stale | Decision::AlreadyConfirmed) => false,
                // What was paid for credits and is not what was asked for waits for a person.
                Some(Decision::AmountMismatch) => reservation_id.is_some(),
                Some(_) => true,
            },
        };
        self.report(&finding).await
    }

    async fn report(&self, finding: &Finding) -> Result<(), Error> {
        let Finding { object_id, difference, decision, is_mended, .. } = finding;
        tracing::warn!(object_id, difference, decision, is_mended, "reconcile.difference");
        db::record_finding(self.db, self.run.id, finding).await
    }
}

/// The next few objects that are still open here although they are older than the window, as they are at Stripe.
async fn looked_up<T>(
    ids: Vec<String>,
    read: impl AsyncFn(&str) -> Result<T, StripeError>,
) -> Result<Page<T>, Error> {
    let mut items = Vec::new();
    for id in &ids {
        match read(id).await {
            Ok(object) => items.push(object),
            // Of another account, or of Stripe's test mode.
            Err(StripeError::Refused { status: 404, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let is_last = i32::try_from(ids.len()).is_ok_and(|count| count < OPEN_AT_ONCE);
    Ok(Page { items, next: ids.last().filter(|_| !is_last).cloned() })
}

fn fact_of_session(session: &CheckoutSession) -> Option<(String, Fact)> {
    Some((session.id.clone(), session.fact()))
}

/// `None` for an intent in a state that we do not know.
fn fact_of_intent(intent: &PaymentIntent) -> Option<(String, Fact)> {
    Some((intent.id.clone(), intent.fact()?))
}

/// A page that was looked at, and after what the next one begins.
struct Examined {
    examined: usize,
    next: Option<String>,
}
