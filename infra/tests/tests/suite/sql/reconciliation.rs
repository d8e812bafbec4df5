//! Comparing with Stripe: which window, who is at it, what differs, and money that should move.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use kitloop::db::{self, Reconciliation};
use kitloop::domain::{Finding, Period, ReconciliationPhase};
use kitloop::error::Code;
use kitloop_tests::race;
use test_support::TestDatabase;

use super::shop::{LEASE, Shop, refused};

const DAY: i64 = 24;

fn ago(hours: i64) -> Result<Timestamp> {
    Ok(Timestamp::now().checked_sub(SignedDuration::from_hours(hours))?)
}

fn window(from_hours_ago: i64, to_hours_ago: i64) -> Result<Period> {
    Ok(Period::new(ago(from_hours_ago)?, ago(to_hours_ago)?)?)
}

async fn start(shop: &Shop, window: Option<Period>) -> Result<Reconciliation> {
    Ok(db::start_reconciliation(&shop.db, window, LEASE).await?)
}

/// Brings a reconciliation to its end.
async fn finish(shop: &Shop, run: &Reconciliation) -> Result<()> {
    let done = Reconciliation { phase: ReconciliationPhase::Done, cursor: None, ..run.clone() };
    Ok(db::advance_reconciliation(&shop.db, &done, 0, false).await?)
}

/// Moves every reconciliation into the past.
async fn age(database: &TestDatabase, hours: i32) -> Result<()> {
    let sql = "update public.reconciliations
        set from_at = from_at - make_interval(hours => $1), to_at = to_at - make_interval(hours => $1)";
    database.execute(sql, &[&hours]).await.map(drop)
}

/// Fails unless an instant is so many hours ago, give or take a minute.
fn assert_ago(instant: Timestamp, hours: i64) -> Result<()> {
    let off = ago(hours)?.duration_since(instant).abs();
    assert!(off < SignedDuration::from_mins(1), "{instant} is not {hours} h ago, but {off} off");
    Ok(())
}

#[tokio::test]
async fn one_goes_on_where_the_last_one_ended_and_a_day_earlier() -> Result<()> {
    let shop = Shop::open().await?;
    let first = start(&shop, None).await?;
    assert_ago(first.window.start(), 30 * DAY)?;
    assert_ago(first.window.end(), 0)?;
    assert_eq!((first.phase, first.cursor.as_deref()), (ReconciliationPhase::Events, None));
    finish(&shop, &first).await?;
    age(&shop.database, 5).await?;
    let second = start(&shop, None).await?;
    assert_ago(second.window.start(), DAY + 5)?;
    finish(&shop, &second).await?;
    age(&shop.database, 40 * 24).await?;
    let after_long = start(&shop, None).await?;
    assert_ago(after_long.window.start(), 30 * DAY)?;
    assert_ago(after_long.window.end(), 0)
}

#[tokio::test]
async fn a_window_by_hand_leaves_no_gap_in_those_that_follow_one_another() -> Result<()> {
    let shop = Shop::open().await?;
    let hourly = start(&shop, None).await?;
    finish(&shop, &hourly).await?;
    age(&shop.database, 72).await?;
    let by_hand = start(&shop, Some(window(1, 0)?)).await?;
    finish(&shop, &by_hand).await?;
    let next = start(&shop, None).await?;
    assert_ago(next.window.start(), 72 + DAY)
}

#[tokio::test]
async fn one_that_was_not_finished_goes_on_where_it_stood() -> Result<()> {
    let shop = Shop::open().await?;
    let mut run = start(&shop, None).await?;
    for (phase, cursor, is_released) in [
        (ReconciliationPhase::PaymentIntents, Some("pi_100"), false),
        (ReconciliationPhase::Refunds, None, true),
    ] {
        run.phase = phase;
        run.cursor = cursor.map(str::to_owned);
        db::advance_reconciliation(&shop.db, &run, 100, is_released).await?;
    }
    age(&shop.database, 3).await?;
    let resumed = start(&shop, None).await?;
    assert_eq!(resumed.id, run.id);
    assert_eq!((resumed.phase, resumed.cursor.as_deref()), (ReconciliationPhase::Refunds, None));
    assert_ago(resumed.window.end(), 3)?;
    assert_eq!(db::reconciliation_report(&shop.db, run.id).await?.examined_count, 200);
    finish(&shop, &resumed).await?;
    assert_ne!(start(&shop, None).await?.id, run.id);
    Ok(())
}

#[tokio::test]
async fn the_same_window_by_hand_goes_on_and_another_one_begins() -> Result<()> {
    let shop = Shop::open().await?;
    let (this, other) = (window(10, 5)?, window(20, 15)?);
    let mut run = start(&shop, Some(this)).await?;
    run.cursor = Some("evt_9".to_owned());
    db::advance_reconciliation(&shop.db, &run, 10, true).await?;
    let beside = start(&shop, Some(other)).await?;
    assert_ne!(beside.id, run.id);
    let resumed = start(&shop, Some(this)).await?;
    assert_eq!((resumed.id, resumed.cursor.as_deref()), (run.id, Some("evt_9")));
    finish(&shop, &resumed).await?;
    assert_ne!(start(&shop, Some(this)).await?.id, run.id, "what is done is done again when asked for");
    Ok(())
}

#[tokio::test]
async fn only_one_invocation_is_at_it_until_its_lease_runs_out() -> Result<()> {
    let shop = Shop::open().await?;
    let by_hand = Some(window(10, 5)?);
    for window in [None, by_hand] {
        let run = start(&shop, window).await?;
        assert_eq!(refused(db::start_reconciliation(&shop.db, window, LEASE).await)?, Code::AlreadyRunning);
        // Progress does not give the lease back.
        db::advance_reconciliation(&shop.db, &run, 1, false).await?;
        assert_eq!(refused(db::start_reconciliation(&shop.db, window, LEASE).await)?, Code::AlreadyRunning);
        let sql = "update public.reconciliations set lease_until = clock_timestamp()";
        shop.database.execute(sql, &[]).await?;
        assert_eq!(start(&shop, window).await?.id, run.id, "whoever had it may be dead");
        finish(&shop, &run).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_start_at_once_one_runs() -> Result<()> {
    const CALLERS: usize = 20;
    let shop = Shop::open().await?;
    let outcomes = race(&shop.database, CALLERS, |_, db| async move {
        db::start_reconciliation(&db, None, Duration::from_secs(600)).await
    })
    .await?;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refusal in outcomes.into_iter().filter(Result::is_err) {
        assert_eq!(refused(refusal)?, Code::AlreadyRunning);
    }
    assert_eq!(shop.database.value::<i64>("select count(*) from public.reconciliations", &[]).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_report_counts_everything_and_shows_the_first_hundred() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    let run = start(&shop, None).await?;
    let empty = db::reconciliation_report(&shop.db, run.id).await?;
    assert_eq!((empty.examined_count, empty.found_count, empty.mended_count), (0, 0, 0));
    for number in 0..105 {
        let finding = Finding {
            object_id: format!("pi_{number}"),
            difference: "status".to_owned(),
            decision: (number % 2 == 0).then(|| "confirmed".to_owned()),
            reservation_id: (number == 0).then_some(hold.id),
            is_mended: number % 2 == 0,
        };
        db::record_finding(&shop.db, run.id, &finding).await?;
    }
    let report = db::reconciliation_report(&shop.db, run.id).await?;
    assert_eq!((report.found_count, report.mended_count, report.findings.len()), (105, 53, 100));
    let first = report.findings.first().context("no finding")?;
    assert_eq!((first.object_id.as_str(), first.reservation_id), ("pi_0", Some(hold.id)));
    Ok(())
}
