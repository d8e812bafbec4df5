//! Bookings that are understood, and refused.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{Gear, Provider, Shop, TestApp, in_days};
use uuid::Uuid;

use super::{answer, good_call};

/// Fails unless a request that differs from a good one in this way is refused like this, taking nothing.
async fn assert_refused(shop: &Shop, changes: &Value, status: u16, code: &str) -> Result<()> {
    let before = shop.count("reservation_lines").await?;
    let reply = answer(shop, &good_call(shop)?.patch(changes)?).await?;
    ensure_problem(&reply, status, code, &changes.to_string())?;
    assert_eq!(shop.count("reservation_lines").await?, before, "{changes}");
    Ok(())
}

#[tokio::test]
async fn unknown_archived_and_foreign_gear_is_not_found() -> Result<()> {
    let shop = Shop::open().await?;
    let other_provider = Provider::default().insert(&shop.database).await?;
    let foreign = Gear::of(9).insert(&shop.database, other_provider).await?;
    let archived = Gear::of(9).insert(&shop.database, shop.provider_id).await?;
    let archive = "update public.gear_items set archived_at = now() where id = $1";
    shop.database.execute(archive, &[&archived]).await?;

    for gear_id in [Uuid::new_v4(), foreign, archived] {
        assert_refused(&shop, &json!({"gear_id": gear_id}), 404, "gear_not_found").await?;
        // All lines or none: the good one beside it is not taken either.
        let lines = json!([{"gear_id": shop.gear_id}, {"gear_id": gear_id}]);
        assert_refused(&shop, &json!({"gear_id": null, "lines": lines}), 404, "gear_not_found").await?;
    }
    assert_refused(&shop, &json!({"provider_id": Uuid::new_v4()}), 404, "provider_not_found").await
}

#[tokio::test]
async fn a_refusal_for_stock_says_what_is_left() -> Result<()> {
    let shop = Shop::open().await?;
    shop.hold_by(Uuid::new_v4()).await?;
    let ropes = Gear::of(3).insert(&shop.database, shop.provider_id).await?;
    let lines = json!([
        {"gear_id": shop.gear_id, "quantity": 1}, {"gear_id": ropes, "quantity": 2}, {"gear_id": ropes, "quantity": 2},
    ]);
    let reply = answer(&shop, &good_call(&shop)?.patch(&json!({"gear_id": null, "lines": lines}))?).await?;
    ensure_problem(&reply, 409, "insufficient_availability", "stock")?;
    let mut short: Vec<&Value> = reply.at("/lines").as_array().into_iter().flatten().collect();
    short.sort_by_key(|line| line["requested"].as_i64());
    assert_eq!(
        short,
        [
            &json!({"gear_id": shop.gear_id, "requested": 1, "available": 0}),
            &json!({"gear_id": ropes, "requested": 4, "available": 3}),
        ]
    );
    assert_eq!(shop.count("reservations").await?, 1);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_lapsed_hold_does_not_stand_in_the_way() -> Result<()> {
    let shop = Shop::open().await?;
    let lapsed = shop.hold_by(Uuid::new_v4()).await?;
    assert_refused(&shop, &json!({}), 409, "insufficient_availability").await?;
    shop.database.lapse(lapsed).await?;
    let reply = answer(&shop, &good_call(&shop)?).await?;
    assert_eq!((reply.status, reply.at("/status")), (201, &json!("hold")));
    assert_eq!(shop.database.status(lapsed).await?, "hold", "only the sweep marks it");
    Ok(())
}

#[tokio::test]
async fn a_period_against_the_providers_rules_names_the_date_that_is_wrong() -> Result<()> {
    let rules = Provider {
        lead_minutes: 2 * 24 * 60,
        horizon_days: 60,
        min_duration_minutes: 24 * 60,
        max_duration_minutes: 7 * 24 * 60,
        ..Provider::default()
    };
    let shop = Shop::open_with(TestApp::start().await?, &rules).await?;
    let cases = [
        (in_days(1), in_days(3), "lead_time_too_short", "start_date"),
        (in_days(61), in_days(63), "beyond_horizon", "start_date"),
        (in_days(3661), in_days(3663), "beyond_horizon", "start_date"),
        (in_days(30), in_days(31) - jiff::SignedDuration::from_mins(1), "duration_too_short", "end_date"),
        (in_days(30), in_days(38), "duration_too_long", "end_date"),
    ];
    for (start, end, code, field) in cases {
        let changes = json!({"start_date": start, "end_date": end});
        let reply = answer(&shop, &good_call(&shop)?.patch(&changes)?).await?;
        ensure_problem(&reply, 400, code, code)?;
        assert_eq!(reply.invalid_fields(), [field]);
    }
    assert_eq!(shop.count("reservations").await?, 0);
    let longest = json!({"start_date": in_days(59), "end_date": in_days(66)});
    assert_eq!(answer(&shop, &good_call(&shop)?.patch(&longest)?).await?.status, 201);
    Ok(())
}

#[tokio::test]
async fn open_holds_are_limited_per_customer_and_lapsed_ones_do_not_count() -> Result<()> {
    let rules = Provider { max_open_holds: Some(1), ..Provider::default() };
    let shop = Shop::open_with(TestApp::start().await?, &rules).await?;
    let first = shop.hold().await?;
    let later = json!({"start_date": in_days(40), "end_date": in_days(41)});
    let reply = answer(&shop, &good_call(&shop)?.patch(&later)?).await?;
    ensure_problem(&reply, 409, "too_many_open_holds", "one too many")?;
    assert_eq!(reply.at("/max_open_holds"), &json!(1));

    let other_customer = good_call(&shop)?.patch(&later)?.by(Uuid::new_v4())?;
    assert_eq!(answer(&shop, &other_customer).await?.status, 201);
    shop.database.lapse(first).await?;
    let even_later = json!({"start_date": in_days(50), "end_date": in_days(51)});
    assert_eq!(answer(&shop, &good_call(&shop)?.patch(&even_later)?).await?.status, 201);
    Ok(())
}
