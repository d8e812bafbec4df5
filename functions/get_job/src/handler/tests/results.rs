//! Exports: whose reservations are in them, and which.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use kitloop::domain::Period;
use serde_json::{Value, json};
use test_support::{Gear, Provider, Shop, in_days, reserve};
use uuid::Uuid;

use super::exported;

/// Two shops and two customers, each of whom has a hold in both.
struct Street {
    shop: Shop,
    /// The other shop.
    elsewhere: Uuid,
    /// The other customer.
    other_customer: Uuid,
    /// By customer, then by shop.
    holds: [[Uuid; 2]; 2],
}

impl Street {
    async fn open() -> Result<Self> {
        let shop = Shop::open().await?;
        let elsewhere = Provider::default().insert(&shop.database).await?;
        let other_customer = Uuid::new_v4();
        let mut holds = [[Uuid::nil(); 2]; 2];
        for (of_customer, user_id) in holds.iter_mut().zip([shop.customer_id, other_customer]) {
            for (hold, provider_id) in of_customer.iter_mut().zip([shop.provider_id, elsewhere]) {
                let gear_id = Gear::of(2).insert(&shop.database, provider_id).await?;
                let booking = test_support::booking(provider_id, gear_id, 2)?;
                *hold = reserve(&shop.database.db()?, user_id, &booking).await?.reservation_id.0;
            }
        }
        let names =
            "update public.customers set name = 'Jana', email = 'jana@example.com' where user_id = $1";
        shop.database.execute(names, &[&shop.customer_id]).await?;
        Ok(Self { shop, elsewhere, other_customer, holds })
    }
}

/// The content of an export in JSON.
fn content(result: &Value) -> Result<Vec<Value>> {
    Ok(serde_json::from_str(result["content"].as_str().context("no content")?)?)
}

/// Which reservations an export in JSON has, sorted.
fn reservations(result: &Value) -> Result<Vec<Uuid>> {
    let ids = content(result)?.into_iter().map(|reservation| reservation["reservation_id"].clone());
    let mut ids: Vec<Uuid> = ids.map(serde_json::from_value).collect::<Result<_, _>>()?;
    ids.sort_unstable();
    Ok(ids)
}

fn sorted<const N: usize>(mut ids: [Uuid; N]) -> [Uuid; N] {
    ids.sort_unstable();
    ids
}

async fn start_of(shop: &Shop, reservation_id: Uuid) -> Result<Timestamp> {
    let sql = "select lower(period) from public.reservations where id = $1";
    shop.database.value(sql, &[&reservation_id]).await
}

fn instant(value: &Value) -> Result<Timestamp> {
    Ok(value.as_str().context("no instant")?.parse()?)
}

#[tokio::test]
async fn a_customer_gets_their_own_reservations_of_all_shops_and_nobody_elses() -> Result<()> {
    let Street { shop, other_customer, holds: [own, others], .. } = Street::open().await?;
    let json = json!({"format": "json"});
    let result = exported(&shop, shop.customer_id, None, &json).await?;
    assert_eq!(reservations(&result)?, sorted(own));
    assert_eq!(reservations(&exported(&shop, other_customer, None, &json).await?)?, sorted(others));
    // Who works at a shop has no reservations by that.
    let staff = exported(&shop, shop.staff_id, None, &json).await?;
    assert_eq!((&staff["reservations"], &staff["content"]), (&json!(0), &json!("[]")));
    Ok(())
}

#[tokio::test]
async fn staff_gets_the_reservations_of_their_shop_and_of_no_other() -> Result<()> {
    let Street { shop, elsewhere, holds: [[own, own_elsewhere], [others, others_elsewhere]], .. } =
        Street::open().await?;
    let json = json!({"format": "json"});
    let result = exported(&shop, shop.staff_id, Some(shop.provider_id), &json).await?;
    assert_eq!(reservations(&result)?, sorted([own, others]));
    let manager = Uuid::new_v4();
    shop.database.add_member(elsewhere, manager, "manager").await?;
    let result = exported(&shop, manager, Some(elsewhere), &json).await?;
    assert_eq!(reservations(&result)?, sorted([own_elsewhere, others_elsewhere]));
    Ok(())
}

#[tokio::test]
async fn an_export_in_json_tells_of_each_reservation_with_its_money() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    shop.refund(reservation_id, 10_000).await?;
    shop.work_off().await?;
    let result = exported(&shop, shop.customer_id, None, &json!({"format": "json"})).await?;
    let about = ["file_name", "content_type", "reservations"].map(|member| result[member].clone());
    assert_eq!(about, [json!("reservations.json"), json!("application/json"), json!(1)]);
    let reservation = content(&result)?.swap_remove(0);
    let line = json!({"gear_id": shop.gear_id, "name": "Touring skis", "quantity": 1});
    for (member, expected) in [
        ("reservation_id", json!(reservation_id)),
        ("provider_id", json!(shop.provider_id)),
        ("provider_name", json!("Snowline")),
        ("status", json!("confirmed")),
        ("cancel_reason", Value::Null),
        ("lines", json!([line])),
        ("amount_total_minor", json!(250_000)),
        ("currency", json!("CZK")),
        ("captured_minor", json!(250_000)),
        ("credited_minor", json!(10_000)),
        ("order_number", json!(1)),
    ] {
        assert_eq!(reservation[member], expected, "{member}");
    }
    let start = start_of(&shop, reservation_id).await?;
    let end = start.checked_add(SignedDuration::from_hours(24))?;
    assert_eq!((instant(&reservation["start_date"])?, instant(&reservation["end_date"])?), (start, end));
    instant(&reservation["paid_at"])?;
    Ok(())
}

#[tokio::test]
async fn an_export_in_csv_has_a_line_for_each_reservation() -> Result<()> {
    let Street { shop, holds: [own, others], .. } = Street::open().await?;
    let result = exported(&shop, shop.customer_id, None, &json!({"format": "csv"})).await?;
    let about = ["file_name", "content_type", "reservations"].map(|member| result[member].clone());
    assert_eq!(about, [json!("reservations.csv"), json!("text/csv; charset=utf-8"), json!(2)]);
    let content = result["content"].as_str().context("no content")?;
    let lines: Vec<&str> = content.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 3, "{content}");
    assert!(lines[0].starts_with("reservation_id,provider_id,provider_name,status,"), "{content}");
    for hold in own {
        let line = lines.iter().find(|line| line.starts_with(&hold.to_string())).context("not there")?;
        assert!(
            line.contains(",Snowline,hold,") && line.contains(",2 x Touring skis,100000,CZK,0,0,"),
            "{line}"
        );
        assert!(line.contains(",Jana,jana@example.com,"), "{line}");
    }
    assert!(others.iter().all(|other| !content.contains(&other.to_string())), "{content}");
    Ok(())
}

#[tokio::test]
async fn an_export_has_what_meets_the_time_asked_for() -> Result<()> {
    let shop = Shop::open().await?;
    let held = shop.hold().await?;
    let start = start_of(&shop, held).await?;
    // It lasts from day 0 to day 1: what only touches it does not meet it.
    for (from, to, meets) in [
        (None, None, true),
        (Some(-1), Some(0), false),
        (Some(-1), Some(1), true),
        (Some(0), Some(1), true),
        (Some(1), Some(2), false),
        (None, Some(0), false),
        (Some(1), None, false),
        (Some(0), None, true),
    ] {
        let mut input = json!({"format": "json"});
        for (member, day) in [("from", from), ("to", to)] {
            if let Some(day) = day {
                input[member] = json!(start.checked_add(SignedDuration::from_hours(24 * day))?);
            }
        }
        let result = exported(&shop, shop.customer_id, None, &input).await?;
        let expected: &[Uuid] = if meets { &[held] } else { &[] };
        assert_eq!(reservations(&result)?, expected, "{input}");
    }
    Ok(())
}

#[tokio::test]
async fn what_starts_first_comes_first() -> Result<()> {
    let shop = Shop::open().await?;
    let mut booking = shop.booking()?;
    let mut made = Vec::new();
    for day in [3, 1, 2] {
        booking.period = Period::new(in_days(day), in_days(day + 1))?;
        made.push(reserve(&shop.database.db()?, shop.customer_id, &booking).await?.reservation_id.0);
    }
    let result = exported(&shop, shop.customer_id, None, &json!({"format": "json"})).await?;
    let exported = content(&result)?;
    let order: Vec<&Value> = exported.iter().map(|reservation| &reservation["reservation_id"]).collect();
    assert_eq!(order, [&json!(made[1]), &json!(made[2]), &json!(made[0])]);
    Ok(())
}
