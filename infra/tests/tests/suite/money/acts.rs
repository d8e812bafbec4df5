//! What our code does in a sequence, interrupted or not.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use kitloop::app::jobs::{LEASE, Worker};
use kitloop::app::{cancel, confirm, expire, pay, reconcile, refund, webhook};
use kitloop::db::{self, CancellationRequest, ConfirmationRequest, Db, RefundRequest};
use kitloop::domain::{ConfirmationAction, Period};
use kitloop::error::Error;
use kitloop::stripe::{self, Event, Stripe};
use kitloop_tests::{Interruption, Pick, Work, picked};
use serde_json::Value;
use test_support::{WEBHOOK_SECRET, actor, sign};
use tokio::time::Instant;

use super::shop::{Booked, Shop, id_of};
use super::steps::{Act, Who};

/// The key that our client has at Stripe.
pub(super) const STRIPE_KEY: &str = "sk_test_kitloop";

/// How long our code has for a step. Of this, four seconds are kept to record what Stripe said, which leaves Stripe's
/// client no time to try a failed request again: whoever comes next does.
const TIME: Duration = Duration::from_millis(4_200);
/// How long a reconciliation has, which keeps eight seconds for a page.
pub(super) const TIME_TO_RECONCILE: Duration = Duration::from_secs(20);

impl Shop<'_> {
    /// Has our code do something, if there is anything to do it to.
    pub(super) async fn act(&mut self, act: Act, interruption: Interruption) -> Result<()> {
        let Some(work) = self.work_of(act)? else { return Ok(()) };
        match self.sandboxes.run(work, interruption).await {
            Some(outcome) => self.note_outcome(&format!("{act:?}"), outcome),
            None => {
                self.note(format!("{act:?}: {interruption:?}"));
                Ok(())
            }
        }
    }

    /// Lets go on who was frozen longest.
    pub(super) async fn thaw(&mut self) -> Result<()> {
        match self.sandboxes.thaw().await {
            Some(outcome) => self.note_outcome("thawed", outcome),
            None => Ok(()),
        }
    }

    fn note_outcome(&self, what: &str, outcome: Result<(), Error>) -> Result<()> {
        match outcome {
            Ok(()) => self.note(format!("{what}: done")),
            Err(error) => self.note_error(what, &error)?,
        }
        Ok(())
    }

    fn work_of(&mut self, act: Act) -> Result<Option<Work>> {
        let (db, stripe) = (self.db.clone(), self.stripe.clone());
        Ok(match act {
            Act::StartPayment(of) => self.booked(of).map(|booked| start_payment(db, stripe, booked)),
            Act::Confirm(of, who) => {
                let intent = self.intents_of(of).into_iter().next_back().filter(|_| who == Who::Customer);
                self.booked(of).map(|booked| self.answer(booked, who, ConfirmationAction::Confirm, intent))
            }
            Act::Decline(of) => self
                .booked(of)
                .map(|booked| self.answer(booked, Who::Staff, ConfirmationAction::Decline, None)),
            Act::Cancel(of, who) => self.booked(of).map(|booked| self.cancel(booked, who)),
            Act::Refund { of, quarters, is_offline } => {
                self.booked(of).map(|booked| self.refund(booked, quarters, is_offline))
            }
            Act::Sweep => {
                Some(Box::pin(
                    async move { expire::expire_holds(&db, Instant::now() + TIME).await.map(drop) },
                ))
            }
            Act::Work(jobs) => Some(Box::pin(async move {
                for _ in 0..jobs {
                    do_a_job(&db, &stripe, TIME).await?;
                }
                Ok(())
            })),
            Act::Reconcile => Some(reconcile(db, stripe, None)),
            Act::DeliverNext => {
                let next = self.inbox.undelivered().first().copied();
                self.deliver(next)
            }
            Act::Deliver(event) => self.deliver(self.inbox.any(event)),
            Act::DeliverRest => {
                let rest = self.inbox.undelivered();
                self.deliver(rest.into_iter().rev())
            }
        })
    }

    fn answer(&self, booked: Booked, who: Who, action: ConfirmationAction, intent: Option<String>) -> Work {
        let (db, stripe) = (self.db.clone(), self.stripe.clone());
        let user = self.user(booked, who);
        Box::pin(async move {
            let request = ConfirmationRequest {
                actor: actor(user),
                reservation_id: booked.id,
                action,
                payment_intent_id: intent.as_deref(),
                worker: "confirm_reservation",
                lease: LEASE,
            };
            confirm::confirm(&db, &stripe, &request, Instant::now() + TIME).await.map(drop)
        })
    }

    fn cancel(&self, booked: Booked, who: Who) -> Work {
        let (db, user) = (self.db.clone(), self.user(booked, who));
        Box::pin(async move {
            let request = CancellationRequest {
                actor: actor(user),
                reservation_id: booked.id,
                note: None,
                is_preview: false,
            };
            cancel::cancel(&db, &request).await.map(drop)
        })
    }

    fn refund(&self, booked: Booked, quarters: Option<i64>, is_offline: bool) -> Work {
        let (db, staff) = (self.db.clone(), self.staff);
        Box::pin(async move {
            let request = RefundRequest {
                caller: "staff",
                idempotency_key: None,
                request_hash: "hash",
                actor: actor(staff),
                reservation_id: booked.id,
                amount_minor: quarters.map(|quarters| booked.amount_minor * quarters / 4),
                note: "a property",
                is_offline,
            };
            refund::refund(&db, &request).await.map(drop)
        })
    }

    fn user(&self, booked: Booked, who: Who) -> uuid::Uuid {
        match who {
            Who::Customer => booked.customer,
            Who::Staff => self.staff,
        }
    }

    /// Has events come, which are signed as Stripe signs them.
    fn deliver(&mut self, places: impl IntoIterator<Item = usize>) -> Option<Work> {
        let events = self.inbox.settle(places);
        for event in &events {
            self.note(format!("  {}", event.get("type").and_then(Value::as_str).unwrap_or_default()));
        }
        let db = self.db.clone();
        (!events.is_empty()).then(|| -> Work {
            Box::pin(async move {
                for event in events {
                    webhook::apply(&db, &received(&event)?).await?;
                }
                Ok(())
            })
        })
    }

    /// The intents of a reservation at Stripe, oldest first.
    pub(super) fn intents_of(&self, pick: Pick) -> Vec<String> {
        let Some(id) = self.booked(pick).map(|booked| booked.id.to_string()) else { return Vec::new() };
        let money = self.stand_in.money().into_iter();
        money.filter(|intent| intent.reservation_id.as_ref() == Some(&id)).map(|intent| intent.id).collect()
    }

    /// Stripe will not tell of these events any more.
    pub(super) fn settle_event(&mut self, pick: Pick) {
        let place = picked(&self.inbox.undelivered(), pick).copied();
        for event in self.inbox.settle(place) {
            self.note(format!("lost: {} {:?}", id_of(&event), event.get("type")));
        }
    }
}

fn start_payment(db: Db, stripe: Stripe, booked: Booked) -> Work {
    Box::pin(async move {
        let deadline = Instant::now() + TIME;
        pay::start_payment(&db, &stripe, actor(booked.customer), booked.id, deadline).await.map(drop)
    })
}

/// The worker does the job that is due, if any; whether there was one.
pub(super) async fn do_a_job(db: &Db, stripe: &Stripe, time: Duration) -> Result<bool, Error> {
    let worker = Worker { db, stripe, email: None, name: "run_jobs", lease: LEASE };
    let Some(job) = db::claim_job(db, worker.name, worker.lease).await? else { return Ok(false) };
    match worker.perform(&job, Instant::now() + time).await {
        // A job that fails is done again, or shows at the end.
        Ok(_) | Err(Error::StripeUnavailable(_) | Error::StripeRefused(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

pub(super) fn reconcile(db: Db, stripe: Stripe, window: Option<Period>) -> Work {
    Box::pin(async move {
        reconcile::reconcile(&db, &stripe, window, Instant::now() + TIME_TO_RECONCILE).await.map(drop)
    })
}

/// The event as the webhook function reads it.
fn received(event: &Value) -> Result<Event, Error> {
    let internal = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    let (body, now) = (event.to_string(), Timestamp::now());
    let signature = sign(&body, WEBHOOK_SECRET, now).map_err(|error| internal(&error))?;
    let secrets = [WEBHOOK_SECRET.to_owned().into()];
    let payload =
        stripe::verify(body.as_bytes(), Some(&signature), &secrets, now).map_err(|error| internal(&error))?;
    Event::parse(&payload).map_err(|error| internal(&error))
}
