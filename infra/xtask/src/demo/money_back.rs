//! Money that goes back, or should: cancelled, refunded, disputed, paid twice, and unheard of.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stripe_stand_in::{EventAction, Outcome};

use super::scene::{Booking, Intent, Person, Scene};
use super::story::money;

/// Longer than it takes to take cash, and the worker to look for work.
const SLOW_DELIVERY_MS: u64 = 1_500;

pub(super) async fn a_late_cancellation_brings_half_back(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Three hours before the start a customer cancels: half of the money goes back");
    let jana = scene.jana.clone();
    let (booking, _) = rent(scene, &jana, "cancelled late", "Airbag backpack", 1).await?;
    scene.let_start_come_near(&booking, 3).await?;
    let question = json!({ "reservation_id": booking.id, "preview": true });
    let preview =
        scene.call(&jana, "asks what cancelling would bring", "cancel_reservation", &question).await?;
    let preview = preview.expect(200, "50 % back")?;
    scene.must_be(&booking, "confirmed").await?;

    let request = json!({ "reservation_id": booking.id, "reason": "There is no snow" });
    let answer =
        scene.call(&jana, "cancels", "cancel_reservation", &request).await?.expect(200, "50 % back")?;
    ensure!(answer.body == preview.body, "the preview said {}, not {}", preview.body, answer.body);
    ensure!(answer.minor("refund_minor")? * 2 == booking.amount_minor, "not half: {}", answer.body);
    scene.part_goes_back(&booking).await?;
    scene.webhook(&booking, "charge.refunded", &["partially_refunded"]).await?;
    tell_receipts(scene, &booking).await
}

pub(super) async fn the_shop_sends_a_part_back(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Something was wrong with the gear: the shop sends a part of the money back");
    let (tomas, eva) = (scene.tomas.clone(), scene.eva.clone());
    let (booking, _) = rent(scene, &tomas, "refunded in part", "Crampons", 2).await?;
    let too_much = json!({
        "reservation_id": booking.id, "amount_minor": booking.amount_minor + 1, "reason": "A strap tore",
    });
    let refusal = scene.call(&eva, "mistypes the amount", "refund_reservation", &too_much).await?;
    refusal.expect(409, "refund_exceeds_payment")?;
    let request = json!({ "reservation_id": booking.id, "amount_minor": 10_000, "reason": "A strap tore" });
    let what = format!("sends {} back", money(10_000, &booking.currency));
    scene.call(&eva, &what, "refund_reservation", &request).await?.expect(202, "pending")?;
    scene.part_goes_back(&booking).await?;
    scene.webhook(&booking, "charge.refunded", &["partially_refunded"]).await?;
    scene.must_be(&booking, "confirmed").await?;
    tell_receipts(scene, &booking).await
}

pub(super) async fn the_bank_takes_disputed_money(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("A cardholder disputes a payment: no refund meanwhile, and what is lost is booked");
    let (tomas, eva) = (scene.tomas.clone(), scene.eva.clone());
    let (booking, intent) = rent(scene, &tomas, "disputed and lost", "Ice axe", 2).await?;
    let dispute_id = open_dispute(scene, &intent).await?;
    scene.webhook(&booking, "charge.dispute.created", &["disputed"]).await?;
    let request = json!({ "reservation_id": booking.id, "reason": "To be nice" });
    let refusal = scene.call(&eva, "tries to refund", "refund_reservation", &request).await?;
    refusal.expect(409, "payment_disputed")?;

    let started = Instant::now();
    scene.stripe.close_dispute(&dispute_id, Outcome::Fail).await?;
    scene.story.line("bank", "decides for the cardholder", None, "lost", started.elapsed());
    scene.webhook(&booking, "charge.dispute.closed", &["disputed"]).await?;
    let query = "select p.lost_minor from public.payments p where p.reservation_id = $1::uuid";
    let lost: i64 = sqlx::query_scalar(query).bind(&booking.id).fetch_one(&mut scene.database).await?;
    ensure!(lost == booking.amount_minor, "{lost} is booked as lost, not {}", booking.amount_minor);
    tell_receipts(scene, &booking).await
}

/// The customer's card is charged while Stripe's word of it is on its way, and the shop takes cash.
pub(super) async fn what_is_paid_twice_goes_back_once(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Paid by card and, before that is known, in cash: the card's money goes back");
    let (jana, eva) = (scene.jana.clone(), scene.eva.clone());
    let (booking, intent, _) = scene.begin_paying(&jana, "paid twice", "Gas stove", 3).await?;
    let slowly = EventAction::DelayMs(SLOW_DELIVERY_MS);
    scene.stripe.add_event_fault("payment_intent.succeeded", slowly).await?;
    scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    let request = json!({ "reservation_id": booking.id, "action": "confirm" });
    scene.call(&eva, "takes cash", "confirm_reservation", &request).await?.expect(200, "confirmed")?;
    scene.money_goes_back(&booking).await?;
    // Whoever hears of the card's money first, the worker that was to cancel its intent or the webhook, sends it back.
    scene.webhook(&booking, "payment_intent.succeeded", &["stale", "duplicate_payment"]).await?;
    scene.must_be(&booking, "confirmed").await?;
    tell_receipts(scene, &booking).await
}

pub(super) async fn a_lost_event_is_found(scene: &mut Scene) -> Result<()> {
    scene.story.chapter("Stripe's event gets lost; the reconciliation finds it");
    let tomas = scene.tomas.clone();
    let (booking, intent, _) = scene.begin_paying(&tomas, "found later", "Down sleeping bag", 2).await?;
    scene.stripe.add_event_fault("payment_intent.succeeded", EventAction::Lose).await?;
    scene.pay(&tomas, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    scene.must_be(&booking, "hold").await?;
    let schedule = scene.schedule();
    let run = scene.call(&schedule, "reconciles", "reconcile_payments", &json!({})).await?;
    let run = run.expect(200, "1 mended")?;
    let finding = run.body.pointer("/findings/0").context("no finding")?;
    let text = |member: &str| finding.get(member).and_then(Value::as_str).unwrap_or_default();
    scene.story.note(&format!("{}: {}", text("difference"), text("decision")));
    ensure!(text("reservation_id") == booking.id, "another reservation: {finding}");
    scene.must_be(&booking, "confirmed").await?;
    tell_receipts(scene, &booking).await
}

/// Somebody reserves gear and pays for it.
async fn rent(
    scene: &mut Scene,
    who: &Person,
    chapter: &'static str,
    gear: &str,
    quantity: i32,
) -> Result<(Booking, Intent)> {
    let (booking, intent, _) = scene.begin_paying(who, chapter, gear, quantity).await?;
    scene.pay(who, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    scene.webhook(&booking, "payment_intent.succeeded", &["confirmed"]).await?;
    Ok((booking, intent))
}

/// The cardholder asks their bank for the money of an intent; the dispute's id.
async fn open_dispute(scene: &mut Scene, intent: &Intent) -> Result<String> {
    let started = Instant::now();
    let url = format!("{}/v1/payment_intents/{}", scene.file.stripe_api_base, intent.id);
    let paid: Value = scene.http.get(url).bearer_auth("sk_test_demo").send().await?.json().await?;
    let charge = paid.get("latest_charge").and_then(Value::as_str).context("nothing was charged")?;
    let dispute = scene.stripe.open_dispute(charge).await?;
    let text = |member: &str| dispute.get(member).and_then(Value::as_str).unwrap_or_default();
    scene.story.line(
        "bank",
        "takes the money back for its customer",
        None,
        text("status"),
        started.elapsed(),
    );
    Ok(text("id").to_owned())
}

/// Says which receipt and which credit notes there are.
async fn tell_receipts(scene: &mut Scene, booking: &Booking) -> Result<()> {
    let query =
        "select o.number, o.amount_minor, o.tax_minor from public.orders o where o.reservation_id = $1::uuid";
    let (number, amount, tax): (i64, i64, i64) =
        sqlx::query_as(query).bind(&booking.id).fetch_one(&mut scene.database).await?;
    let currency = &booking.currency;
    let mut told =
        format!("receipt {number}: {}, of which {} tax", money(amount, currency), money(tax, currency));
    let query = "select n.number, n.amount_minor from public.credit_notes n
        join public.orders o on o.id = n.order_id where o.reservation_id = $1::uuid order by n.number";
    let notes: Vec<(i64, i64)> =
        sqlx::query_as(query).bind(&booking.id).fetch_all(&mut scene.database).await?;
    for (number, amount) in notes {
        told.push_str(&format!("; credit note {number}: {}", money(amount, currency)));
    }
    scene.story.note(&told);
    Ok(())
}
