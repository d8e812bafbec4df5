//! The sweep: lapsed holds, unanswered authorisations, in batches, and its log.

use anyhow::Result;
use kitloop::db;
use kitloop::domain::{ConfirmationAction, Fact, PaymentIntentFact, PaymentStatus};
use serde_json::{Value, json};
use test_support::{Gear, Provider};

use super::shop::{Hold, Shop};

/// A shop that asks first and has plenty.
async fn shop() -> Result<Shop> {
    Shop::open_with(&Provider::manual(), &Gear::of(100)).await
}

/// What one batch expired and released.
async fn sweep(shop: &Shop, limit: i32) -> Result<(i32, i32)> {
    let done = db::expire_holds(&shop.db, limit).await?;
    Ok((done.expired, done.released))
}

#[tokio::test]
async fn only_lapsed_holds_expire() -> Result<()> {
    let shop = shop().await?;
    let (open, lapsed) = (shop.hold().await?, shop.hold().await?);
    let authorized = shop.authorized("pi_1").await?;
    for hold in [&lapsed, &authorized] {
        shop.database.lapse(hold.id.0).await?;
    }
    assert_eq!(sweep(&shop, 10).await?, (1, 0));
    assert_eq!(
        [shop.state(&open).await?, shop.state(&lapsed).await?, shop.state(&authorized).await?],
        ["hold", "expired", "authorized"]
    );
    assert_eq!(sweep(&shop, 10).await?, (0, 0));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_open_intents_of_expired_holds_are_cancelled() -> Result<()> {
    let shop = shop().await?;
    let (unstarted, started, second_card) = (shop.hold().await?, shop.hold().await?, shop.hold().await?);
    shop.start_payment(&started, "pi_1").await?;
    shop.start_payment(&second_card, "pi_2").await?;
    shop.hear_of(&second_card, "pi_2", PaymentStatus::RequiresPaymentMethod).await?;
    for hold in [&unstarted, &started, &second_card] {
        shop.database.lapse(hold.id.0).await?;
    }
    assert_eq!(sweep(&shop, 10).await?, (3, 0));
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"; 2]);
    for _ in 0..2 {
        let Some(job) = shop.claim("worker").await? else { anyhow::bail!("no job") };
        let hold = if job.payment_intent_id == "pi_1" { &started } else { &second_card };
        let fact = Fact::PaymentIntent(shop.intent(hold, &job.payment_intent_id, PaymentStatus::Canceled));
        db::finish_job(&shop.db, &job, &fact).await?;
        assert_eq!(shop.state(hold).await?, "expired", "it expired; nobody cancelled it");
    }
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_batch_is_no_larger_than_asked_and_the_oldest_go_first() -> Result<()> {
    let shop = shop().await?;
    let mut holds = Vec::new();
    for minutes in 1..=5 {
        let hold = shop.hold().await?;
        let sql =
            "update public.reservations set reserved_until = clock_timestamp() - make_interval(mins => $2)
            where id = $1";
        shop.database.execute(sql, &[&hold.id.0, &minutes]).await?;
        holds.push(hold);
    }
    assert_eq!(sweep(&shop, 2).await?, (2, 0));
    let mut states = Vec::new();
    for hold in &holds {
        states.push(shop.state(hold).await?);
    }
    assert_eq!(states, ["hold", "hold", "hold", "expired", "expired"]);
    assert_eq!(
        [sweep(&shop, 2).await?, sweep(&shop, 2).await?, sweep(&shop, 2).await?],
        [(2, 0), (1, 0), (0, 0)]
    );
    Ok(())
}

#[tokio::test]
async fn a_hold_that_somebody_works_on_is_left_for_the_next_run() -> Result<()> {
    let shop = shop().await?;
    let (busy, free) = (shop.hold().await?, shop.hold().await?);
    for hold in [&busy, &free] {
        shop.database.lapse(hold.id.0).await?;
    }
    shop.database.admin.batch_execute("begin").await?;
    shop.database.execute("select from public.reservations where id = $1 for update", &[&busy.id.0]).await?;
    assert_eq!(sweep(&shop, 10).await?, (1, 0));
    shop.database.admin.batch_execute("commit").await?;
    assert_eq!(sweep(&shop, 10).await?, (1, 0));
    Ok(())
}

/// Moves an authorisation to so many hours ago, capturable for so many hours from now.
async fn age(shop: &Shop, hold: &Hold, hours_ago: i32, hours_left: i32) -> Result<()> {
    let sql = "update public.payments
        set authorized_at = clock_timestamp() - make_interval(hours => $2) - interval '1 minute',
            capture_before = clock_timestamp() + make_interval(hours => $3) - interval '1 minute'
        where reservation_id = $1";
    shop.database.execute(sql, &[&hold.id.0, &hours_ago, &hours_left]).await.map(drop)
}

#[tokio::test]
async fn an_authorisation_is_released_after_a_day_or_half_a_day_before_it_is_lost() -> Result<()> {
    let shop = shop().await?;
    let mut holds = Vec::new();
    let cases = [
        (23, 100, "authorized"),
        (24, 100, "cancelled: unanswered"),
        (1, 13, "authorized"),
        (1, 12, "cancelled: unanswered"),
    ];
    for (index, (hours_ago, hours_left, _)) in cases.iter().enumerate() {
        let hold = shop.authorized(&format!("pi_{index}")).await?;
        age(&shop, &hold, *hours_ago, *hours_left).await?;
        holds.push(hold);
    }
    assert_eq!(sweep(&shop, 10).await?, (0, 2));
    for (hold, (hours_ago, hours_left, state)) in holds.iter().zip(cases) {
        assert_eq!(shop.state(hold).await?, state, "{hours_ago} h ago, {hours_left} h left");
    }
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"; 2]);
    assert_eq!(sweep(&shop, 10).await?, (0, 0));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn until_when_an_authorisation_can_be_captured_comes_with_it() -> Result<()> {
    let shop = shop().await?;
    let hold = shop.hold().await?;
    let capture_before = Some(test_support::in_days(0));
    let intent = shop.intent(&hold, "pi_1", PaymentStatus::RequiresCapture);
    shop.hear(&Fact::PaymentIntent(PaymentIntentFact { capture_before, ..intent })).await?;
    assert_eq!(sweep(&shop, 10).await?, (0, 1), "it is lost in less than twelve hours");
    Ok(())
}

#[tokio::test]
async fn unanswered_authorisations_are_released_in_batches() -> Result<()> {
    let shop = shop().await?;
    for index in 0..3 {
        let hold = shop.authorized(&format!("pi_{index}")).await?;
        age(&shop, &hold, 25, 100).await?;
    }
    assert_eq!([sweep(&shop, 2).await?, sweep(&shop, 2).await?], [(0, 2), (0, 1)]);
    Ok(())
}

#[tokio::test]
async fn what_is_being_captured_is_never_released() -> Result<()> {
    let shop = shop().await?;
    let hold = shop.authorized("pi_1").await?;
    age(&shop, &hold, 48, 1).await?;
    let job = shop.start_capture(&hold).await?;
    assert_eq!(sweep(&shop, 10).await?, (0, 0));
    let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    db::finish_job(&shop.db, &job, &fact).await?;
    assert_eq!(sweep(&shop, 10).await?, (0, 0));
    assert_eq!(shop.state(&hold).await?, "confirmed");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_staff_answered_is_not_released() -> Result<()> {
    let shop = shop().await?;
    let hold = shop.authorized("pi_1").await?;
    age(&shop, &hold, 48, 1).await?;
    shop.answer(shop.staff, &hold, ConfirmationAction::Decline, None).await?;
    assert_eq!(sweep(&shop, 10).await?, (0, 0));
    assert_eq!(shop.state(&hold).await?, "cancelled: declined");
    Ok(())
}

#[tokio::test]
async fn a_run_is_logged_when_it_begins_and_when_it_ends() -> Result<()> {
    let shop = shop().await?;
    let sql = "select jsonb_build_array(name, status, finished_at is not null, result, error)
        from public.cron_runs where id = $1";
    let good = db::start_cron_run(&shop.db, "sweep").await?;
    let bad = db::start_cron_run(&shop.db, "sweep").await?;
    let running = json!(["sweep", "running", false, null, null]);
    assert_eq!(shop.database.value::<Value>(sql, &[&good]).await?, running);
    db::finish_cron_run(&shop.db, good, &json!({"deleted_count": 3}), None).await?;
    db::finish_cron_run(&shop.db, bad, &json!({}), Some("away")).await?;
    assert_eq!(
        shop.database.value::<Value>(sql, &[&good]).await?,
        json!(["sweep", "succeeded", true, {"deleted_count": 3}, null])
    );
    assert_eq!(
        shop.database.value::<Value>(sql, &[&bad]).await?,
        json!(["sweep", "failed", true, {}, "away"])
    );
    Ok(())
}
