//! The decision on availability compared with counting minute by minute.

use anyhow::{Context, Result};
use jiff::SignedDuration;
use kitloop::domain::{Booking, Period};
use kitloop::error::Code;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use test_support::{Gear, booking, reserve};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::shop::{Shop, hours_ahead, refused};

/// The window that rentals and requests are in.
const MINUTES: i64 = 30;
const CASES: u32 = 300;

/// Somebody's rental, from and to in minutes.
#[derive(Debug, Clone)]
struct Rental {
    from: i64,
    to: i64,
    quantity: i32,
    has_lapsed: bool,
}

#[derive(Debug, Clone)]
struct Case {
    quantity_total: i32,
    buffer_minutes: i32,
    rentals: Vec<Rental>,
    request: Rental,
}

fn rentals() -> impl Strategy<Value = Rental> {
    (0..MINUTES, 1..=12_i64, 1..=3_i32, any::<bool>()).prop_map(|(from, length, quantity, has_lapsed)| {
        Rental { from, to: from + length, quantity, has_lapsed }
    })
}

fn cases() -> impl Strategy<Value = Case> {
    (1..=8_i32, 0..=4_i32, vec(rentals(), 0..10), rentals()).prop_map(
        |(quantity_total, buffer_minutes, rentals, request)| Case {
            quantity_total,
            buffer_minutes,
            rentals,
            request,
        },
    )
}

impl Case {
    /// The most pieces in use in any minute that the request would block.
    fn peak_use(&self) -> i64 {
        let buffer = i64::from(self.buffer_minutes);
        let in_use = |minute: i64| {
            self.rentals
                .iter()
                .filter(|it| !it.has_lapsed && it.from <= minute && minute < it.to + buffer)
                .map(|it| i64::from(it.quantity))
                .sum()
        };
        (self.request.from..self.request.to + buffer).map(in_use).max().unwrap_or(0)
    }

    fn fits(&self) -> bool {
        self.peak_use() + i64::from(self.request.quantity) <= i64::from(self.quantity_total)
    }
}

async fn decide(shop: &Shop, case: &Case) -> Result<(i64, bool)> {
    let gear =
        Gear { quantity_total: case.quantity_total, buffer_minutes: case.buffer_minutes, ..Gear::default() }
            .insert(&shop.database, shop.provider)
            .await?;
    for rental in &case.rentals {
        write(shop, gear, case.buffer_minutes, rental).await?;
    }
    let minute = |minute| anyhow::Ok(hours_ahead(0)?.checked_add(SignedDuration::from_mins(minute))?);
    let (start, end) = (minute(case.request.from)?, minute(case.request.to)?);
    let sql = "select kitloop.peak_use($1, kitloop.blocked_range($2, $3, $4), clock_timestamp())";
    let peak = shop.database.value(sql, &[&gear, &start, &end, &case.buffer_minutes]).await?;
    let request = booking(shop.provider, gear, case.request.quantity)?;
    let request = Booking { period: Period::new(start, end)?, ..request };
    match reserve(&shop.db, Uuid::new_v4(), &request).await {
        Ok(_) => Ok((peak, true)),
        outcome => {
            let code = refused(outcome)?;
            anyhow::ensure!(code == Code::InsufficientAvailability, "{code:?}");
            Ok((peak, false))
        }
    }
}

/// A hold written as it is, whether it fits or not.
async fn write(shop: &Shop, gear: Uuid, buffer_minutes: i32, rental: &Rental) -> Result<()> {
    let start = hours_ahead(0)?;
    let from = start.checked_add(SignedDuration::from_mins(rental.from))?;
    let to = start.checked_add(SignedDuration::from_mins(rental.to))?;
    let reserved_until = if rental.has_lapsed { "-1 minute" } else { "1 hour" };
    let sql = "insert into public.reservations
            (provider_id, customer_id, period, reserved_until, amount_total_minor, currency)
        select $1, c.id, tstzrange($2, $3), now() + $4::text::interval, 0, 'CZK' from public.customers c limit 1
        returning id";
    let id: Uuid = shop.database.value(sql, &[&shop.provider, &from, &to, &reserved_until]).await?;
    let sql =
        "insert into public.reservation_lines (reservation_id, gear_id, quantity, unit_price_minor, blocked)
        values ($1, $2, $3, 0, kitloop.blocked_range($4, $5, $6))";
    shop.database.execute(sql, &[&id, &gear, &rental.quantity, &from, &to, &buffer_minutes]).await?;
    Ok(())
}

#[test]
fn peak_use_and_decision_agree_with_counting_minute_by_minute() -> Result<()> {
    let runtime = Runtime::new()?;
    let shop = runtime.block_on(Shop::open())?;
    let customer = "insert into public.customers (user_id) values (gen_random_uuid())";
    runtime.block_on(shop.database.execute(customer, &[]))?;
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    runner
        .run(&cases(), |case| {
            let decided = runtime.block_on(decide(&shop, &case));
            let decided = decided.map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
            proptest::prop_assert_eq!(decided, (case.peak_use(), case.fits()));
            Ok(())
        })
        .context("the database and the model disagree")
}
