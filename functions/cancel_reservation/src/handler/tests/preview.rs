//! What a cancellation would mean, without any effect.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop, sample};
use uuid::Uuid;

use super::{HOUR, answer, assert_cancelled, cancel_call, stored};

/// Everything that a cancellation would change.
async fn everything(shop: &Shop) -> Result<Value> {
    let sql = "select jsonb_build_array(
        (select jsonb_agg(r order by r.id) from public.reservations r),
        (select jsonb_agg(l) from public.reservation_lines l),
        (select jsonb_agg(p order by p.id) from public.payments p),
        (select count(*) from public.refunds), (select count(*) from public.jobs),
        (select count(*) from public.notification_logs), (select count(*) from public.audit_logs),
        (select count(*) from public.credit_notes)
    )";
    shop.database.value(sql, &[]).await
}

#[tokio::test]
async fn the_sample_says_what_a_cancellation_would_say_and_changes_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    shop.move_start(reservation_id, 3 * HOUR).await?;
    let before = everything(&shop).await?;
    let replacements = [(sample::RESERVATION, &*reservation_id.to_string())];
    let sample = HttpCall::sample("cancel_reservation/preview.json", &replacements)?;
    for (user_id, refund_minor, percent) in [(shop.customer_id, 125_000, 50), (shop.staff_id, 250_000, 100)] {
        let reply = answer(&shop, &sample.clone().by(user_id)?).await?;
        assert_cancelled(&reply, reservation_id, refund_minor, percent);
    }
    assert_eq!(everything(&shop).await?, before);

    let preview = answer(&shop, &sample.by(shop.customer_id)?).await?;
    let cancelled = answer(&shop, &cancel_call(reservation_id, shop.customer_id)?).await?;
    assert_eq!(cancelled.body, preview.body);
    assert_eq!(shop.database.status(reservation_id).await?, "cancelled");
    Ok(())
}

#[tokio::test]
async fn a_preview_is_refused_as_a_cancellation_is() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    let preview = |user_id| cancel_call(reservation_id, user_id)?.patch(&json!({"preview": true}));
    let reply = answer(&shop, &preview(Uuid::new_v4())?).await?;
    ensure_problem(&reply, 404, "reservation_not_found", "somebody else")?;
    shop.database.execute("update public.reservations set status = 'active'", &[]).await?;
    let before = stored(&shop, reservation_id).await?;
    let reply = answer(&shop, &preview(shop.customer_id)?).await?;
    ensure_problem(&reply, 409, "rental_started", "handed out")?;
    assert_eq!(stored(&shop, reservation_id).await?, before);
    Ok(())
}

#[tokio::test]
async fn no_preview_is_a_cancellation() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let call = cancel_call(reservation_id, shop.customer_id)?.patch(&json!({"preview": false}))?;
    assert_cancelled(&answer(&shop, &call).await?, reservation_id, 0, 100);
    assert_eq!(shop.database.status(reservation_id).await?, "cancelled");
    Ok(())
}
