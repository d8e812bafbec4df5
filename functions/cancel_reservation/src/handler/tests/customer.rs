//! The customer cancels what is paid: the provider's policy says how much goes back.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::{HttpCall, Shop, sample};

use super::{HOUR, answer, assert_cancelled, cancelled_by_customer, job, stored};

#[tokio::test]
async fn the_sample_cancels_and_all_of_the_money_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample = HttpCall::sample("cancel_reservation/customer_cancels.json", &replacements)?;
    let reply = answer(&shop, &sample.by(shop.customer_id)?).await?;
    assert_cancelled(&reply, reservation_id, sample::AMOUNT_MINOR, 100);
    assert_eq!(reply.header("x-correlation-id"), Some("sample-cancel-reservation"));
    // The bank is left to the worker.
    assert_eq!(shop.jobs().await?, [job("refund_payment", "queued")]);
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 0);
    shop.database.assert_consistent().await?;

    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, sample::AMOUNT_MINOR);
    assert_eq!(
        stored(&shop, reservation_id).await?,
        json!(["cancelled", "customer", "succeeded", sample::AMOUNT_MINOR, sample::AMOUNT_MINOR, 0])
    );
    let sql = "select jsonb_build_array(r.cancel_note, f.reason, f.status) from public.refunds f
        join public.payments p on p.id = f.payment_id
        join public.reservations r on r.id = p.reservation_id";
    let told: Value = shop.database.value(sql, &[]).await?;
    assert_eq!(told, json!(["There is no snow", "cancellation", "succeeded"]));
    // The stock is free again.
    shop.hold().await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_later_it_is_the_less_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    for (starts_in_minutes, percent, refund_minor) in [
        (24 * HOUR + 1, 100, 250_000),
        (24 * HOUR - 1, 50, 125_000),
        (2 * HOUR + 1, 50, 125_000),
        (2 * HOUR - 1, 0, 0),
        (-HOUR, 0, 0),
    ] {
        let (reservation_id, intent_id) = shop.paid().await?;
        shop.move_start(reservation_id, starts_in_minutes).await?;
        let answered = cancelled_by_customer(&shop, reservation_id).await?;
        assert_eq!(answered, (refund_minor, percent), "{starts_in_minutes} minutes before");

        shop.work_off().await?;
        assert_eq!(shop.refunded_at_stripe(&intent_id).await?, refund_minor);
        let kept_minor = sample::AMOUNT_MINOR - refund_minor;
        let expected =
            json!(["cancelled", "customer", "succeeded", sample::AMOUNT_MINOR, refund_minor, kept_minor]);
        assert_eq!(stored(&shop, reservation_id).await?, expected);
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_policy_is_the_providers_own() -> Result<()> {
    let shop = Shop::open().await?;
    for (policy, percent) in [
        (r"[]", 0),
        (r#"[{"hours_before": 0, "refund_percent": 33}]"#, 33),
        (r#"[{"hours_before": 48, "refund_percent": 90}, {"hours_before": 1.5, "refund_percent": 10}]"#, 10),
    ] {
        let set = "update public.providers set cancellation_policy = $1::text::jsonb";
        shop.database.execute(set, &[&policy]).await?;
        let (reservation_id, _) = shop.paid().await?;
        shop.move_start(reservation_id, 2 * HOUR).await?;
        let answered = cancelled_by_customer(&shop, reservation_id).await?;
        assert_eq!(answered, (sample::AMOUNT_MINOR / 100 * percent, percent), "{policy}");
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_went_back_before_limits_what_goes_back_now() -> Result<()> {
    let shop = Shop::open().await?;
    for (refunded_before, starts_in_minutes, refund_minor) in
        [(200_000, 30 * HOUR, 50_000), (200_000, 3 * HOUR, 50_000), (250_000, 30 * HOUR, 0)]
    {
        let (reservation_id, intent_id) = shop.paid().await?;
        shop.refund(reservation_id, refunded_before).await?;
        shop.move_start(reservation_id, starts_in_minutes).await?;
        assert_eq!(cancelled_by_customer(&shop, reservation_id).await?.0, refund_minor);
        shop.work_off().await?;
        assert_eq!(shop.refunded_at_stripe(&intent_id).await?, refunded_before + refund_minor);
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_cancellation_has_a_credit_note_a_customer_to_tell_and_an_audit_line() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.execute("update public.providers set tax_rate_basis_points = 2100", &[]).await?;
    let (reservation_id, _) = shop.paid().await?;
    shop.database.execute("update public.customers set email = 'jana@example.com'", &[]).await?;
    shop.move_start(reservation_id, 3 * HOUR).await?;
    cancelled_by_customer(&shop, reservation_id).await?;

    let sql = "select jsonb_build_array(o.number, o.tax_minor, n.number, n.amount_minor, n.tax_minor)
        from public.credit_notes n join public.orders o on o.id = n.order_id";
    assert_eq!(shop.database.value::<Value>(sql, &[]).await?, json!([1, 43_388, 1, 125_000, 21_694]));
    let sql = "select jsonb_build_array(actor, action, details) from public.audit_logs";
    let audited: Value = shop.database.value(sql, &[]).await?;
    let details = json!({"refund_minor": 125_000, "refund_percent": 50});
    assert_eq!(audited, json!([format!("user:{}", shop.customer_id), "reservation_cancel", details]));

    shop.work_off().await?;
    let emails = shop.resend.emails();
    assert_eq!(emails.len(), 1, "{emails:?}");
    assert_eq!(emails[0].to, ["jana@example.com"]);
    shop.database.assert_consistent().await
}
