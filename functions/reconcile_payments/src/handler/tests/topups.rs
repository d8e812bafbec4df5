//! Credits that were paid for, or will never be, without anybody's hearing of it.

use anyhow::{Context, Result};
use kitloop::app::topup;
use kitloop::db::TopupRequest;
use kitloop::domain::{Contact, Currency, Money};
use serde_json::{Value, json};
use test_support::Shop;
use tokio::time::Instant;
use uuid::Uuid;

use super::{TIME, findings, run};

/// A customer who is on their way to pay for 25 credits; returns Stripe's id of the session.
async fn buyer(shop: &Shop) -> Result<String> {
    let request = TopupRequest {
        caller: "user",
        idempotency_key: &Uuid::new_v4().to_string(),
        request_hash: "hash",
        user_id: Uuid::new_v4(),
        profile: &Contact::default(),
        credits: 25,
        credit_price: Money { amount_minor: 100, currency: Currency::parse("EUR").context("no currency")? },
    };
    let pages = ("https://shop.example/paid", "https://shop.example/back");
    let (db, stripe) = (&shop.app.db, shop.app.stripe()?);
    Ok(topup::start_checkout(db, stripe, &request, pages, Instant::now() + TIME).await?.session_id)
}

/// One who has paid at Stripe.
async fn payer(shop: &Shop) -> Result<String> {
    let session_id = buyer(shop).await?;
    shop.stripe.admin().complete_checkout(&session_id, "pm_card_visa").await?;
    Ok(session_id)
}

/// One who left, and whose session has expired.
async fn leaver(shop: &Shop) -> Result<String> {
    let session_id = buyer(shop).await?;
    shop.stripe_post(&format!("checkout/sessions/{session_id}/expire"), &[]).await?;
    Ok(session_id)
}

/// What the schedule finds if Stripe tells of no events that were not delivered, as when there was no webhook for them.
async fn found_without_events(shop: &Shop) -> Result<Value> {
    found_from(shop, "checkout_sessions").await
}

/// What it finds when it goes on with a phase.
async fn found_from(shop: &Shop, phase: &str) -> Result<Value> {
    let sql = "insert into public.reconciliations (from_at, to_at, is_by_hand, phase)
        values (clock_timestamp() - interval '1 day', clock_timestamp(), false, $1)";
    shop.database.execute(sql, &[&phase]).await?;
    run(shop).await?.map_err(Into::into)
}

/// The top-ups' states, in order of their sessions, and all balances together.
async fn credits(shop: &Shop) -> Result<Value> {
    let sql = "select jsonb_build_array(
            (select jsonb_object_agg(checkout_session_id, status) from public.credit_topups),
            (select coalesce(sum(balance), 0) from public.credit_accounts)
        )";
    shop.database.value(sql, &[]).await
}

#[tokio::test]
async fn credits_whose_event_was_not_delivered_are_granted() -> Result<()> {
    let shop = Shop::open().await?;
    let session_id = payer(&shop).await?;
    let done = run(&shop).await??;
    assert_eq!(findings(&done), [json!(["undelivered_event", "credits_granted", true])], "{done:#}");
    assert_eq!(credits(&shop).await?, json!([{session_id: "paid"}, 25]));
    assert_eq!(run(&shop).await??["found_count"], json!(0));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn sessions_without_any_event_are_brought_to_where_they_are_at_stripe() -> Result<()> {
    let shop = Shop::open().await?;
    let (paid, left, waiting) = (payer(&shop).await?, leaver(&shop).await?, buyer(&shop).await?);
    let done = found_without_events(&shop).await?;
    let mut found = findings(&done);
    found.sort_by_key(Value::to_string);
    let mended = ["credits_granted", "payment_canceled"].map(|decision| json!(["status", decision, true]));
    assert_eq!(found, mended, "{done:#}");
    assert_eq!(credits(&shop).await?, json!([{&paid: "paid", &left: "expired", &waiting: "open"}, 25]));
    let again = found_without_events(&shop).await?;
    assert_eq!(again["found_count"], json!(0), "{again:#}");

    // Its event comes after all.
    run(&shop).await??;
    assert_eq!(credits(&shop).await?, json!([{&paid: "paid", &left: "expired", &waiting: "open"}, 25]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_session_that_was_made_and_never_noted_is_found() -> Result<()> {
    let shop = Shop::open().await?;
    let (paid, waiting) = (payer(&shop).await?, buyer(&shop).await?);
    shop.database.execute("update public.credit_topups set checkout_session_id = null", &[]).await?;
    let done = found_without_events(&shop).await?;
    let wanted =
        ["processing", "credits_granted"].map(|decision| json!(["unrecorded_session", decision, true]));
    assert_eq!(findings(&done), wanted, "{done:#}");
    assert_eq!(credits(&shop).await?, json!([{paid: "paid", waiting: "open"}, 25]));
    Ok(())
}

#[tokio::test]
async fn sessions_from_before_the_window_that_are_still_open_here_are_looked_up() -> Result<()> {
    let shop = Shop::open().await?;
    let sessions = [payer(&shop).await?, leaver(&shop).await?, buyer(&shop).await?];
    // Of Stripe's test mode, or of another account.
    let gone = buyer(&shop).await?;
    let lose =
        "update public.credit_topups set checkout_session_id = 'cs_gone' where checkout_session_id = $1";
    shop.database.execute(lose, &[&gone]).await?;
    let age = "update public.credit_topups set created_at = created_at - interval '2 days'";
    shop.database.execute(age, &[]).await?;
    let listed = payer(&shop).await?;
    let done = found_from(&shop, "open_topups").await?;
    assert_eq!((&done["examined_count"], &done["mended_count"]), (&json!(3), &json!(2)), "{done:#}");
    let [paid, left, waiting] = sessions;
    let wanted =
        json!([{paid: "paid", left: "expired", waiting: "open", "cs_gone": "open", listed: "open"}, 25]);
    assert_eq!(credits(&shop).await?, wanted);
    Ok(())
}

#[tokio::test]
async fn more_open_sessions_than_are_looked_up_at_once_are_all_looked_up() -> Result<()> {
    let shop = Shop::open().await?;
    let paid = payer(&shop).await?;
    let many =
        "insert into public.credit_topups (customer_id, credits, amount_minor, currency, checkout_session_id)
        select t.customer_id, 1, 1, t.currency, 'cs_' || lpad(number::text, 3, '0')
        from public.credit_topups t, generate_series(1, 50) number";
    shop.database.execute(many, &[]).await?;
    let age = "update public.credit_topups set created_at = created_at - interval '2 days'";
    shop.database.execute(age, &[]).await?;
    let done = found_from(&shop, "open_topups").await?;
    assert_eq!(done["mended_count"], json!(1), "{done:#}");
    let status = "select status from public.credit_topups where checkout_session_id = $1";
    assert_eq!(shop.database.value::<String>(status, &[&paid]).await?, "paid");
    Ok(())
}

#[tokio::test]
async fn what_was_paid_and_not_asked_for_waits_for_a_person_and_is_told_once() -> Result<()> {
    let shop = Shop::open().await?;
    let session_id = payer(&shop).await?;
    shop.database.execute("update public.credit_topups set amount_minor = 2400", &[]).await?;
    let done = found_without_events(&shop).await?;
    assert_eq!(findings(&done), [json!(["status", "amount_mismatch", false])], "{done:#}");
    assert_eq!(found_without_events(&shop).await?["found_count"], json!(0));
    assert_eq!(credits(&shop).await?, json!([{&session_id: "mismatched"}, 0]));
    let violations = shop.database.violations().await?;
    assert!(
        matches!(violations.as_slice(), [one] if one.starts_with("money_without_credits")),
        "{violations:?}"
    );

    // They send it back at Stripe's dashboard, of which nobody hears either.
    let session = shop.stripe_get(&format!("checkout/sessions/{session_id}")).await?;
    let intent_id = session["payment_intent"].as_str().context("nothing was paid")?;
    shop.stripe_post("refunds", &[("payment_intent", intent_id)]).await?;
    let done = found_without_events(&shop).await?;
    assert_eq!(findings(&done), [json!(["unknown_refund", "refunded", true])], "{done:#}");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn sessions_of_others_at_the_same_account_are_left_alone() -> Result<()> {
    let shop = Shop::open().await?;
    payer(&shop).await?;
    shop.database.execute("delete from public.credit_topups", &[]).await?;
    let done = found_without_events(&shop).await?;
    assert_eq!((&done["examined_count"], &done["found_count"]), (&json!(1), &json!(0)), "{done:#}");
    Ok(())
}
