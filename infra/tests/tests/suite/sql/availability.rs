//! What fits beside what: peak use, edges, turnaround, several lines, and what has stopped counting.

use anyhow::Result;
use kitloop::domain::Booking;
use kitloop::error::{Code, Error};
use serde_json::json;
use test_support::{Gear, Provider, TestDatabase, booking, reserve};
use uuid::Uuid;

use super::shop::{Shop, booking_of, refused};

async fn shop_with(gear: &Gear) -> Result<Shop> {
    Shop::open_with(&Provider::default(), gear).await
}

/// Takes the hours for a new customer, or says why not.
async fn book(shop: &Shop, from_hour: i64, to_hour: i64) -> Result<Result<(), Code>> {
    match reserve(&shop.db, Uuid::new_v4(), &shop.booking_for(from_hour, to_hour)?).await {
        Ok(_) => Ok(Ok(())),
        outcome => Ok(Err(refused(outcome)?)),
    }
}

const SOLD_OUT: Result<(), Code> = Err(Code::InsufficientAvailability);

#[tokio::test]
async fn the_worst_instant_counts_and_not_the_sum_of_all_rentals() -> Result<()> {
    let shop = shop_with(&Gear::of(2)).await?;
    for (from, to) in [(0, 24), (24, 48), (48, 72)] {
        assert_eq!(book(&shop, from, to).await?, Ok(()));
    }
    assert_eq!(
        book(&shop, 0, 72).await?,
        Ok(()),
        "three pieces are out over the window, but never two at once"
    );
    assert_eq!(book(&shop, 23, 25).await?, SOLD_OUT);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_rental_may_begin_the_instant_another_ends() -> Result<()> {
    let shop = Shop::open().await?;
    assert_eq!(book(&shop, 24, 48).await?, Ok(()));
    assert_eq!(book(&shop, 48, 72).await?, Ok(()));
    assert_eq!(book(&shop, 0, 24).await?, Ok(()));
    assert_eq!(book(&shop, 47, 48).await?, SOLD_OUT);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn turnaround_follows_every_rental_on_both_sides() -> Result<()> {
    let shop = shop_with(&Gear { buffer_minutes: 120, ..Gear::default() }).await?;
    assert_eq!(book(&shop, 24, 48).await?, Ok(()));
    assert_eq!(book(&shop, 49, 60).await?, SOLD_OUT, "the piece is still being turned around");
    assert_eq!(book(&shop, 12, 23).await?, SOLD_OUT, "it would not be turned around in time");
    assert_eq!(book(&shop, 50, 60).await?, Ok(()));
    assert_eq!(book(&shop, 12, 22).await?, Ok(()));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn all_lines_are_held_or_none() -> Result<()> {
    let shop = Shop::open().await?;
    let rafts = Gear::of(2).insert(&shop.database, shop.provider).await?;
    let both = booking_of(shop.provider, &[(shop.gear, 1), (rafts, 3)])?;
    let Err(Error::Refused(refusal)) = reserve(&shop.db, Uuid::new_v4(), &both).await else {
        anyhow::bail!("three rafts of two were reserved");
    };
    assert_eq!(refusal.code, Code::InsufficientAvailability);
    assert_eq!(
        refusal.details.get("lines"),
        Some(&json!([{"gear_id": rafts, "requested": 3, "available": 2}])),
        "only what is short is named"
    );
    assert_eq!(shop.database.value::<i64>("select count(*) from public.reservation_lines", &[]).await?, 0);
    assert_eq!(shop.database.value::<i64>("select count(*) from public.reservations", &[]).await?, 0);
    let reserved =
        reserve(&shop.db, Uuid::new_v4(), &booking_of(shop.provider, &[(shop.gear, 1), (rafts, 2)])?).await?;
    assert_eq!(reserved.lines.len(), 2);
    Ok(())
}

#[tokio::test]
async fn two_lines_of_one_item_are_added_up() -> Result<()> {
    let shop = shop_with(&Gear::of(3)).await?;
    let gear = shop.gear;
    let four = booking_of(shop.provider, &[(gear, 2), (gear, 2)])?;
    assert_eq!(refused(reserve(&shop.db, Uuid::new_v4(), &four).await)?, Code::InsufficientAvailability);
    let three = booking_of(shop.provider, &[(gear, 2), (gear, 1)])?;
    let reserved = reserve(&shop.db, Uuid::new_v4(), &three).await?;
    assert_eq!(reserved.lines.iter().map(|line| line.quantity).collect::<Vec<_>>(), [3]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn quantities_that_overflow_when_added_up_are_refused() -> Result<()> {
    let shop = Shop::open().await?;
    let huge = booking_of(shop.provider, &[(shop.gear, i32::MAX), (shop.gear, i32::MAX)])?;
    let outcome = reserve(&shop.db, Uuid::new_v4(), &huge).await;
    assert_eq!(refused(outcome)?, Code::InsufficientAvailability);
    Ok(())
}

#[tokio::test]
async fn a_lapsed_hold_frees_its_stock_before_any_sweep() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    assert_eq!(
        refused(reserve(&shop.db, Uuid::new_v4(), &booking(shop.provider, shop.gear, 1)?).await)?,
        Code::InsufficientAvailability
    );
    shop.database.lapse(hold.id.0).await?;
    shop.hold().await?;
    assert_eq!(shop.state(&hold).await?, "hold", "nobody has swept it");
    shop.database.assert_consistent().await
}

/// How a hold comes to each state.
const PATHS: [(&str, &[&str], bool); 8] = [
    ("hold", &[], true),
    ("authorized", &["authorized"], true),
    ("confirmed", &["confirmed"], true),
    ("active", &["confirmed", "active"], true),
    ("completed", &["confirmed", "active", "completed"], false),
    ("expired", &["expired"], false),
    ("cancelled", &["cancelled"], false),
    ("no_show", &["confirmed", "no_show"], false),
];

#[tokio::test]
async fn stock_is_in_use_only_while_a_reservation_is_alive() -> Result<()> {
    let shop = Shop::open().await?;
    for (index, (state, path, blocks)) in (0_i64..).zip(PATHS) {
        let (from, to) = (index * 24, index * 24 + 24);
        let reserved = reserve(&shop.db, Uuid::new_v4(), &shop.booking_for(from, to)?).await?;
        for next in path {
            let sql = "update public.reservations set status = $2,
                cancel_reason = case $2 when 'cancelled' then 'customer' end where id = $1";
            shop.database.execute(sql, &[&reserved.reservation_id.0, next]).await?;
        }
        assert_eq!(shop.database.status(reserved.reservation_id.0).await?, state);
        assert_eq!(book(&shop, from, to).await?, if blocks { SOLD_OUT } else { Ok(()) }, "{state}");
    }
    let violations = shop.database.violations().await?;
    assert!(violations.iter().all(|one| one.starts_with("confirmed_without_payment")), "{violations:#?}");
    Ok(())
}

#[tokio::test]
async fn the_own_lines_of_a_reservation_do_not_stand_in_its_way() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let sql = "select kitloop.peak_use(l.gear_id, l.blocked, clock_timestamp(), $2)
        from public.reservation_lines l where l.reservation_id = $1";
    assert_eq!(shop.database.value::<i64>(sql, &[&hold.id.0, &hold.id.0]).await?, 0);
    assert_eq!(shop.database.value::<i64>(sql, &[&hold.id.0, &Uuid::nil()]).await?, 1);
    Ok(())
}

#[tokio::test]
async fn archived_and_foreign_gear_is_not_found() -> Result<()> {
    let shop = Shop::open().await?;
    let elsewhere = Provider::default().insert(&shop.database).await?;
    let foreign = Gear::default().insert(&shop.database, elsewhere).await?;
    let try_booking = async |booking: Booking| refused(reserve(&shop.db, Uuid::new_v4(), &booking).await);
    assert_eq!(try_booking(booking(shop.provider, foreign, 1)?).await?, Code::GearNotFound);
    assert_eq!(try_booking(booking(shop.provider, Uuid::new_v4(), 1)?).await?, Code::GearNotFound);
    assert_eq!(
        try_booking(booking_of(shop.provider, &[(shop.gear, 1), (foreign, 1)])?).await?,
        Code::GearNotFound,
        "one good line does not help"
    );
    shop.database.execute("update public.gear_items set archived_at = now()", &[]).await?;
    assert_eq!(try_booking(booking(shop.provider, shop.gear, 1)?).await?, Code::GearNotFound);
    assert_eq!(try_booking(booking(Uuid::new_v4(), shop.gear, 1)?).await?, Code::ProviderNotFound);
    Ok(())
}

#[tokio::test]
async fn the_check_reads_the_index_and_only_the_lines_that_it_needs() -> Result<()> {
    let database = TestDatabase::create().await?;
    let provider = Provider::default().insert(&database).await?;
    let gear = Gear::of(1_000).insert(&database, provider).await?;
    write_many_lines(&database, provider).await?;
    let indexes = "select coalesce(sum(idx_scan), 0)::bigint from pg_stat_user_indexes
        where indexrelname = 'reservation_lines_blocking'";
    let (scans, reads) = (database.value::<i64>(indexes, &[]).await?, lines_read(&database).await?);
    let window = booking(provider, gear, 1)?.period;
    let sql = "select kitloop.peak_use($1, tstzrange($2, $3), clock_timestamp())";
    let first: Uuid = database.value("select gear_id from public.reservation_lines limit 1", &[]).await?;
    database.value::<i64>(sql, &[&first, &window.start(), &window.end()]).await?;
    database.admin.query("select pg_stat_force_next_flush()", &[]).await?;
    assert_eq!(database.value::<i64>(indexes, &[]).await?, scans + 1);
    let read = lines_read(&database).await? - reads;
    assert!(read <= 10, "{read} lines read for a window with two of them");
    Ok(())
}

/// 100 items with 200 live rentals each, one a day, and as many that are over.
async fn write_many_lines(database: &TestDatabase, provider: Uuid) -> Result<()> {
    let sql = "with items as (
            insert into public.gear_items (provider_id, name, quantity_total, day_price_minor)
            select $1, 'Item ' || n, 1, 100 from generate_series(1, 100) n returning id
        ), customer as (
            insert into public.customers (user_id) values (gen_random_uuid()) returning id
        ), rentals as (
            insert into public.reservations (provider_id, customer_id, status, period, reserved_until,
                amount_total_minor, currency, paid_at)
            select $1, c.id, case n % 2 when 0 then 'confirmed' else 'completed' end,
                tstzrange(now() + make_interval(days => n / 2), now() + make_interval(days => n / 2 + 1)),
                now(), 100, 'CZK', now()
            from customer c, generate_series(1, 400) n returning id, period
        )
        insert into public.reservation_lines (reservation_id, gear_id, quantity, unit_price_minor, blocked)
        select r.id, i.id, 1, 100, r.period from rentals r, items i";
    database.execute(sql, &[&provider]).await?;
    // The trigger could not see the reservations of its own statement.
    let sql = "update public.reservation_lines l set blocks_until = kitloop.blocks_until(r.status, r.reserved_until)
        from public.reservations r where r.id = l.reservation_id";
    database.execute(sql, &[]).await?;
    database.admin.batch_execute("vacuum analyze public.reservation_lines").await?;
    database.admin.query("select pg_stat_force_next_flush()", &[]).await?;
    Ok(())
}

/// How many rows of the lines were read in all, by whatever way.
async fn lines_read(database: &TestDatabase) -> Result<i64> {
    let sql = "select (seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_user_tables
        where relname = 'reservation_lines'";
    database.value(sql, &[]).await
}
