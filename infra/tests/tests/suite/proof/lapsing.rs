//! A hold lapses while somebody waits for a lock, or between a decision and its commit: its piece has one taker.

use anyhow::Result;
use kitloop_tests::{Mistake, Promise};
use test_support::TestDatabase;

use super::scenario::{Hold, Scenario, ask};

/// Something that makes the use of stock firm or longer, as the SQL that does it.
type Revival = fn(&Hold) -> String;

const START_PAYMENT: Revival = Hold::start_payment;
const PAID: Revival = |hold| hold.paid("evt_1");
const CONFIRM_OFFLINE: Revival = |hold| hold.answer("confirm");

/// A revival waits for the item's lock; meanwhile the hold lapses and somebody else takes the piece.
struct OneTakerAfterAWait(Revival);

impl Promise for OneTakerAfterAWait {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        let hold = scenario.hold_about_to_lapse().await?;
        let taker = scenario.begin().await?;
        let lock = "select from public.gear_items where id = $1 for update";
        taker.execute(lock, &[&scenario.gear]).await?;
        let revival = scenario.start(&(self.0)(&hold)).await?;
        scenario.wait_for_lapse(&taker).await?;
        let taken = ask(&taker, &scenario.reserve()).await?;
        taker.batch_execute("commit").await?;
        revival.answer().await?;
        Ok(taken.outcome() == "reserved" && scenario.is_consistent().await?)
    }
}

/// A revival in time has not committed yet when the hold would have lapsed and somebody else wants the piece.
struct OneTakerBeforeTheCommit(Revival);

impl Promise for OneTakerBeforeTheCommit {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        let hold = scenario.hold_about_to_lapse().await?;
        let reviver = scenario.begin().await?;
        ask(&reviver, &(self.0)(&hold)).await?;
        scenario.wait_for_lapse(&scenario.database.admin).await?;
        let taker = scenario.start(&scenario.reserve()).await?;
        reviver.batch_execute("commit").await?;
        Ok(taker.answer().await?.outcome() == "insufficient_availability" && scenario.is_consistent().await?)
    }
}

/// A customer waits for the item's lock while the hold that is in the way lapses, and gets the piece.
struct LapsedHoldsAreFree;

impl Promise for LapsedHoldsAreFree {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        scenario.hold_about_to_lapse().await?;
        let other = scenario.begin().await?;
        other.execute("select from public.gear_items where id = $1 for update", &[&scenario.gear]).await?;
        let waiting = scenario.start(&scenario.reserve()).await?;
        scenario.wait_for_lapse(&other).await?;
        other.batch_execute("commit").await?;
        Ok(waiting.answer().await?.outcome() == "reserved")
    }
}

/// The sweep meets a hold that is being extended by a payment that starts in time.
struct ExtendedHoldsAreNotSwept;

impl Promise for ExtendedHoldsAreNotSwept {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        let hold = scenario.hold_about_to_lapse().await?;
        let payer = scenario.begin().await?;
        ask(&payer, &hold.start_payment()).await?;
        scenario.wait_for_lapse(&scenario.database.admin).await?;
        let sweep = scenario.start("kitloop.expire_holds(100)").await?;
        payer.batch_execute("commit").await?;
        sweep.answer().await?;
        Ok(scenario.database.status(hold.id).await? == "hold")
    }
}

/// A customer starts to pay while the shop is declining the reservation.
struct DeclinedIsNotPayable;

impl Promise for DeclinedIsNotPayable {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool> {
        let scenario = Scenario::open(database).await?;
        let hold = scenario.hold().await?;
        let staff = scenario.begin().await?;
        ask(&staff, &hold.answer("decline")).await?;
        let payment = scenario.start(&hold.start_payment()).await?;
        staff.batch_execute("commit").await?;
        Ok(payment.answer().await?.outcome() == "reservation_over")
    }
}

/// The clock as it is read after the locks, and as it was when the transaction began.
const FRESH: &str = "v_now := clock_timestamp();";
const STALE: &str = "v_now := now();";

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_read_before_the_wait_revives_a_lapsed_hold_for_payment() -> Result<()> {
    let mistake = Mistake::of("start_payment").writing(STALE, FRESH);
    mistake.breaks(OneTakerAfterAWait(START_PAYMENT)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_read_before_the_wait_confirms_a_lapsed_hold_for_cash() -> Result<()> {
    let mistake = Mistake::of("confirm_reservation").writing(STALE, FRESH);
    mistake.breaks(OneTakerAfterAWait(CONFIRM_OFFLINE)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_read_before_the_wait_confirms_a_payment_whose_piece_is_taken() -> Result<()> {
    let mistake = Mistake::of("settle_money")
        .writing("v_now timestamptz := now();", "v_now timestamptz := clock_timestamp();");
    mistake.breaks(OneTakerAfterAWait(PAID)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_read_before_the_lock_on_gear_refuses_what_has_become_free() -> Result<()> {
    let mistake = Mistake::of("take_hold")
        .writing("v_now constant timestamptz := clock_timestamp();", "v_now timestamptz;")
        .writing("", FRESH);
    mistake.breaks(LapsedHoldsAreFree).await
}

#[tokio::test(flavor = "multi_thread")]
async fn extending_without_the_lock_on_gear_sells_the_piece_twice() -> Result<()> {
    let mistake = Mistake::of("start_payment").writing(
        "kitloop.lock_reservation(p_reservation_id, false)",
        "kitloop.lock_reservation(p_reservation_id, true)",
    );
    mistake.breaks(OneTakerBeforeTheCommit(START_PAYMENT)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn confirming_money_without_the_lock_on_gear_sells_the_piece_twice() -> Result<()> {
    let mistake =
        Mistake::of("apply_payment_intent").writing("false", "v_status in ('requires_capture', 'succeeded')");
    mistake.breaks(OneTakerBeforeTheCommit(PAID)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_without_locks_expires_what_is_being_paid_for() -> Result<()> {
    let mistake = Mistake::of("expire_lapsed").writing("", "for update skip locked");
    mistake.breaks(ExtendedHoldsAreNotSwept).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lock_on_the_reservation_a_declined_one_is_paid_for() -> Result<()> {
    let mistake =
        Mistake::of("lock_reservation").writing("where r.id = p_id;", "where r.id = p_id for update;");
    mistake.breaks(DeclinedIsNotPayable).await
}
