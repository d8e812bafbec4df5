//! Money that goes back by card: all of it, or in parts.

use anyhow::Result;
use serde_json::{Value, json};
use stripe_stand_in::{Outcome, RefundStatus, Switches};
use test_support::{HttpCall, Shop, Token, sample};
use uuid::Uuid;

use super::{answer, assert_refunding, job, refund_call, stored};

#[tokio::test]
async fn the_sample_sends_a_part_back() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample = HttpCall::sample("refund_reservation/part.json", &replacements)?;
    let reply = answer(&shop, &sample.by(shop.staff_id)?).await?;
    assert_refunding(&reply, "pending", 50_000);
    assert_eq!(reply.header("idempotent-replayed"), Some("false"));
    assert_eq!(reply.header("x-correlation-id"), Some("sample-refund-reservation"));
    // The bank is left to the worker.
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 0);

    shop.work_off().await?;
    assert_eq!(stored(&shop).await?, json!([[50_000, "succeeded", "requested", false]]));
    let made = &shop.stripe_get("refunds").await?["data"][0];
    assert_eq!((&made["amount"], &made["payment_intent"]), (&json!(50_000), &json!(intent_id)));
    assert_eq!(&made["metadata"]["refund_id"], reply.at("/refund_id"));
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_sample_without_an_amount_sends_back_all_that_is_left() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    assert_refunding(
        &answer(&shop, &refund_call(&shop, reservation_id, 100_000)?).await?,
        "pending",
        100_000,
    );
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample = HttpCall::sample("refund_reservation/all_that_is_left.json", &replacements)?;
    let reply = answer(&shop, &sample.by(shop.staff_id)?).await?;
    assert_refunding(&reply, "pending", 150_000);
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, sample::AMOUNT_MINOR);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn however_many_ask_at_once_no_more_goes_back_than_came_in() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    let call = refund_call(&shop, reservation_id, 100_000)?;
    let (a, b, c, d) =
        tokio::join!(answer(&shop, &call), answer(&shop, &call), answer(&shop, &call), answer(&shop, &call));
    let mut statuses = [a?.status, b?.status, c?.status, d?.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 202, 409, 409]);
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 200_000);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_has_a_credit_note_and_an_audit_line() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.execute("update public.providers set tax_rate_basis_points = 2100", &[]).await?;
    let (reservation_id, _) = shop.paid().await?;
    for amount_minor in [1, 121] {
        let reply = answer(&shop, &refund_call(&shop, reservation_id, amount_minor)?).await?;
        assert_refunding(&reply, "pending", amount_minor);
    }
    let sql = "select jsonb_agg(jsonb_build_array(number, amount_minor, tax_minor) order by number)
        from public.credit_notes";
    assert_eq!(shop.database.value::<Value>(sql, &[]).await?, json!([[1, 1, 0], [2, 121, 21]]));
    let sql = "select jsonb_agg(jsonb_build_array(a.actor, a.action, a.details ->> 'amount_minor', f.note)
            order by a.id)
        from public.audit_logs a join public.refunds f on f.id = (a.details ->> 'refund_id')::uuid";
    let actor = format!("user:{}", shop.staff_id);
    let audited: Value = shop.database.value(sql, &[]).await?;
    let line = |amount: &str| json!([actor, "reservation_refund", amount, "A binding was loose"]);
    assert_eq!(audited, json!([line("1"), line("121")]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_states_of_a_refund_are_stripes() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let switches = Switches { refunds_pending: true, ..Switches::default() };
    shop.stripe.admin().set_switches(switches).await?;
    answer(&shop, &refund_call(&shop, reservation_id, 50_000)?).await?;
    shop.work_off().await?;
    assert_eq!(stored(&shop).await?, json!([[50_000, "pending", "requested", false]]));

    let (refund_id, _) = shop.refunds().await?.remove(0);
    shop.stripe.admin().move_refund(&refund_id, RefundStatus::RequiresAction).await?;
    shop.hear_of_refund(&refund_id).await?;
    assert_eq!(stored(&shop).await?, json!([[50_000, "requires_action", "requested", false]]));
    shop.stripe.admin().settle_refund(&refund_id, Outcome::Succeed).await?;
    shop.hear_of_refund(&refund_id).await?;
    assert_eq!(stored(&shop).await?, json!([[50_000, "succeeded", "requested", false]]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn owners_and_admins_refund_too() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let owner = Uuid::new_v4();
    shop.database.add_member(shop.provider_id, owner, "owner").await?;
    let admin = Token::of(Uuid::new_v4()).with("app_metadata", json!({"role": "admin"}));
    let call = refund_call(&shop, reservation_id, 1_000)?;
    for call in [call.clone().by(owner)?, call.bearer(&admin.encode()?)] {
        assert_refunding(&answer(&shop, &call).await?, "pending", 1_000);
    }
    Ok(())
}
