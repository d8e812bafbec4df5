//! Balances that an operator corrects.

use anyhow::Result;
use kitloop::db::{self, CreditAdjustment};
use kitloop::error::{Code, Error};
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{ADMIN_TOKEN, HttpCall, Reply, Shop};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{answer, audited};

/// Somebody who has been here before.
async fn customer(shop: &Shop) -> Result<Uuid> {
    let user_id = Uuid::new_v4();
    shop.database.execute("insert into public.customers (user_id) values ($1)", &[&user_id]).await?;
    Ok(user_id)
}

/// Ada corrects a balance.
async fn adjust(shop: &Shop, user_id: Uuid, amount: i64, key: &str) -> Result<Reply> {
    let body = json!({"user_id": user_id, "amount": amount, "reason": "a mistake", "idempotency_key": key});
    answer(shop, &adjustment(&body)).await
}

fn adjustment(body: &Value) -> HttpCall {
    HttpCall::post("/ops/credits/adjust", body).bearer(ADMIN_TOKEN).header("x-operator", "Ada")
}

/// The amounts in the ledger, oldest first.
async fn entries(shop: &Shop) -> Result<Value> {
    let sql = "select coalesce(jsonb_agg(amount order by id), '[]') from public.credit_ledger";
    shop.database.value(sql, &[]).await
}

#[tokio::test]
async fn a_correction_is_an_entry_of_its_own_in_the_operators_name() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = customer(&shop).await?;
    for (amount, balance) in [(25, 25), (-10, 15)] {
        let reply = adjust(&shop, user_id, amount, &format!("ticket-{amount}")).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.body, json!({"user_id": user_id, "amount": amount, "balance": balance}));
    }
    assert_eq!(entries(&shop).await?, json!([25, -10]));
    let entry = |amount: i64| {
        let details = json!({"user_id": user_id, "amount": amount, "reason": "a mistake", "key": format!("ticket-{amount}")});
        json!(["operator:Ada", "credit_adjustment", details])
    };
    assert_eq!(audited(&shop).await?, json!([entry(25), entry(-10)]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_repeated_request_counts_once_and_another_with_the_same_content_again() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = customer(&shop).await?;
    for (key, replayed, balance) in
        [("a", "false", 5), ("a", "true", 5), ("b", "false", 10), ("a", "true", 10)]
    {
        let reply = adjust(&shop, user_id, 5, key).await?;
        assert_eq!((reply.status, reply.at("/balance")), (200, &json!(balance)), "{}", reply.body);
        assert_eq!(reply.header("idempotent-replayed"), Some(replayed));
    }
    assert_eq!(entries(&shop).await?, json!([5, 5]));
    assert_eq!(shop.count("audit_logs").await?, 2);

    let elsewhere = customer(&shop).await?;
    for (user_id, amount) in [(user_id, 6), (elsewhere, 5)] {
        let reply = adjust(&shop, user_id, amount, "a").await?;
        ensure_problem(&reply, 422, "idempotency_key_reused", "another correction")?;
    }
    assert_eq!(entries(&shop).await?, json!([5, 5]));
    Ok(())
}

#[tokio::test]
async fn no_key_stands_in_the_way_of_another() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = customer(&shop).await?;
    adjust(&shop, user_id, 1, "a:owed").await?;
    shop.database.execute("update public.credit_accounts set owed = 2", &[]).await?;
    assert_eq!(adjust(&shop, user_id, 5, "a").await?.at("/balance"), 4, "two were owed");

    let mut adjustments = JoinSet::new();
    for user_id in [user_id, customer(&shop).await?] {
        let db = shop.database.db()?;
        adjustments.spawn(async move {
            let adjustment =
                CreditAdjustment { operator: "Ada", user_id, amount: 1, reason: "x", idempotency_key: "b" };
            db::adjust_credits(&db, &adjustment).await.map(|adjusted| adjusted.replayed)
        });
    }
    let outcomes = adjustments.join_all().await;
    let is_reused = |error: &Error| matches!(error, Error::Refused(refusal) if refusal.code == Code::IdempotencyKeyReused);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(is_reused)), "{outcomes:?}");
    Ok(())
}

#[tokio::test]
async fn nobody_is_brought_below_zero() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = customer(&shop).await?;
    adjust(&shop, user_id, 3, "a").await?;
    ensure_problem(&adjust(&shop, user_id, -4, "b").await?, 402, "insufficient_credits", "one too many")?;
    assert_eq!(adjust(&shop, user_id, -3, "b").await?.at("/balance"), 0, "a refused key may be used again");
    assert_eq!(entries(&shop).await?, json!([3, -3]));
    assert_eq!(shop.count("audit_logs").await?, 2);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_or_missing_is_named_and_changes_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = customer(&shop).await?;
    let good = json!({"user_id": user_id, "amount": 1, "reason": "why", "idempotency_key": "k"});
    for (changes, fields) in [
        (json!({"reason": null}), vec!["reason"]),
        (json!({"reason": "  "}), vec!["reason"]),
        (json!({"reason": "x".repeat(501)}), vec!["reason"]),
        (json!({"amount": 0}), vec!["amount"]),
        (json!({"amount": 100_001}), vec!["amount"]),
        (json!({"amount": 1.5}), vec!["amount"]),
        (json!({"idempotency_key": null}), vec!["idempotency_key"]),
        (json!({"user_id": "x", "amount": "1", "reason": 1}), vec!["amount", "reason", "user_id"]),
    ] {
        let reply = answer(&shop, &adjustment(&good).patch(&changes)?).await?;
        ensure_problem(&reply, 400, "invalid_request", &changes.to_string())?;
        let mut named = reply.invalid_fields();
        named.sort_unstable();
        assert_eq!(named, fields, "{changes}");
    }
    let sample = HttpCall::sample("ops/adjust_credits.json", &[])?.bearer(ADMIN_TOKEN);
    ensure_problem(&answer(&shop, &sample).await?, 404, "customer_not_found", "nobody")?;
    let nameless = adjustment(&good).without_header("x-operator");
    ensure_problem(&answer(&shop, &nameless).await?, 400, "invalid_request", "nameless")?;
    assert_eq!(entries(&shop).await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn what_is_entered_stays_whoever_wants_to_change_it() -> Result<()> {
    let shop = Shop::open().await?;
    adjust(&shop, customer(&shop).await?, 5, "a").await?;
    for role in ["postgres", "kitloop_owner", "service_role"] {
        for sql in [
            "update public.credit_ledger set amount = 6",
            "delete from public.credit_ledger",
            "truncate public.credit_ledger cascade",
        ] {
            let grant = format!("grant all on public.credit_ledger to {role}");
            shop.database.execute(&grant, &[]).await?;
            let session = shop.database.session().await?;
            session.batch_execute(&format!("set role {role}")).await?;
            assert!(session.batch_execute(sql).await.is_err(), "{role}: {sql}");
        }
    }
    assert_eq!(entries(&shop).await?, json!([5]));
    shop.database.assert_consistent().await
}
