//! Refunds that banks send back: seen, made again, and in the end shown as owed.

use anyhow::Result;
use serde_json::json;
use stripe_stand_in::Outcome;
use test_support::Shop;

use super::{answer, assert_refunding, counter_call, owed, refund_call, stored};

/// The bank sends the newest refund back, also after it had arrived.
async fn bounce(shop: &Shop) -> Result<()> {
    let (refund_id, _) = shop.refunds().await?.remove(0);
    shop.stripe.admin().settle_refund(&refund_id, Outcome::Fail).await?;
    shop.hear_of_refund(&refund_id).await
}

#[tokio::test]
async fn a_refund_that_failed_after_it_had_arrived_is_made_again() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    answer(&shop, &refund_call(&shop, reservation_id, 50_000)?).await?;
    shop.work_off().await?;
    bounce(&shop).await?;
    let both = json!([[50_000, "failed", "requested", false], [50_000, "pending", "requested", false]]);
    assert_eq!(stored(&shop).await?, both);
    shop.database.assert_consistent().await?;
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 50_000);
    assert_eq!(shop.count("credit_notes").await?, 1);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn after_three_a_person_is_told_and_hands_the_money_over() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    let address = "update public.providers set contact_email = 'shop@example.com'";
    shop.database.execute(address, &[]).await?;
    answer(&shop, &refund_call(&shop, reservation_id, 50_000)?).await?;
    for _ in 0..3 {
        assert_eq!(owed(&shop).await?, 0);
        shop.work_off().await?;
        bounce(&shop).await?;
    }
    shop.work_off().await?;
    assert_eq!((owed(&shop).await?, shop.refunded_at_stripe(&intent_id).await?), (50_000, 0));
    let violations = shop.database.violations().await?;
    assert!(violations.len() == 1 && violations[0].starts_with("refund_owed"), "{violations:?}");
    let emails = shop.resend.emails();
    assert_eq!(emails.len(), 1, "{emails:?}");
    assert_eq!(emails[0].to, ["shop@example.com"]);

    assert_refunding(
        &answer(&shop, &counter_call(&shop, reservation_id, 50_000)?).await?,
        "succeeded",
        50_000,
    );
    assert_eq!(owed(&shop).await?, 0);
    shop.database.assert_consistent().await
}
