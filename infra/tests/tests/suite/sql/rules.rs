//! What a provider allows, what a rental costs, and who may set what.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use kitloop::db::{ReserveRequest, Reserved, reserve_gear};
use kitloop::domain::{Actor, Booking, Contact, Period};
use kitloop::error::{Code, Error};
use serde_json::json;
use test_support::{Gear, Provider, actor, booking, in_days, reserve};
use uuid::Uuid;

use super::shop::{Shop, admin, hours_ahead, refused};

async fn shop_of(provider: &Provider) -> Result<Shop> {
    Shop::open_with(provider, &Gear::of(100)).await
}

async fn book(shop: &Shop, start: Timestamp, end: Timestamp) -> Result<Result<(), Code>> {
    let wanted = Booking { period: Period::new(start, end)?, ..booking(shop.provider, shop.gear, 1)? };
    match reserve(&shop.db, Uuid::new_v4(), &wanted).await {
        Ok(_) => Ok(Ok(())),
        outcome => Ok(Err(refused(outcome)?)),
    }
}

fn in_minutes(minutes: i64) -> Result<Timestamp> {
    Ok(Timestamp::now().checked_add(SignedDuration::from_mins(minutes))?)
}

#[tokio::test]
async fn a_period_starts_neither_too_soon_nor_too_late() -> Result<()> {
    let shop = shop_of(&Provider { lead_minutes: 60, horizon_days: 10, ..Provider::default() }).await?;
    let end = in_days(11);
    assert_eq!(book(&shop, in_minutes(-60)?, end).await?, Err(Code::LeadTimeTooShort));
    assert_eq!(book(&shop, in_minutes(59)?, end).await?, Err(Code::LeadTimeTooShort));
    assert_eq!(book(&shop, in_minutes(61)?, end).await?, Ok(()));
    assert_eq!(book(&shop, in_minutes(10 * 24 * 60 - 1)?, end).await?, Ok(()));
    assert_eq!(book(&shop, in_minutes(10 * 24 * 60 + 1)?, end).await?, Err(Code::BeyondHorizon));
    Ok(())
}

#[tokio::test]
async fn a_period_is_neither_too_short_nor_too_long() -> Result<()> {
    let limits = Provider { min_duration_minutes: 60, max_duration_minutes: 180, ..Provider::default() };
    let shop = shop_of(&limits).await?;
    let start = in_days(1);
    let lasting = |minutes| anyhow::Ok(start.checked_add(SignedDuration::from_mins(minutes))?);
    assert_eq!(book(&shop, start, lasting(59)?).await?, Err(Code::DurationTooShort));
    assert_eq!(book(&shop, start, lasting(60)?).await?, Ok(()));
    assert_eq!(book(&shop, start, lasting(180)?).await?, Ok(()));
    assert_eq!(book(&shop, start, lasting(181)?).await?, Err(Code::DurationTooLong));
    Ok(())
}

#[tokio::test]
async fn a_customer_has_no_more_open_holds_than_the_provider_allows() -> Result<()> {
    let shop = shop_of(&Provider { max_open_holds: Some(2), ..Provider::default() }).await?;
    let (user, wanted) = (Uuid::new_v4(), booking(shop.provider, shop.gear, 1)?);
    let first = reserve(&shop.db, user, &wanted).await?;
    reserve(&shop.db, user, &wanted).await?;
    let Err(Error::Refused(refusal)) = reserve(&shop.db, user, &wanted).await else {
        anyhow::bail!("a third open hold of two");
    };
    assert_eq!(refusal.code, Code::TooManyOpenHolds);
    assert_eq!(refusal.details.get("max_open_holds"), Some(&json!(2)));
    reserve(&shop.db, Uuid::new_v4(), &wanted).await?;
    shop.database.lapse(first.reservation_id.0).await?;
    reserve(&shop.db, user, &wanted).await?;
    Ok(())
}

#[tokio::test]
async fn a_hold_lasts_as_long_as_the_provider_says() -> Result<()> {
    let shop = shop_of(&Provider { hold_minutes: 7, ..Provider::default() }).await?;
    let hold = shop.hold().await?;
    let sql = "select reserved_until - interval '7 minutes' between created_at and clock_timestamp()
        from public.reservations where id = $1";
    assert!(shop.database.value::<bool>(sql, &[&hold.id.0]).await?);
    Ok(())
}

/// What a period costs for one piece at 500.00 a day.
async fn price(shop: &Shop, start: Timestamp, end: Timestamp) -> Result<i64> {
    let wanted = Booking { period: Period::new(start, end)?, ..booking(shop.provider, shop.gear, 1)? };
    Ok(reserve(&shop.db, Uuid::new_v4(), &wanted).await?.amount_total_minor)
}

#[tokio::test]
async fn every_started_day_is_charged_and_at_least_one() -> Result<()> {
    let shop = shop_of(&Provider { time_zone: "UTC", ..Provider::default() }).await?;
    let start = hours_ahead(0)?;
    let after = |minutes| anyhow::Ok(start.checked_add(SignedDuration::from_mins(minutes))?);
    for (minutes, days) in [(1, 1), (1440, 1), (1441, 2), (2880, 2), (2881, 3)] {
        assert_eq!(price(&shop, start, after(minutes)?).await?, days * 50_000, "{minutes} minutes");
    }
    Ok(())
}

#[tokio::test]
async fn the_hour_that_a_clock_change_gives_or_takes_costs_nothing() -> Result<()> {
    let shop = shop_of(&Provider { time_zone: "Europe/Prague", ..Provider::default() }).await?;
    // From noon to noon over the next such night, wherever in the year we are.
    let sql = "select min(noon) from (
            select (d + time '12:00') at time zone 'Europe/Prague' as noon,
                (d + 1 + time '12:00') at time zone 'Europe/Prague' as next_noon
            from generate_series(1, 400) n, lateral (select current_date + n) as days (d)
        ) nights where next_noon - noon = make_interval(hours => $1)";
    for hours in [23, 25] {
        let noon: Timestamp = shop.database.value(sql, &[&hours]).await?;
        let next_noon = noon.checked_add(SignedDuration::from_hours(hours.into()))?;
        let past_noon = next_noon.checked_add(SignedDuration::from_mins(1))?;
        assert_eq!(price(&shop, noon, next_noon).await?, 50_000, "a day of {hours} hours");
        assert_eq!(price(&shop, noon, past_noon).await?, 100_000, "a day of {hours} hours and a minute");
    }
    Ok(())
}

#[tokio::test]
async fn the_price_is_the_sum_of_the_lines() -> Result<()> {
    let shop = shop_of(&Provider::default()).await?;
    let raft = Gear { day_price_minor: 123, ..Gear::of(9) }.insert(&shop.database, shop.provider).await?;
    let wanted = super::shop::booking_of(shop.provider, &[(shop.gear, 2), (raft, 3)])?;
    let reserved = reserve(&shop.db, Uuid::new_v4(), &wanted).await?;
    assert_eq!((reserved.amount_total_minor, reserved.currency.as_str()), (2 * 50_000 + 3 * 123, "CZK"));
    Ok(())
}

/// Reserves as this actor, under a new key.
async fn reserve_as(
    shop: &Shop,
    actor: Actor,
    profile: &Contact,
    wanted: &Booking,
) -> Result<Reserved, Error> {
    let request = ReserveRequest {
        caller: &format!("user:{}", actor.user_id),
        idempotency_key: &Uuid::new_v4().to_string(),
        request_hash: "hash",
        actor,
        profile,
        booking: wanted,
    };
    reserve_gear(&shop.db, &request).await
}

#[tokio::test]
async fn staff_sets_the_price_and_that_is_audited() -> Result<()> {
    let shop = shop_of(&Provider::default()).await?;
    let cheap = Booking { amount_total_minor: Some(100), ..booking(shop.provider, shop.gear, 1)? };
    let reserved = reserve(&shop.db, shop.staff, &cheap).await?;
    assert_eq!(reserved.amount_total_minor, 100);
    let sql = "select actor || ' ' || action || ' ' || (details ->> 'computed_minor') || ' ' ||
        (details ->> 'amount_total_minor') from public.audit_logs where reservation_id = $1";
    let entry: String = shop.database.value(sql, &[&reserved.reservation_id.0]).await?;
    assert_eq!(entry, format!("user:{} price_override 50000 100", shop.staff));
    let by_admin = reserve_as(&shop, admin(), &Contact::default(), &cheap).await?;
    assert_eq!(by_admin.amount_total_minor, 100);
    Ok(())
}

#[tokio::test]
async fn a_customer_cannot_set_the_price() -> Result<()> {
    let shop = shop_of(&Provider::default()).await?;
    let elsewhere = Provider::default().insert(&shop.database).await?;
    let staff_elsewhere = Uuid::new_v4();
    shop.database.add_member(elsewhere, staff_elsewhere, "owner").await?;
    let cheap = Booking { amount_total_minor: Some(1), ..booking(shop.provider, shop.gear, 1)? };
    for user in [Uuid::new_v4(), staff_elsewhere] {
        assert_eq!(reserve(&shop.db, user, &cheap).await?.amount_total_minor, 50_000);
    }
    assert_eq!(shop.database.value::<i64>("select count(*) from public.audit_logs", &[]).await?, 0);
    Ok(())
}

#[tokio::test]
async fn staff_books_for_somebody_without_an_account_and_nobody_else_does() -> Result<()> {
    let shop = shop_of(&Provider { max_open_holds: Some(1), ..Provider::default() }).await?;
    let guest = Contact { name: Some("Jana".to_owned()), ..Contact::default() };
    let wanted = Booking { walk_in: Some(guest), ..booking(shop.provider, shop.gear, 1)? };
    assert_eq!(refused(reserve(&shop.db, Uuid::new_v4(), &wanted).await)?, Code::Forbidden);
    // Each walk-in is a customer of their own, so the limit on open holds is nobody's.
    for _ in 0..2 {
        reserve(&shop.db, shop.staff, &wanted).await?;
    }
    let sql = "select count(*) from public.customers
        where name = 'Jana' and user_id is null and provider_id = $1";
    assert_eq!(shop.database.value::<i64>(sql, &[&shop.provider]).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_user_is_one_customer_of_the_whole_platform_and_kept_up_to_date() -> Result<()> {
    let shop = shop_of(&Provider::default()).await?;
    let elsewhere = Provider::default().insert(&shop.database).await?;
    let gear = Gear::of(9).insert(&shop.database, elsewhere).await?;
    let user = actor(Uuid::new_v4());
    let profile = |name: Option<&str>, email: Option<&str>| Contact {
        name: name.map(str::to_owned),
        email: email.map(str::to_owned),
        phone: None,
    };
    let here = booking(shop.provider, shop.gear, 1)?;
    reserve_as(&shop, user, &profile(Some("Petr"), Some("old@example.com")), &here).await?;
    let there = booking(elsewhere, gear, 1)?;
    reserve_as(&shop, user, &profile(None, Some("new@example.com")), &there).await?;
    let sql =
        "select array_agg(concat_ws(' ', name, email, provider_id)) from public.customers where user_id = $1";
    let rows: Vec<String> = shop.database.value(sql, &[&user.user_id]).await?;
    assert_eq!(rows, ["Petr new@example.com"], "what the token does not say is kept");
    Ok(())
}
