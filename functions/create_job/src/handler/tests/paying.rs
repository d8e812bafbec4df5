//! Jobs that are paid for, and those that are not.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{HttpCall, Provider, Shop, sample};
use uuid::Uuid;

use super::{answer, export};

/// What a user's account has had, and how many jobs there are.
async fn spent(shop: &Shop, user_id: Uuid) -> Result<(Vec<(String, i64)>, i64)> {
    Ok((shop.database.ledger(user_id).await?, shop.count("jobs").await?))
}

fn entry(entry_type: &str, amount: i64) -> (String, i64) {
    (entry_type.to_owned(), amount)
}

#[tokio::test]
async fn a_job_is_accepted_with_its_credits_held() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(3).await?;
    let sample = HttpCall::sample("create_job/customer_exports.json", &[])?.by(user_id)?;
    let reply = answer(&shop, &sample).await?;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let job_id: Uuid = shop.database.value("select id from public.jobs", &[]).await?;
    assert_eq!(
        reply.body,
        json!({
            "job_id": job_id, "kind": "reservation_export", "status": "queued", "credits_held": 1, "attempts": 0,
            "idempotent_replay": false,
        })
    );
    assert_eq!(reply.header("idempotent-replayed"), Some("false"));
    let held = vec![entry("adjustment", 3), entry("hold", -1)];
    assert_eq!(spent(&shop, user_id).await?, (held, 1));
    let key: String = shop
        .database
        .value("select idempotency_key from public.credit_ledger where job_id = $1", &[&job_id])
        .await?;
    assert_eq!(key, format!("job:{job_id}:hold"));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn without_credits_nothing_is_held_and_nothing_made() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = Uuid::new_v4();
    let refused = answer(&shop, &export(user_id, "a")?).await?;
    ensure_problem(&refused, 402, "insufficient_credits", "no credits")?;
    assert_eq!((refused.at("/balance"), refused.at("/credits")), (&json!(0), &json!(1)));
    assert_eq!(spent(&shop, user_id).await?, (Vec::new(), 0));

    // Whoever has bought credits asks again, with the same key.
    shop.database.give_credits(user_id, 1).await?;
    let bought = answer(&shop, &export(user_id, "a")?).await?;
    assert_eq!((bought.status, bought.at("/idempotent_replay")), (202, &json!(false)), "{}", bought.body);
    let nothing_left = answer(&shop, &export(user_id, "b")?).await?;
    assert_eq!(nothing_left.refusal(), (402, "insufficient_credits"));
    let held = vec![entry("adjustment", 1), entry("hold", -1)];
    assert_eq!(spent(&shop, user_id).await?, (held, 1));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_same_request_is_the_same_job_wherever_its_key_is() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(5).await?;
    let first = answer(&shop, &export(user_id, "a")?).await?;
    let in_body = answer(&shop, &export(user_id, "a")?).await?;
    let without_key = export(user_id, "a")?.patch(&json!({"idempotency_key": null}))?;
    let in_header = answer(&shop, &without_key.clone().header("idempotency-key", "a")).await?;
    for again in [&in_body, &in_header] {
        let mut expected = first.body.clone();
        expected["idempotent_replay"] = json!(true);
        assert_eq!((again.status, &again.body), (202, &expected));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    let held = vec![entry("adjustment", 5), entry("hold", -1)];
    assert_eq!(spent(&shop, user_id).await?, (held, 1));

    let nowhere = answer(&shop, &without_key).await?;
    ensure_problem(&nowhere, 400, "invalid_request", "no key")?;
    assert_eq!(nowhere.invalid_fields(), ["idempotency_key"]);
    Ok(())
}

#[tokio::test]
async fn another_request_under_a_used_key_is_refused_and_keys_are_each_callers_own() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(5).await?;
    let first = answer(&shop, &export(user_id, "a")?).await?;
    let other = export(user_id, "a")?.patch(&json!({"input": {"format": "json"}}))?;
    ensure_problem(&answer(&shop, &other).await?, 422, "idempotency_key_reused", "another format")?;
    let held = vec![entry("adjustment", 5), entry("hold", -1)];
    assert_eq!(spent(&shop, user_id).await?, (held, 1));

    let somebody = shop.database.user_with_credits(1).await?;
    let theirs = answer(&shop, &export(somebody, "a")?).await?;
    assert_eq!((theirs.status, theirs.at("/idempotent_replay")), (202, &json!(false)));
    assert_ne!(theirs.at("/job_id"), first.at("/job_id"));
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_sent_thrice_makes_one_job() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(5).await?;
    let call = export(user_id, "a")?;
    let replies = tokio::join!(answer(&shop, &call), answer(&shop, &call), answer(&shop, &call));
    let replies = [replies.0?, replies.1?, replies.2?];
    let made = replies.iter().filter(|reply| reply.at("/idempotent_replay") == &json!(false));
    assert_eq!(made.count(), 1, "{replies:?}");
    assert!(replies.iter().all(|reply| reply.status == 202), "{replies:?}");
    let held = vec![entry("adjustment", 5), entry("hold", -1)];
    assert_eq!(spent(&shop, user_id).await?, (held, 1));
    Ok(())
}

#[tokio::test]
async fn a_shop_has_jobs_done_by_those_who_work_there() -> Result<()> {
    let shop = Shop::open().await?;
    let provider_id = shop.provider_id.to_string();
    let staff_exports =
        || HttpCall::sample("create_job/staff_exports.json", &[(sample::PROVIDER, &provider_id)]);
    shop.database.give_credits(shop.staff_id, 2).await?;
    let reply = answer(&shop, &staff_exports()?.by(shop.staff_id)?).await?;
    assert_eq!((reply.status, reply.at("/credits_held")), (202, &json!(1)), "{}", reply.body);
    let sql = "select jsonb_build_array(provider_id, input) from public.jobs";
    let stored: Value = shop.database.value(sql, &[]).await?;
    let input = json!({"format": "json", "from": "2026-11-30T23:00:00Z", "to": "2026-12-31T23:00:00Z"});
    assert_eq!(stored, json!([provider_id, input]));
    Ok(())
}

#[tokio::test]
async fn nobody_has_a_job_done_for_a_shop_they_do_not_work_for() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(2).await?;
    let elsewhere = Provider::default().insert(&shop.database).await?;
    shop.database.add_member(elsewhere, user_id, "owner").await?;
    for (provider_id, status, code) in
        [(shop.provider_id, 403, "forbidden"), (Uuid::new_v4(), 404, "provider_not_found")]
    {
        let input = json!({"format": "csv", "provider_id": provider_id});
        let call = export(user_id, code)?.patch(&json!({"input": input}))?;
        ensure_problem(&answer(&shop, &call).await?, status, code, code)?;
    }
    assert_eq!(spent(&shop, user_id).await?, (vec![entry("adjustment", 2)], 0));
    Ok(())
}
