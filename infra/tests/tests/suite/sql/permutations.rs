//! Events come in any order and more than once; what they leave behind is always the same.

use anyhow::{Context, Result};
use jiff::Timestamp;
use kitloop::db;
use kitloop::domain::PaymentStatus::{
    Canceled, Processing, RequiresAction, RequiresCapture, RequiresPaymentMethod, Succeeded,
};
use kitloop::domain::{ChargeFact, Decision, Fact, PaymentIntentFact, PaymentStatus, RefundStatus};
use proptest::prelude::{Just, Strategy, any};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use test_support::{Gear, Provider};
use tokio::runtime::Runtime;

use super::shop::{Hold, Shop, refund};

/// What Stripe says in one event of a payment's life.
#[derive(Debug, Clone, Copy)]
enum Said {
    /// `payment_intent.created`, on which we do not act.
    Created,
    Intent(PaymentStatus),
    ChargeSucceeded,
    ChargeRefunded,
    /// The one refund has this status.
    Refund(RefundStatus),
}

/// A life as Stripe tells it, in its own order, and what it leaves behind in every order.
struct Life {
    capture_method: &'static str,
    /// Whether the hold lapses and its stock is taken before the first event comes.
    is_too_late: bool,
    events: &'static [Said],
    /// Reservation, payment, captured money, refund, jobs.
    end: (&'static str, &'static str, i64, Option<&'static str>, &'static [&'static str]),
}

const PRICE: i64 = 50_000;

const CARD_PAYMENT: Life = Life {
    capture_method: "automatic",
    is_too_late: false,
    events: &[
        Said::Intent(RequiresPaymentMethod),
        Said::Intent(Succeeded),
        Said::ChargeSucceeded,
        Said::Refund(RefundStatus::Pending),
        Said::Refund(RefundStatus::Succeeded),
    ],
    end: ("confirmed", "succeeded", PRICE, Some("succeeded"), &[]),
};

const CAPTURED_BY_THE_SHOP: Life = Life {
    capture_method: "manual",
    is_too_late: false,
    events: &[
        Said::Intent(RequiresAction),
        Said::Intent(RequiresCapture),
        Said::ChargeSucceeded,
        Said::Intent(Succeeded),
        Said::Refund(RefundStatus::Failed),
    ],
    end: ("confirmed", "succeeded", PRICE, Some("failed"), &[]),
};

const RELEASED: Life = Life {
    capture_method: "manual",
    is_too_late: false,
    events: &[
        Said::Intent(RequiresAction),
        Said::Intent(RequiresCapture),
        Said::ChargeSucceeded,
        Said::Intent(Canceled),
        Said::ChargeRefunded,
    ],
    end: ("cancelled: payment_canceled", "canceled", 0, None, &[]),
};

const PAID_TOO_LATE: Life = Life {
    capture_method: "automatic",
    is_too_late: true,
    events: &[
        Said::Intent(Processing),
        Said::Intent(Succeeded),
        Said::ChargeSucceeded,
        Said::Refund(RefundStatus::Pending),
        Said::Refund(RefundStatus::Succeeded),
    ],
    end: ("cancelled: conflict", "succeeded", PRICE, Some("succeeded"), &[]),
};

const UNFINISHED: Life = Life {
    capture_method: "automatic",
    is_too_late: false,
    events: &[
        Said::Created,
        Said::Intent(RequiresPaymentMethod),
        Said::Intent(RequiresAction),
        Said::Intent(Processing),
    ],
    end: ("hold", "processing", 0, None, &[]),
};

const WHOLE_LIFE: Life = Life {
    capture_method: "manual",
    is_too_late: false,
    events: &[
        Said::Created,
        Said::Intent(RequiresPaymentMethod),
        Said::Intent(RequiresAction),
        Said::Intent(Processing),
        Said::Intent(RequiresCapture),
        Said::ChargeSucceeded,
        Said::Intent(Succeeded),
        Said::Refund(RefundStatus::Pending),
        Said::Refund(RefundStatus::Succeeded),
        Said::Refund(RefundStatus::Failed),
        Said::ChargeRefunded,
    ],
    end: ("confirmed", "succeeded", PRICE, Some("failed"), &[]),
};

impl Said {
    /// The fact as the webhook brings it; `index` is its place in the life, which is when it happened.
    fn fact(self, shop: &Shop, hold: &Hold, index: usize) -> Result<Option<Fact>> {
        let intent_id = intent_of(hold);
        Ok(match self {
            Self::Created => None,
            Self::Intent(status) => {
                let at = Some(Timestamp::from_second(1_000_000 + i64::try_from(index)?)?);
                Some(Fact::PaymentIntent(PaymentIntentFact { at, ..shop.intent(hold, &intent_id, status) }))
            }
            Self::ChargeSucceeded => Some(charge(intent_id, "charge.succeeded")),
            Self::ChargeRefunded => Some(charge(intent_id, "charge.refunded")),
            Self::Refund(status) => {
                Some(Fact::Refund(refund(&format!("re_{}", hold.id), &intent_id, hold.amount_minor, status)))
            }
        })
    }
}

fn charge(intent_id: String, event_type: &str) -> Fact {
    Fact::Charge(ChargeFact {
        payment_intent_id: Some(intent_id),
        event_type: event_type.to_owned(),
        captured: true,
        refunded: event_type == "charge.refunded",
        capture_before: None,
    })
}

fn intent_of(hold: &Hold) -> String {
    format!("pi_{}", hold.id)
}

impl Life {
    /// A shop with stock for every order, or a single piece to lose; its commits do not wait for the disk, since there are thousands.
    async fn shop(&self) -> Result<Shop> {
        let provider = Provider { capture_method: self.capture_method, ..Provider::default() };
        let stock = if self.is_too_late { 1 } else { 100_000 };
        let mut shop = Shop::open_with(&provider, &Gear::of(stock)).await?;
        let sql = format!("alter database {} set synchronous_commit = off", shop.database.name);
        shop.database.admin.batch_execute(&sql).await?;
        shop.db = shop.database.db()?;
        Ok(shop)
    }

    /// A hold whose customer has started to pay.
    async fn begin(&self, shop: &Shop) -> Result<Hold> {
        if self.is_too_late {
            // The hold that took the stock of the one before makes room.
            let sql =
                "update public.reservations set reserved_until = clock_timestamp() where status = 'hold'";
            shop.database.execute(sql, &[]).await?;
        }
        let hold = shop.hold().await?;
        shop.start_payment(&hold, &intent_of(&hold)).await?;
        if self.is_too_late {
            shop.lose(&hold).await?;
        }
        Ok(hold)
    }

    /// Delivers these events of the life, by their places in it; the second number tells deliveries of one apart.
    async fn deliver(&self, shop: &Shop, hold: &Hold, order: &[(usize, u8)]) -> Result<Vec<Decision>> {
        let mut decisions = Vec::new();
        for &(index, copy) in order {
            let said = self.events.get(index).context("no such event")?;
            let fact = said.fact(shop, hold, index)?;
            let id = format!("evt_{}_{index}_{copy}", hold.id);
            decisions.push(
                db::apply_stripe_event(&shop.db, &id, "test.event", &json!({}), fact.as_ref())
                    .await?
                    .decision,
            );
        }
        Ok(decisions)
    }

    /// Fails unless the hold has come to the end that the life has.
    async fn ensure_ended(&self, shop: &Shop, hold: &Hold) -> Result<()> {
        let sql = "select jsonb_build_array(
                concat_ws(': ', r.status, r.cancel_reason),
                jsonb_agg(jsonb_build_array(p.status, p.captured_minor, p.superseded)),
                (select jsonb_agg(f.status) from public.refunds f where f.stripe_refund_id = 're_' || r.id),
                coalesce((select jsonb_agg(j.kind) from public.jobs j
                    where j.payment_id = min(p.id::text)::uuid and kitloop.job_still_holds(j)), '[]'))
            from public.reservations r join public.payments p on p.reservation_id = r.id
            where r.id = $1 group by r.id";
        let found: Value = shop.database.value(sql, &[&hold.id.0]).await?;
        let (reservation, payment, captured, refund, jobs) = self.end;
        let wanted = json!([reservation, [[payment, captured, false]], refund.map(|it| [it]), jobs]);
        anyhow::ensure!(found == wanted, "ended as {found}, not as {wanted}");
        Ok(())
    }

    /// Tries every order, each followed by a second delivery of everything.
    async fn try_every_order(&self) -> Result<()> {
        let shop = self.shop().await?;
        for order in orders(self.events.len()) {
            let hold = self.begin(&shop).await?;
            let order: Vec<(usize, u8)> = order.into_iter().map(|index| (index, 0)).collect();
            let context = || format!("in the order {order:?} of {:?}", self.events);
            self.deliver(&shop, &hold, &order).await?;
            self.ensure_ended(&shop, &hold).await.with_context(context)?;
            let again = self.deliver(&shop, &hold, &order).await?;
            anyhow::ensure!(again.iter().all(|decision| *decision == Decision::Replay), "{again:?}");
            self.ensure_ended(&shop, &hold).await.with_context(context)?;
        }
        self.ensure_promises(&shop).await
    }

    /// Fails unless every promise holds, but for a refund that failed: that money is owed, and shown to be.
    async fn ensure_promises(&self, shop: &Shop) -> Result<()> {
        let (_, _, _, refund, _) = self.end;
        let mut broken = shop.database.violations().await?;
        if refund == Some("failed") {
            anyhow::ensure!(
                broken.iter().any(|one| one.starts_with("refund_owed")),
                "nobody sees what is owed"
            );
            broken.retain(|one| !one.starts_with("refund_owed"));
        }
        anyhow::ensure!(broken.is_empty(), "promises broken: {broken:#?}");
        Ok(())
    }
}

/// Every order of the numbers below `count`.
pub(super) fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let insert_last = |order: Vec<usize>| {
        (0..count).map(move |place| {
            let mut order = order.clone();
            order.insert(place, last);
            order
        })
    };
    orders(last).into_iter().flat_map(insert_last).collect()
}

#[test]
fn every_order_is_tried_once() {
    let mut all = orders(5);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 120);
}

#[tokio::test]
async fn a_card_payment_with_a_refund_ends_alike_in_every_order() -> Result<()> {
    CARD_PAYMENT.try_every_order().await
}

#[tokio::test]
async fn a_payment_captured_by_the_shop_ends_alike_in_every_order() -> Result<()> {
    CAPTURED_BY_THE_SHOP.try_every_order().await
}

#[tokio::test]
async fn a_released_payment_ends_alike_in_every_order() -> Result<()> {
    RELEASED.try_every_order().await
}

#[tokio::test]
async fn a_payment_that_came_too_late_ends_alike_in_every_order() -> Result<()> {
    PAID_TOO_LATE.try_every_order().await
}

#[tokio::test]
async fn an_unfinished_payment_ends_with_the_newest_news_in_every_order() -> Result<()> {
    UNFINISHED.try_every_order().await
}

#[test]
fn a_whole_life_shuffled_and_with_copies_ends_alike() -> Result<()> {
    const CASES: u32 = 100;
    let runtime = Runtime::new()?;
    let shop = runtime.block_on(WHOLE_LIFE.shop())?;
    // Stripe repeats an event under its id, and may tell the same news in a second event.
    let deliveries =
        proptest::collection::vec(any::<[bool; 2]>(), WHOLE_LIFE.events.len()).prop_flat_map(|extra| {
            let mut all = Vec::new();
            for (index, [repeats, copies]) in extra.into_iter().enumerate() {
                all.push((index, 0));
                all.extend(repeats.then_some((index, 0)));
                all.extend(copies.then_some((index, 1)));
            }
            Just(all).prop_shuffle()
        });
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&deliveries, |order| {
        let lived = async {
            let hold = WHOLE_LIFE.begin(&shop).await?;
            WHOLE_LIFE.deliver(&shop, &hold, &order).await?;
            WHOLE_LIFE.ensure_ended(&shop, &hold).await
        };
        runtime.block_on(lived).map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    outcome.context("some order ended otherwise")?;
    runtime.block_on(WHOLE_LIFE.ensure_promises(&shop))
}
