//! Who is answered, and whose jobs they see.

use anyhow::Result;
use serde_json::json;
use test_support::door::{self, ensure_problem};
use test_support::{HttpCall, Provider, Reply, Shop, TestApp};
use uuid::Uuid;

use super::super::handle;
use super::{PATH, answer, get, standing};

#[tokio::test]
async fn a_job_is_shown_to_whoever_pays_for_it_and_to_nobody_else() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.give_credits(shop.staff_id, 1).await?;
    let (provider, input) = (Some(shop.provider_id), json!({"format": "csv"}));
    let job_id = shop.database.paid_job(shop.staff_id, "reservation_export", provider, &input).await?;
    assert_eq!(standing(&shop, job_id, shop.staff_id).await?.status, 200);
    let colleague = Uuid::new_v4();
    shop.database.add_member(shop.provider_id, colleague, "owner").await?;
    for other in [colleague, shop.customer_id, Uuid::new_v4()] {
        ensure_problem(&standing(&shop, job_id, other).await?, 404, "job_not_found", "another's")?;
    }
    ensure_problem(&standing(&shop, Uuid::new_v4(), shop.staff_id).await?, 404, "job_not_found", "nobody's")
}

#[tokio::test]
async fn who_works_for_a_shop_no_more_is_not_shown_what_was_made_for_it() -> Result<()> {
    let shop = Shop::open().await?;
    shop.hold().await?;
    shop.database.give_credits(shop.staff_id, 1).await?;
    let (provider, input) = (Some(shop.provider_id), json!({"format": "csv"}));
    let job_id = shop.database.paid_job(shop.staff_id, "reservation_export", provider, &input).await?;
    shop.work_off().await?;
    let shown = standing(&shop, job_id, shop.staff_id).await?;
    assert_eq!(shown.at("/result/reservations"), &json!(1), "{}", shown.body);
    shop.database.execute("delete from public.provider_members", &[]).await?;
    let hidden = standing(&shop, job_id, shop.staff_id).await?;
    assert_eq!((hidden.at("/status"), hidden.body.get("result")), (&json!("succeeded"), None));
    Ok(())
}

#[tokio::test]
async fn what_follows_from_decisions_is_no_customers_job() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    shop.database.execute("update public.customers set email = 'jana@example.com'", &[]).await?;
    shop.database.execute("select kitloop.notify($1, 'cancellation')", &[&reservation_id]).await?;
    shop.refund(reservation_id, 1_000).await?;
    let rows = shop.database.admin.query("select id, kind from public.jobs order by kind", &[]).await?;
    assert_eq!(rows.iter().map(|row| row.get(1)).collect::<Vec<&str>>(), ["refund_payment", "send_email"]);
    for row in rows {
        let (job_id, kind): (Uuid, String) = (row.get(0), row.get(1));
        for user_id in [shop.customer_id, shop.staff_id] {
            ensure_problem(&standing(&shop, job_id, user_id).await?, 404, "job_not_found", &kind)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_named() -> Result<()> {
    let shop = Shop::open().await?;
    let spellings = ["", "job_id=", "job_id=1", "job_id=018f3b1e000070008000000000000001", "id=1"];
    for query in spellings {
        let reply = answer(&shop, &get(query, shop.customer_id)?).await?;
        ensure_problem(&reply, 400, "invalid_request", query)?;
        assert_eq!(reply.invalid_fields(), ["job_id"], "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_does_not_hold_sees_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    let input = json!({"format": "csv"});
    let job_id = shop.database.paid_job(user_id, "reservation_export", None, &input).await?;
    let call = get(&format!("job_id={job_id}"), user_id)?;
    door::refuses_bad_tokens(&call, async |request| handle(&shop.app, request).await).await?;
    door::accepts_the_previous_secret(&call, user_id, 200, async |request| handle(&shop.app, request).await)
        .await
}

#[tokio::test]
async fn only_get_is_answered_and_preflights_need_nothing_else() -> Result<()> {
    let test = TestApp::start_with(&[test_support::database_away()]).await?;
    door::refuses_other_methods(PATH, "GET", async |request| handle(&test.app, request).await).await?;
    door::answers_preflights(PATH, "GET", async |request| handle(&test.app, request).await).await?;
    let sample = HttpCall::sample("get_job/options_preflight.json", &[])?;
    assert_eq!(Reply::read(handle(&test.app, sample.request()?).await)?.status, 204);
    let shop = Shop::open_with(test, &Provider::default()).await?;
    let sample = HttpCall::sample("get_job/own_job.json", &[])?.by(Uuid::new_v4())?;
    ensure_problem(&answer(&shop, &sample).await?, 503, "database_unavailable", "away")
}

#[tokio::test]
async fn one_caller_is_limited() -> Result<()> {
    let test = TestApp::start_guarded(3, 100_000).await?;
    let caller = Uuid::new_v4();
    let call = || get("", caller);
    door::limits_the_rate(3, call, async |request| handle(&test.app, request).await).await.map(drop)
}
