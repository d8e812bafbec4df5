//! No more goes back than came in, and nothing goes back that the bank has.

use anyhow::Result;
use kitloop_tests::{Mistake, Promise};
use serde_json::{Value, json};
use test_support::TestDatabase;

use super::scenario::{Hold, Scenario, ask};

const CLAIMED: &str = "(select count(*) as claimed from kitloop.claim_job('worker', 30))";

/// A reservation that was paid by card.
async fn open_paid(database: TestDatabase) -> Result<(Scenario, Hold)> {
    let scenario = Scenario::open(database).await?;
    let hold = scenario.hold().await?;
    scenario.ask(&hold.paid("evt_paid")).await?;
    Ok((scenario, hold))
}

/// Somebody refunds at Stripe, without us.
fn refunded_elsewhere(id: &str, amount_minor: i64, status: &str) -> String {
    settle(&json!({
        "kind": "refund", "stripe_refund_id": id, "payment_intent_id": "pi_1", "amount_minor": amount_minor,
        "currency": "CZK", "status": status,
    }))
}

/// The cardholder disputes all of it.
fn dispute(status: &str) -> String {
    settle(&json!({
        "kind": "dispute", "dispute_id": "du_1", "payment_intent_id": "pi_1", "amount_minor": 50_000,
        "currency": "CZK", "status": status,
    }))
}

fn settle(fact: &Value) -> String {
    format!("kitloop.settle_fact('{fact}')")
}

/// Staff sends all of the money back twice at the same time: it goes back once.
struct RefundedOnce;

impl Promise for RefundedOnce {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let (scenario, hold) = open_paid(database).await?;
        let first = scenario.begin().await?;
        ask(&first, &hold.refund(50_000)).await?;
        let second = scenario.start(&hold.refund(50_000)).await?;
        first.batch_execute("commit").await?;
        Ok(second.answer().await?.outcome() == "already_refunded" && scenario.is_consistent().await?)
    }
}

/// Money came too late, and somebody has sent a part of it back already: the rest goes back.
struct LateMoneyGoesBackOnce;

impl Promise for LateMoneyGoesBackOnce {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        let hold = scenario.hold().await?;
        scenario.ask(&hold.cancel()).await?;
        let intent = "insert into public.payments (reservation_id, payment_intent_id, capture_method, amount_minor, currency)
            values ($1, 'pi_1', 'automatic', 50000, 'CZK')";
        scenario.database.execute(intent, &[&hold.id]).await?;
        scenario.ask(&refunded_elsewhere("re_other", 20_000, "succeeded")).await?;
        scenario.ask(&hold.paid("evt_late")).await?;
        scenario.is_consistent().await
    }
}

/// A refund that Stripe does not have yet makes room for one that was made elsewhere.
struct RefundsElsewhereCount;

impl Promise for RefundsElsewhereCount {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let (scenario, hold) = open_paid(database).await?;
        scenario.ask(&hold.refund(50_000)).await?;
        scenario.ask(&refunded_elsewhere("re_other", 20_000, "succeeded")).await?;
        scenario.is_consistent().await
    }
}

/// However often somebody tries elsewhere, the customer is credited with no more than was paid.
struct CreditIsCapped;

impl Promise for CreditIsCapped {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let (scenario, _) = open_paid(database).await?;
        for (id, status) in [("re_1", "failed"), ("re_2", "succeeded")] {
            if scenario.ask(&refunded_elsewhere(id, 30_000, status)).await.is_err() {
                return Ok(false);
            }
        }
        let sql = "select credited_minor = captured_minor from public.payments";
        scenario.database.value(sql, &[]).await
    }
}

/// While the bank has the money, nobody tries to send it back.
struct DisputedMoneyWaits;

impl Promise for DisputedMoneyWaits {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let (scenario, hold) = open_paid(database).await?;
        scenario.ask(&hold.refund(50_000)).await?;
        scenario.ask(&dispute("needs_response")).await?;
        Ok(scenario.ask(CLAIMED).await?.number("/claimed") == Some(0))
    }
}

/// What the bank took is not sent back a second time.
struct LostMoneyIsGone;

impl Promise for LostMoneyIsGone {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let (scenario, hold) = open_paid(database).await?;
        scenario.ask(&dispute("lost")).await?;
        Ok(scenario.ask(&hold.refund(50_000)).await?.outcome() == "already_refunded")
    }
}

/// A worker that gives a refund up does not wait for the reservation while it holds the payment.
struct FailingWaitsForNobody;

impl Promise for FailingWaitsForNobody {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let (scenario, hold) = open_paid(database).await?;
        scenario.ask(&hold.refund(50_000)).await?;
        let job = scenario.ask("kitloop.claim_job('worker', 30)").await?;
        let somebody = scenario.begin().await?;
        somebody.batch_execute("select from public.reservations for update").await?;
        let give_up = format!("kitloop.retry_job('{}', 1, 'refused', true, false)", job.text("/job_id"));
        let giving_up = scenario.start(&give_up).await?;
        let is_free = somebody.batch_execute("select from public.payments for update nowait").await.is_ok();
        somebody.batch_execute("rollback").await?;
        giving_up.answer().await?;
        Ok(is_free)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_lock_two_refunds_send_back_more_than_was_paid() -> Result<()> {
    let mistake = Mistake::of("decide_refund")
        .writing(
            "select * into v_reservation from public.reservations r where r.id = p_reservation_id;",
            "v_reservation := kitloop.lock_reservation(p_reservation_id, false);",
        )
        .writing(
            "select * into v_payment from public.payments p where p.reservation_id = p_reservation_id;",
            "v_payment := kitloop.lock_refunded_payment(p_reservation_id, p_is_offline);",
        );
    mistake.breaks(RefundedOnce).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_not_capped_sends_back_more_than_is_left() -> Result<()> {
    let mistake = Mistake::of("refund_payment")
        .writing("p_amount_minor;", "least(p_amount_minor, kitloop.refundable_minor(v_payment));");
    mistake.breaks(LateMoneyGoesBackOnce).await
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_that_do_not_shrink_send_back_more_than_was_paid() -> Result<()> {
    let mistake =
        Mistake::of("shrink_unsent_refunds").writing("exit when true;", "exit when v_excess_minor <= 0;");
    mistake.breaks(RefundsElsewhereCount).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_that_is_not_capped_is_more_than_was_paid() -> Result<()> {
    let mistake = Mistake::of("credit")
        .writing("v_credited_minor;", "least(v_credited_minor, v_payment.captured_minor);");
    mistake.breaks(CreditIsCapped).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_does_not_wait_for_a_dispute_is_tried_in_vain() -> Result<()> {
    let mistake = Mistake::of("claim_job").writing("false", "kitloop.is_in_dispute(v_job.payment_id)");
    mistake.breaks(DisputedMoneyWaits).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_dispute_that_is_not_counted_is_refunded_on_top() -> Result<()> {
    let mistake = Mistake::of("refundable_minor").writing("", " - p_payment.lost_minor");
    mistake.breaks(LostMoneyIsGone).await
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_a_job_up_without_its_reservation_locks_the_wrong_way_round() -> Result<()> {
    let mistake = Mistake::of("lock_job_subject")
        .writing("perform p.id", "perform kitloop.lock_reservation(p.reservation_id, false)");
    mistake.breaks(FailingWaitsForNobody).await
}
