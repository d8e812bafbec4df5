//! Bookings that are taken.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_support::{Gear, HttpCall, Reply, Shop, Token, door, in_days, sample};
use uuid::Uuid;

use super::{answer, good_call};

/// A sample event about the shop's own gear, for two days from in thirty.
fn sample_call(shop: &Shop, name: &str, other_gear: Uuid) -> Result<HttpCall> {
    let replacements = [
        (sample::PROVIDER, &*shop.provider_id.to_string()),
        (sample::GEAR, &*shop.gear_id.to_string()),
        (sample::OTHER_GEAR, &*other_gear.to_string()),
    ];
    HttpCall::sample(&format!("reserve_gear/{name}.json"), &replacements)?
        .patch(&json!({"start_date": in_days(30), "end_date": in_days(32)}))?
        .by(shop.customer_id)
}

fn reservation_id(reply: &Reply) -> Result<Uuid> {
    Ok(serde_json::from_value(reply.at("/reservation_id").clone())?)
}

#[tokio::test]
async fn the_sample_takes_a_hold_at_the_price_of_its_days() -> Result<()> {
    let shop = Shop::open().await?;
    let reply = answer(&shop, &sample_call(&shop, "one_line", Uuid::nil())?).await?;
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("idempotent-replayed"), Some("false"));
    assert_eq!(reply.header("x-correlation-id"), Some("sample-reserve-gear"));
    let line = json!({"gear_id": shop.gear_id, "quantity": 1, "unit_price_minor": sample::AMOUNT_MINOR});
    assert_eq!(reply.at("/lines"), &json!([line]));
    assert_eq!(reply.at("/amount_total_minor"), &json!(2 * sample::AMOUNT_MINOR));
    assert_eq!((reply.at("/status"), reply.at("/currency")), (&json!("hold"), &json!("CZK")));

    let reserved_until: Timestamp = serde_json::from_value(reply.at("/reserved_until").clone())?;
    let ahead = reserved_until.duration_since(Timestamp::now());
    assert!(ahead > SignedDuration::from_mins(14) && ahead <= SignedDuration::from_mins(15), "{ahead:?}");
    let sql = "select status || ' ' || amount_total_minor from public.reservations where id = $1";
    let stored: String = shop.database.value(sql, &[&reservation_id(&reply)?]).await?;
    assert_eq!(stored, "hold 500000");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_sample_with_several_lines_takes_all_of_them() -> Result<()> {
    let shop = Shop::open().await?;
    let ropes = Gear::of(1).insert(&shop.database, shop.provider_id).await?;
    shop.database.execute("update public.gear_items set quantity_total = 2", &[]).await?;
    let reply = answer(&shop, &sample_call(&shop, "several_lines", ropes)?).await?;
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(reply.at("/lines").as_array().map(Vec::len), Some(2));
    assert_eq!(reply.at("/amount_total_minor"), &json!(2 * (2 * sample::AMOUNT_MINOR + 50_000)));
    let notes = "select notes from public.reservations where id = $1";
    let notes: String = shop.database.value(notes, &[&reservation_id(&reply)?]).await?;
    assert_eq!(notes, "Vyzvedneme až po deváté.");
    // The key came in the header.
    let key: String = shop.database.value("select key from public.idempotency_keys", &[]).await?;
    assert_eq!(key, "sample-several-lines");
    Ok(())
}

#[tokio::test]
async fn a_request_may_come_encoded_with_a_stage_or_by_function_url() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.execute("update public.gear_items set quantity_total = 3", &[]).await?;
    for sample in ["base64_body", "stage_prefix", "function_url"] {
        let reply = answer(&shop, &sample_call(&shop, sample, Uuid::nil())?).await?;
        assert_eq!((reply.status, reply.at("/status")), (201, &json!("hold")), "{sample}: {}", reply.body);
    }
    assert_eq!(shop.count("reservations").await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_token_says_how_to_reach_the_customer() -> Result<()> {
    let shop = Shop::open().await?;
    let token = Token::of(shop.customer_id).with("user_metadata", json!({"full_name": "Jana Nováková"}));
    let reply = answer(&shop, &good_call(&shop)?.bearer(&token.encode()?)).await?;
    assert_eq!(reply.status, 201);
    let sql = "select jsonb_build_array(user_id, name, email) from public.customers";
    let customer: Value = shop.database.value(sql, &[]).await?;
    let email = format!("{}@example.com", shop.customer_id.simple());
    assert_eq!(customer, json!([shop.customer_id, "Jana Nováková", email]));
    Ok(())
}

#[tokio::test]
async fn staff_books_for_a_walk_in_and_customers_may_not() -> Result<()> {
    let shop = Shop::open().await?;
    let call = sample_call(&shop, "staff_for_walk_in", Uuid::nil())?;
    let reply = answer(&shop, &call).await?;
    door::ensure_problem(&reply, 403, "forbidden", "a customer")?;
    assert_eq!((shop.count("reservations").await?, shop.count("customers").await?), (0, 0));

    let reply = answer(&shop, &call.by(shop.staff_id)?).await?;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let sql = "select jsonb_build_array(user_id, provider_id, name, phone) from public.customers";
    let customer: Value = shop.database.value(sql, &[]).await?;
    assert_eq!(customer, json!([null, shop.provider_id, "Jana Nováková", "+420 601 000 001"]));
    Ok(())
}

#[tokio::test]
async fn only_staff_sets_a_price_and_that_is_audited() -> Result<()> {
    let shop = Shop::open().await?;
    shop.database.execute("update public.gear_items set quantity_total = 2", &[]).await?;
    let cheap = good_call(&shop)?.patch(&json!({"amount_total_minor": 1}))?;
    let reply = answer(&shop, &cheap).await?;
    assert_eq!((reply.status, reply.at("/amount_total_minor")), (201, &json!(sample::AMOUNT_MINOR)));
    assert_eq!(shop.count("audit_logs").await?, 0);

    let reply = answer(&shop, &cheap.by(shop.staff_id)?).await?;
    assert_eq!((reply.status, reply.at("/amount_total_minor")), (201, &json!(1)));
    let sql = "select jsonb_build_array(actor, action, reservation_id, details) from public.audit_logs";
    let audited: Value = shop.database.value(sql, &[]).await?;
    let details = json!({"computed_minor": sample::AMOUNT_MINOR, "amount_total_minor": 1});
    let actor = format!("user:{}", shop.staff_id);
    assert_eq!(audited, json!([actor, "price_override", reply.at("/reservation_id"), details]));
    Ok(())
}

#[tokio::test]
async fn only_app_metadata_makes_an_admin() -> Result<()> {
    let shop = Shop::open().await?;
    let cheap = good_call(&shop)?.patch(&json!({"amount_total_minor": 1}))?;
    let is_admin = json!({"role": "admin"});
    for claim in ["user_metadata", "app_metadata"] {
        let token = Token::of(Uuid::new_v4()).with(claim, is_admin.clone()).encode()?;
        let reply = answer(&shop, &cheap.clone().bearer(&token)).await?;
        let expected = if claim == "app_metadata" { 1 } else { sample::AMOUNT_MINOR };
        assert_eq!((reply.status, reply.at("/amount_total_minor")), (201, &json!(expected)), "{claim}");
        shop.database.lapse(reservation_id(&reply)?).await?;
    }
    Ok(())
}
