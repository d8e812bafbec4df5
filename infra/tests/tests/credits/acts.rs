//! What our code does in a sequence, interrupted or not, or twice at once.

use std::time::Duration;

use anyhow::{Result, ensure};
use kitloop::app::jobs::{LEASE, Worker};
use kitloop::app::{reconcile, topup, webhook};
use kitloop::db::{self, CreditAdjustment, Db, JobRequest, TopupRequest};
use kitloop::domain::{Contact, Currency, Money, Period, ProviderId};
use kitloop::error::Error;
use kitloop::stripe::{Event, Stripe};
use kitloop_tests::{Interruption, Work, picked};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::requests::{Answers, Correction, ErrandRequest, Purchase};
use super::shop::Shop;
use super::steps::{Act, Task};

/// What one credit costs, in cents.
const CREDIT_PRICE_MINOR: i64 = 100;
/// How long our code has for a step. Of this, four seconds are kept to record what Stripe said, which leaves Stripe's
/// client no time to try a failed request again: whoever comes next does.
const TIME: Duration = Duration::from_millis(4_200);
/// How long a job has.
const TIME_FOR_A_JOB: Duration = Duration::from_secs(14);
/// How long a reconciliation has, which keeps eight seconds for a page.
const TIME_TO_RECONCILE: Duration = Duration::from_secs(20);
/// A return address of Checkout.
const BACK: &str = "https://shop.example/credits";

impl Shop<'_> {
    /// Has our code do something, if there is anything to do it to.
    pub(super) async fn act(&mut self, act: Act, interruption: Interruption) -> Result<()> {
        let Some(work) = self.work_of(act, self.db.clone()).await? else { return Ok(()) };
        let outcome = self.sandboxes.run(work, interruption).await;
        self.note_outcome(&format!("{act:?} ({interruption:?})"), outcome)
    }

    /// Has it do two things at once.
    pub(super) async fn act_twice(&mut self, first: Act, second: Act) -> Result<()> {
        let one = self.work_of(first, self.db.clone()).await?;
        let other = self.work_of(second, self.other_db.clone()).await?;
        let (one, other) = tokio::join!(ended(one), ended(other));
        self.note_outcome(&format!("{first:?} at once with"), one)?;
        self.note_outcome(&format!("  {second:?}"), other)
    }

    /// Lets go on who was frozen longest.
    pub(super) async fn thaw(&mut self) -> Result<()> {
        let outcome = self.sandboxes.thaw().await;
        self.note_outcome("thawed", outcome)
    }

    /// Notes what came of it; what may never happen ends the sequence.
    fn note_outcome(&self, what: &str, outcome: Option<Result<(), Error>>) -> Result<()> {
        let Some(outcome) = outcome else {
            self.note(format!("{what}: no answer"));
            return Ok(());
        };
        self.note(match &outcome {
            Ok(()) => format!("{what}: done"),
            Err(error) => format!("{what}: {error}"),
        });
        let is_expected = matches!(
            outcome,
            Ok(()) | Err(Error::Refused(_) | Error::StripeUnavailable(_) | Error::StripeRefused(_))
        );
        ensure!(is_expected, "{what}: {outcome:?}");
        Ok(())
    }

    async fn work_of(&mut self, act: Act, db: Db) -> Result<Option<Work>> {
        let (stripe, answers, provider) = (self.stripe.clone(), self.requests.answers.clone(), self.provider);
        let customer = |pick| picked(&self.users, pick).copied().unwrap_or_default();
        Ok(match act {
            Act::Buy { customer: of, credits } => {
                Some(buy(db, stripe, answers, self.requests.buy(customer(of), credits)))
            }
            Act::BuyAgain(of) => picked(&self.requests.purchases, of)
                .map(|purchase| buy(db, stripe, answers, purchase.clone())),
            Act::Ask { customer: of, errand } => {
                Some(ask(db, answers, self.requests.ask(customer(of), errand), provider, "hash"))
            }
            Act::AskAgain { of, is_same } => {
                let hash = if is_same { "hash" } else { "another hash" };
                picked(&self.requests.errands, of)
                    .map(|request| ask(db, answers, request.clone(), provider, hash))
            }
            Act::Adjust { customer: of, amount } => {
                Some(correct(db, answers, self.requests.correct(customer(of), amount)))
            }
            Act::AdjustAgain(of) => picked(&self.requests.corrections, of)
                .map(|correction| correct(db, answers, correction.clone())),
            Act::Revive(letter) => picked(&self.letters().await?, letter).map(|letter| revive(db, *letter)),
            Act::Work(jobs) => Some(Box::pin(async move {
                for _ in 0..jobs {
                    do_a_job(&db, &stripe).await?;
                }
                Ok(())
            })),
            Act::Reconcile => Some(reconcile(db, stripe, None)),
            Act::DeliverNext => {
                let next = self.inbox.undelivered().first().copied();
                self.deliver(db, next)
            }
            Act::Deliver(event) => self.deliver(db, self.inbox.any(event)),
            Act::DeliverRest => {
                let rest = self.inbox.undelivered();
                self.deliver(db, rest.into_iter().rev())
            }
        })
    }

    /// Every dead letter, oldest first.
    async fn letters(&self) -> Result<Vec<Uuid>> {
        let sql = "select id from public.job_dead_letters order by died_at, id";
        let rows = self.market.database.admin.query(sql, &[]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Has events come.
    fn deliver(&mut self, db: Db, places: impl IntoIterator<Item = usize>) -> Option<Work> {
        let events = self.inbox.settle(places);
        for event in &events {
            self.note(format!("  {}", event.get("type").and_then(Value::as_str).unwrap_or_default()));
        }
        (!events.is_empty()).then(|| -> Work {
            Box::pin(async move {
                for event in events {
                    let event = Event::from_log(event).map_err(|error| Error::Internal(error.to_string()))?;
                    webhook::apply(&db, &event).await?;
                }
                Ok(())
            })
        })
    }
}

async fn ended(work: Option<Work>) -> Option<Result<(), Error>> {
    Some(work?.await)
}

fn buy(db: Db, stripe: Stripe, answers: Answers, purchase: Purchase) -> Work {
    Box::pin(async move {
        let Some(currency) = Currency::parse("EUR") else {
            return Err(Error::Internal("no currency".to_owned()));
        };
        let request = TopupRequest {
            caller: &format!("user:{}", purchase.user),
            idempotency_key: &purchase.key,
            request_hash: "hash",
            user_id: purchase.user,
            profile: &Contact::default(),
            credits: purchase.credits,
            credit_price: Money { amount_minor: CREDIT_PRICE_MINOR, currency },
        };
        let checkout =
            topup::start_checkout(&db, &stripe, &request, (BACK, BACK), Instant::now() + TIME).await?;
        answers.note(&purchase.key, &checkout.session_id);
        Ok(())
    })
}

fn ask(db: Db, answers: Answers, request: ErrandRequest, provider: Uuid, hash: &'static str) -> Work {
    Box::pin(async move {
        let errand = request.errand;
        let input = if errand.task == Task::Nonsense { json!({}) } else { json!({"format": "csv"}) };
        let job = JobRequest {
            caller: &format!("user:{}", request.user),
            idempotency_key: &request.key,
            request_hash: hash,
            user_id: request.user,
            profile: &Contact::default(),
            kind: errand.task.kind(),
            credits: errand.credits,
            max_attempts: errand.max_attempts,
            provider_id: (errand.task == Task::ShopReservations).then_some(ProviderId(provider)),
            input: &input,
        };
        let created = db::create_job(&db, &job).await?;
        answers.note(&request.key, created.answer.get("job_id").and_then(Value::as_str).unwrap_or_default());
        Ok(())
    })
}

fn correct(db: Db, answers: Answers, correction: Correction) -> Work {
    Box::pin(async move {
        let adjustment = CreditAdjustment {
            operator: "Ada",
            user_id: correction.user,
            amount: correction.amount,
            reason: "a property",
            idempotency_key: &correction.key,
        };
        db::adjust_credits(&db, &adjustment).await?;
        answers.note(&correction.key, "");
        Ok(())
    })
}

fn revive(db: Db, letter: Uuid) -> Work {
    Box::pin(async move { db::replay_dead_letter(&db, letter, "Ada").await.map(drop) })
}

/// The worker does the job that is due, if any; whether there was one.
pub(super) async fn do_a_job(db: &Db, stripe: &Stripe) -> Result<bool, Error> {
    let worker = Worker { db, stripe, email: None, name: "run_jobs", lease: LEASE };
    let Some(job) = db::claim_job(db, worker.name, worker.lease).await? else { return Ok(false) };
    worker.perform(&job, Instant::now() + TIME_FOR_A_JOB).await.map(|_| true)
}

pub(super) fn reconcile(db: Db, stripe: Stripe, window: Option<Period>) -> Work {
    Box::pin(async move {
        reconcile::reconcile(&db, &stripe, window, Instant::now() + TIME_TO_RECONCILE).await.map(drop)
    })
}

impl Task {
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Unknown => "time_travel",
            Self::OwnReservations | Self::ShopReservations | Self::Nonsense => "reservation_export",
        }
    }
}
