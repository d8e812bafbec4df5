//! A shop's own subscription: a plan that lapsed takes no new holds.

use anyhow::{Context, Result};
use kitloop::error::{Code, Error};
use serde_json::{Value, json};
use test_support::{Shop, StripeEvent};
use uuid::Uuid;

use super::{answer, deliver};

/// When the sample subscription began, in seconds since 1970.
const START: i64 = 1_798_707_600;

/// A sample event about the shop's subscription.
fn sample(shop: &Shop, name: &str) -> Result<StripeEvent> {
    StripeEvent::sample(&format!("customer_subscription_{name}"), "", Uuid::nil(), shop.provider_id)
}

/// The subscription, so many seconds after its start, in this status.
fn event(shop: &Shop, id: &str, seconds: i64, status: &str) -> Result<StripeEvent> {
    let event = sample(shop, "updated")?.renamed(&format!("evt_{id}_{seconds}_{status}"));
    Ok(event.with("id", id.into()).with("status", status.into()).at(START + seconds))
}

/// What is known of the shop's plan: (plan, status).
async fn plan(shop: &Shop) -> Result<Value> {
    shop.database.value("select jsonb_build_array(plan, plan_status) from public.providers", &[]).await
}

/// Whether the shop takes a hold.
async fn takes_holds(shop: &Shop) -> Result<bool> {
    match shop.hold().await {
        Ok(reservation_id) => {
            shop.database.lapse(reservation_id).await?;
            Ok(true)
        }
        Err(error) => match error.downcast_ref::<Error>().context("another error")? {
            Error::Refused(refusal) if refusal.code == Code::PlanInactive => Ok(false),
            _ => Err(error),
        },
    }
}

#[tokio::test]
async fn a_shop_without_a_subscription_needs_none() -> Result<()> {
    let shop = Shop::open().await?;
    assert!(takes_holds(&shop).await?);
    assert_eq!(plan(&shop).await?, json!([null, null]));
    Ok(())
}

#[tokio::test]
async fn a_plan_is_kept_as_stripe_tells_and_its_end_leaves_what_is_booked_alone() -> Result<()> {
    let shop = Shop::open().await?;
    deliver(&shop, &sample(&shop, "created")?, 200, "plan_updated").await?;
    assert_eq!(plan(&shop).await?, json!(["shop_pro_monthly", "active"]));
    assert!(takes_holds(&shop).await?);
    let (reservation_id, intent_id) = shop.hold_paid_at_stripe().await?;

    deliver(&shop, &sample(&shop, "deleted")?, 200, "plan_updated").await?;
    assert_eq!(plan(&shop).await?, json!(["shop_pro_monthly", "canceled"]));
    assert!(!takes_holds(&shop).await?);
    shop.hear_of(&intent_id).await?;
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    let changes =
        "select jsonb_agg(details ->> 'to' order by id) from public.audit_logs where action = 'plan_change'";
    assert_eq!(shop.database.value::<Value>(changes, &[]).await?, json!(["active", "canceled"]));
    Ok(())
}

#[tokio::test]
async fn a_late_payment_for_the_plan_has_a_grace_period() -> Result<()> {
    let shop = Shop::open().await?;
    let now = jiff::Timestamp::now().as_second();
    deliver(&shop, &sample(&shop, "created")?.at(now - 30 * 86_400), 200, "plan_updated").await?;
    let late =
        |days: i64, name: &str| anyhow::Ok(sample(&shop, "updated")?.renamed(name).at(now - days * 86_400));
    deliver(&shop, &late(6, "evt_first")?, 200, "plan_updated").await?;
    assert!(takes_holds(&shop).await?);
    deliver(&shop, &late(0, "evt_again")?, 200, "plan_updated").await?;
    let past_due_since: i64 = shop
        .database
        .value("select extract(epoch from plan_past_due_since)::bigint from public.providers", &[])
        .await?;
    assert_eq!(past_due_since, now - 6 * 86_400, "being late again does not begin anew");
    shop.database.execute("update public.providers set plan_grace_days = 5", &[]).await?;
    assert!(!takes_holds(&shop).await?);

    let paid = event(&shop, "sub_1Qk1tL00pSample0Plan001", now - START + 1, "active")?;
    deliver(&shop, &paid, 200, "plan_updated").await?;
    assert!(takes_holds(&shop).await?);
    Ok(())
}

#[tokio::test]
async fn every_other_status_takes_no_holds() -> Result<()> {
    let shop = Shop::open().await?;
    for (seconds, status, takes) in [
        (0, "incomplete", false),
        (1, "trialing", true),
        (2, "paused", false),
        (3, "active", true),
        (4, "unpaid", false),
    ] {
        deliver(&shop, &event(&shop, "sub_1", seconds, status)?, 200, "plan_updated").await?;
        assert_eq!(takes_holds(&shop).await?, takes, "{status}");
    }
    deliver(&shop, &event(&shop, "sub_1", 5, "a_status_of_tomorrow")?, 200, "ignored").await?;
    assert_eq!(plan(&shop).await?, json!(["shop_pro_monthly", "unpaid"]));
    Ok(())
}

#[tokio::test]
async fn in_whatever_order_they_come_the_newest_counts_and_the_end_is_final() -> Result<()> {
    let shop = Shop::open().await?;
    let story = [(0, "incomplete"), (0, "active"), (10, "past_due"), (20, "canceled")];
    for order in permutations(story.len()) {
        for position in &order {
            let (seconds, status) = story[*position];
            let reply = answer(&shop, &event(&shop, "sub_1", seconds, status)?.call()?).await?;
            assert_eq!(reply.status, 200, "{order:?}: {}", reply.body);
        }
        assert_eq!(plan(&shop).await?, json!(["shop_pro_monthly", "canceled"]), "{order:?}");
        forget(&shop).await?;
    }
    Ok(())
}

/// Every order of so many things.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let places = |order: Vec<usize>| {
        (0..=order.len()).map(move |place| {
            let mut longer = order.clone();
            longer.insert(place, count - 1);
            longer
        })
    };
    permutations(count - 1).into_iter().flat_map(places).collect()
}

#[tokio::test]
async fn of_several_subscriptions_the_one_that_is_paid_counts() -> Result<()> {
    let shop = Shop::open().await?;
    for (story, status) in [
        // One ends, and the next one's beginning is told late.
        (vec![("old", 0, "active"), ("old", 20, "canceled"), ("new", 10, "active")], "active"),
        // An upgrade: the old one is set to end, and ends.
        (
            vec![("old", 0, "active"), ("new", 10, "active"), ("old", 11, "active"), ("old", 30, "canceled")],
            "active",
        ),
        (vec![("old", 0, "active"), ("new", 10, "active"), ("old", 40, "unpaid")], "active"),
        // A second one is begun and never paid.
        (vec![("old", 0, "active"), ("two", 10, "incomplete"), ("two", 20, "incomplete_expired")], "active"),
        (vec![("old", 20, "canceled"), ("new", 10, "active")], "active"),
        (vec![("old", 0, "past_due"), ("two", 10, "incomplete")], "past_due"),
        (vec![("old", 0, "active"), ("old", 10, "unpaid"), ("two", 5, "canceled")], "unpaid"),
    ] {
        for (id, seconds, status) in &story {
            let reply = answer(&shop, &event(&shop, &format!("sub_{id}"), *seconds, status)?.call()?).await?;
            assert_eq!(reply.status, 200, "{story:?}: {}", reply.body);
        }
        assert_eq!(plan(&shop).await?, json!(["shop_pro_monthly", status]), "{story:?}");
        forget(&shop).await?;
    }
    Ok(())
}

/// Forgets every subscription.
async fn forget(shop: &Shop) -> Result<()> {
    let plan = "update public.providers set plan = null, plan_status = null, plan_status_at = null,
        plan_subscription_id = null, plan_past_due_since = null";
    for sql in [plan, "delete from public.provider_subscriptions", "delete from public.stripe_webhook_events"]
    {
        shop.database.execute(sql, &[]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_subscription_of_nobody_we_know_changes_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    for metadata in
        [json!({}), json!({"provider_id": Uuid::nil()}), json!({"provider_id": "no id"}), json!(null)]
    {
        let event = event(&shop, "sub_1", 0, "active")?.with("metadata", metadata.clone());
        let event = event.renamed(&format!("evt_{}", Uuid::new_v4()));
        deliver(&shop, &event, 200, "unmatched").await?;
    }
    assert_eq!(plan(&shop).await?, json!([null, null]));
    Ok(())
}
