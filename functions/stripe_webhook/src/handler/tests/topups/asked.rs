//! What Stripe says of top-ups when it is asked, as the reconciliation does, beside what its events say.

use anyhow::Result;
use kitloop::app::webhook;
use kitloop::db;
use kitloop::domain::{CheckoutSessionFact, Decision, Fact};
use kitloop::stripe::Event;
use serde_json::json;
use test_support::{Shop, StripeEvent};
use uuid::Uuid;

use super::super::deliver;
use super::{SESSION, account, begin_anew, buyer, dispute, refund, sample};

/// What an event says, as if Stripe had been asked.
fn asked(event: StripeEvent) -> Result<Fact> {
    match Event::from_log(event.payload)?.fact() {
        Some(Fact::CheckoutSession(session)) => {
            Ok(Fact::CheckoutSession(CheckoutSessionFact { event_id: None, ..session }))
        }
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_that_was_found_by_asking_is_granted_once_under_its_own_name() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    let paid = sample("checkout_session_completed")?;
    let fact = asked(paid.clone())?;
    assert_eq!(db::settle_fact(&shop.app.db, &fact).await?.decision, Decision::CreditsGranted);
    assert_eq!(db::settle_fact(&shop.app.db, &fact).await?.decision, Decision::Stale);
    deliver(&shop, &paid, 200, "stale").await?;
    assert_eq!(account(&shop).await?, json!([25, 0, [25]]));
    let key = "select idempotency_key from public.credit_ledger";
    assert_eq!(shop.database.value::<String>(key, &[]).await?, format!("stripe:{SESSION}:topup"));
    deliver(&shop, &refund("re_1", 1000, "succeeded"), 200, "partially_refunded").await?;
    assert_eq!(account(&shop).await?, json!([15, 0, [25, -10]]));
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_told_of_and_found_at_once_is_granted_once() -> Result<()> {
    let shop = Shop::open().await?;
    let (webhook_db, reconciliation_db) = (shop.database.db()?, shop.database.db()?);
    for round in 0..20 {
        buyer(&shop).await?;
        let paid = sample("checkout_session_completed")?.renamed(&format!("evt_paid_{round}"));
        let (event, fact) = (Event::from_log(paid.payload.clone())?, asked(paid)?);
        let (told, found) =
            tokio::join!(webhook::apply(&webhook_db, &event), db::settle_fact(&reconciliation_db, &fact));
        let mut decisions = [told?.decision.as_str(), found?.decision.as_str()];
        decisions.sort_unstable();
        assert_eq!(decisions, ["credits_granted", "stale"]);
        assert_eq!(account(&shop).await?, json!([25, 0, [25]]));
        begin_anew(&shop).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_session_differs_until_it_is_applied() -> Result<()> {
    let shop = Shop::open().await?;
    let (paid, expired) = (sample("checkout_session_completed")?, sample("checkout_session_expired")?);
    let open = expired.clone().with("status", json!("open"));
    let less = paid.clone().with("amount_total", json!(2499));
    let elsewhere = paid.clone().with("id", json!("cs_other"));
    let set = |change: &str| format!("update public.credit_topups set {change}");
    let as_it_began = set("paid_at = null");
    for (name, set_up, event, difference, after) in [
        ("paid", as_it_began.clone(), &paid, Some("status"), "paid"),
        ("paid after it expired", set("status = 'expired'"), &paid, Some("status"), "paid"),
        ("of less", as_it_began.clone(), &less, Some("status"), "mismatched"),
        ("of less, which is known", set("status = 'mismatched', paid_at = now()"), &less, None, "mismatched"),
        (
            "not of less after all",
            set("status = 'mismatched', paid_at = now()"),
            &paid,
            Some("status"),
            "paid",
        ),
        ("paid, which is known", set("status = 'paid', paid_at = now(), credits = 1"), &paid, None, "paid"),
        ("expired", as_it_began.clone(), &expired, Some("status"), "expired"),
        ("expired, which is known", set("status = 'expired'"), &expired, None, "expired"),
        ("open", as_it_began.clone(), &open, None, "open"),
        ("not noted", set("checkout_session_id = null"), &open, Some("unrecorded_session"), "open"),
        ("of nobody here", as_it_began.clone(), &elsewhere, None, "open"),
    ] {
        buyer(&shop).await?;
        shop.database.execute(&set_up, &[]).await?;
        let topup_id: Uuid = shop.database.value("select id from public.credit_topups", &[]).await?;
        let fact = asked(event.clone().with("metadata", json!({"topup_id": topup_id})))?;
        let found = db::differences(&shop.app.db, std::slice::from_ref(&fact)).await?;
        let found = found.first().map(|(_, difference)| difference.as_str());
        assert_eq!(found, difference, "{name}");
        if found.is_some() {
            db::settle_fact(&shop.app.db, &fact).await?;
        }
        assert!(db::differences(&shop.app.db, &[fact]).await?.is_empty(), "{name}");
        let left = "select array[status, checkout_session_id] from public.credit_topups";
        let left: Vec<String> = shop.database.value(left, &[]).await?;
        assert_eq!(left, [after, SESSION], "{name}");
        begin_anew(&shop).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_nobody_heard_of_a_top_up_is_a_difference_until_it_is_applied() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    deliver(&shop, &sample("checkout_session_completed")?, 200, "credits_granted").await?;
    let fact = |event: StripeEvent| anyhow::Ok(Event::from_log(event.payload)?.fact());
    let facts = [fact(refund("re_1", 500, "succeeded"))?, fact(dispute(500, "lost"))?];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    let found = db::differences(&shop.app.db, &facts).await?;
    assert_eq!(found.len(), 2, "{found:?}");
    for fact in &facts {
        db::settle_fact(&shop.app.db, fact).await?;
    }
    assert!(db::differences(&shop.app.db, &facts).await?.is_empty());
    assert_eq!(account(&shop).await?, json!([15, 0, [25, -5, -5]]));
    Ok(())
}
