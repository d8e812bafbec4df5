//! Nothing is promised twice, and nothing that fits is refused.

use anyhow::Result;
use kitloop_tests::{Mistake, Promise};
use test_support::{Gear, TestDatabase};
use uuid::Uuid;

use super::scenario::{Scenario, ask};

/// Two customers want the last piece at the same time: one gets it.
struct OneWins;

impl Promise for OneWins {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        let first = scenario.begin().await?;
        ask(&first, &scenario.reserve()).await?;
        let second = scenario.start(&scenario.reserve()).await?;
        first.batch_execute("commit").await?;
        let answer = second.answer().await?;
        Ok(answer.outcome() == "insufficient_availability" && scenario.is_consistent().await?)
    }
}

/// Two rentals on different days leave one of two pieces for both days.
struct PeakUseCounts;

impl Promise for PeakUseCounts {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open_with(database, &Gear::of(2)).await?;
        for (from_day, to_day) in [(30, 31), (31, 32)] {
            scenario.ask(&scenario.reserve_by(Uuid::new_v4(), "one day", from_day, to_day)).await?;
        }
        let answer = scenario.ask(&scenario.reserve_by(Uuid::new_v4(), "both days", 30, 32)).await?;
        Ok(answer.outcome() == "reserved")
    }
}

/// At the very instant a hold lapses its stock is free, because it can no longer be paid for.
struct NobodyHoldsTheInstantOfLapse;

impl Promise for NobodyHoldsTheInstantOfLapse {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        scenario.hold().await?;
        let sql = "select kitloop.payment_refusal(r, r.reserved_until) = 'hold_expired'
                and kitloop.peak_use(l.gear_id, l.blocked, r.reserved_until) = 0
            from public.reservations r join public.reservation_lines l on l.reservation_id = r.id";
        scenario.database.value(sql, &[]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lock_on_gear_two_get_the_last_piece() -> Result<()> {
    let mistake = Mistake::of("take_hold").writing("order by g.id;", "order by g.id\n    for update;");
    mistake.breaks(OneWins).await
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_up_what_overlaps_refuses_what_fits() -> Result<()> {
    let mistake = Mistake::of("peak_use").writing(
        "select coalesce(sum(quantity), 0)::bigint from busy",
        "select coalesce(max(quantity), 0) from use",
    );
    mistake.breaks(PeakUseCounts).await
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_the_instant_of_lapse_holds_stock_that_cannot_be_paid_for() -> Result<()> {
    let mistake = Mistake::of("peak_use").writing("l.blocks_until >= p_now", "l.blocks_until > p_now");
    mistake.breaks(NobodyHoldsTheInstantOfLapse).await
}
