//! Fields that are wrong, all of them named at once.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop, in_days};

use super::{answer, good_call};

/// Fails unless a request that differs from a good one in this way is refused for exactly these fields.
async fn assert_wrong(shop: &Shop, changes: &Value, fields: &[&str]) -> Result<()> {
    let reply = answer(shop, &good_call(shop)?.patch(changes)?).await?;
    ensure_problem(&reply, 400, "invalid_request", &changes.to_string())?;
    assert_eq!(reply.invalid_fields(), fields, "{changes}");
    Ok(())
}

async fn assert_nothing_was_written(shop: &Shop) -> Result<()> {
    assert_eq!((shop.count("reservations").await?, shop.count("idempotency_keys").await?), (0, 0));
    Ok(())
}

#[tokio::test]
async fn all_wrong_fields_are_named_in_one_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let sample = HttpCall::sample("reserve_gear/all_fields_wrong.json", &[])?.by(shop.customer_id)?;
    let reply = answer(&shop, &sample).await?;
    ensure_problem(&reply, 400, "invalid_request", "all fields")?;
    let all = [
        "customer",
        "end_date",
        "gear_id",
        "idempotency_key",
        "notes",
        "provider_id",
        "quantity",
        "start_date",
    ];
    assert_eq!(reply.invalid_fields(), all);

    let wrong = json!({
        "provider_id": 1, "gear_id": null, "quantity": 1.5, "start_date": null, "end_date": ["x"],
        "idempotency_key": {}, "notes": 5, "customer": {"email": 7}, "amount_total_minor": -1,
    });
    let all = [
        "amount_total_minor",
        "customer.email",
        "customer.name",
        "end_date",
        "gear_id",
        "idempotency_key",
        "notes",
        "provider_id",
        "quantity",
        "start_date",
    ];
    assert_wrong(&shop, &wrong, &all).await?;
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn a_missing_field_is_named() -> Result<()> {
    let shop = Shop::open().await?;
    for field in ["provider_id", "gear_id", "start_date", "end_date", "idempotency_key"] {
        assert_wrong(&shop, &json!({field: null}), &[field]).await?;
    }
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn a_field_of_another_type_or_shape_is_named() -> Result<()> {
    let shop = Shop::open().await?;
    let cases = [
        ("provider_id", json!(7)),
        ("provider_id", json!("ridge")),
        ("provider_id", json!("{00000000-0000-4000-8000-000000000001}")),
        ("gear_id", json!(["00000000-0000-4000-8000-000000000001"])),
        ("start_date", json!(1_798_707_600)),
        ("start_date", json!("2031-02-10")),
        ("start_date", json!("2031-02-10T09:00:00")),
        ("end_date", json!("2031-02-30T09:00:00+01:00")),
        ("end_date", json!("tomorrow")),
        ("end_date", json!(true)),
        ("idempotency_key", json!(7)),
        ("idempotency_key", json!("")),
        ("idempotency_key", json!("with space")),
        ("idempotency_key", json!("k".repeat(256))),
        ("notes", json!("n".repeat(1001))),
        ("notes", json!("a\u{0}b")),
        ("customer", json!("Jana")),
        ("amount_total_minor", json!(100_000_000)),
        ("amount_total_minor", json!("500")),
    ];
    for (field, value) in cases {
        assert_wrong(&shop, &json!({field: value}), &[field]).await?;
    }
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn a_quantity_is_a_whole_number_from_one() -> Result<()> {
    let shop = Shop::open().await?;
    for quantity in
        [json!(0), json!(-1), json!(2_147_483_648_i64), json!(1.5), json!("2"), json!(1e30), json!([])]
    {
        assert_wrong(&shop, &json!({"quantity": quantity}), &["quantity"]).await?;
    }
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn lines_are_checked_one_by_one() -> Result<()> {
    let shop = Shop::open().await?;
    let lines = json!([
        {"gear_id": shop.gear_id, "quantity": 1}, {"gear_id": "x", "quantity": 0}, {"quantity": 2}, 5,
    ]);
    let wrong = ["lines[1].gear_id", "lines[1].quantity", "lines[2].gear_id", "lines[3]"];
    assert_wrong(&shop, &json!({"gear_id": null, "lines": lines}), &wrong).await?;
    assert_wrong(&shop, &json!({"gear_id": null, "lines": []}), &["lines"]).await?;
    assert_wrong(&shop, &json!({"gear_id": null, "lines": {}}), &["lines"]).await?;
    let many = vec![json!({"gear_id": shop.gear_id}); 51];
    assert_wrong(&shop, &json!({"gear_id": null, "lines": many}), &["lines"]).await?;
    assert_wrong(&shop, &json!({"lines": [{"gear_id": shop.gear_id}]}), &["lines"]).await?;
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn a_window_that_is_empty_or_reversed_is_refused() -> Result<()> {
    let shop = Shop::open().await?;
    assert_wrong(&shop, &json!({"end_date": in_days(30)}), &["end_date"]).await?;
    assert_wrong(&shop, &json!({"end_date": in_days(29)}), &["end_date"]).await?;
    let past_and_reversed = json!({"start_date": in_days(-3), "end_date": in_days(-4)});
    assert_wrong(&shop, &past_and_reversed, &["end_date", "start_date"]).await?;
    assert_nothing_was_written(&shop).await
}

#[tokio::test]
async fn a_window_in_the_past_is_refused() -> Result<()> {
    let shop = Shop::open().await?;
    let a_second_ago = Timestamp::now().checked_sub(SignedDuration::from_secs(1))?;
    for changes in
        [json!({"start_date": a_second_ago}), json!({"start_date": in_days(-3), "end_date": in_days(-2)})]
    {
        let reply = answer(&shop, &good_call(&shop)?.patch(&changes)?).await?;
        ensure_problem(&reply, 400, "lead_time_too_short", &changes.to_string())?;
        assert_eq!(reply.invalid_fields(), ["start_date"], "{changes}");
    }
    assert_eq!(shop.count("reservations").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_request_repeated_after_its_window_began_gets_the_first_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let begins_soon = Timestamp::now().checked_add(SignedDuration::from_millis(1500))?;
    let call = good_call(&shop)?.patch(&json!({"start_date": begins_soon}))?;
    let first = answer(&shop, &call).await?;
    assert_eq!(first.status, 201, "{first:?}");
    test_support::wait_until("the window begins", async || Ok(Timestamp::now() > begins_soon)).await?;
    let second = answer(&shop, &call).await?;
    assert_eq!((second.status, &second.body), (201, &first.body));
    Ok(())
}

#[tokio::test]
async fn a_window_of_ten_years_is_refused() -> Result<()> {
    let shop = Shop::open().await?;
    assert_wrong(&shop, &json!({"end_date": in_days(30 + 3650)}), &["end_date"]).await?;
    assert_wrong(&shop, &json!({"end_date": "9999-12-31T23:59:59Z"}), &["end_date"]).await?;
    assert_nothing_was_written(&shop).await
}
