//! Comparing with Stripe: which window, who is at it, what differs, and money that should move.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use kitloop::db::{self, JobRetry, Reconciliation};
use kitloop::domain::{
    Decision, DisputeFact, Fact, Finding, Mending, PaymentIntentFact, PaymentStatus, Period,
    ReconciliationPhase, RefundStatus,
};
use kitloop::error::Code;
use serde_json::json;
use test_support::{Gear, Provider, TestDatabase, actor};
use uuid::Uuid;

use super::money::{dispute, disputed};
use super::races::race;
use super::shop::{LEASE, Shop, refund, refund_of, refused};

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
    for (phase, cursor, is_left) in [
        (ReconciliationPhase::PaymentIntents, Some("pi_100"), false),
        (ReconciliationPhase::Refunds, None, true),
    ] {
        run.phase = phase;
        run.cursor = cursor.map(str::to_owned);
        db::advance_reconciliation(&shop.db, &run, 100, is_left).await?;
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

/// What differs, of these facts, by their places.
async fn differences(shop: &Shop, facts: &[Fact]) -> Result<Vec<(usize, String)>> {
    Ok(db::differences(&shop.db, facts).await?)
}

/// Fails unless a fact differs in this way (`""` is not at all), and no more once it is applied.
async fn assert_mended(shop: &Shop, fact: Fact, difference: &str, decision: Decision) -> Result<()> {
    let found = differences(shop, std::slice::from_ref(&fact)).await?;
    let wanted: &[(usize, String)] = &[(0, difference.to_owned())];
    assert_eq!(found, wanted, "{fact:?}");
    assert_eq!(db::settle_fact(&shop.db, &fact).await?.decision, decision, "{fact:?}");
    assert_eq!(differences(shop, &[fact]).await?, [], "it is as it should be now");
    Ok(())
}

#[tokio::test]
async fn an_intent_that_went_on_without_us_differs_until_it_is_applied() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::of(9)).await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    for (status, decision) in [
        (PaymentStatus::RequiresAction, Decision::RequiresAction),
        (PaymentStatus::Processing, Decision::Processing),
        (PaymentStatus::RequiresCapture, Decision::Authorized),
        (PaymentStatus::Succeeded, Decision::Confirmed),
    ] {
        let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", status));
        assert_mended(&shop, fact, "status", decision).await?;
    }
    let unknown = shop.hold().await?;
    let fact = Fact::PaymentIntent(shop.intent(&unknown, "pi_2", PaymentStatus::Succeeded));
    assert_mended(&shop, fact, "unknown_payment", Decision::Confirmed).await?;
    let capturing = shop.authorized("pi_3").await?;
    shop.start_capture(&capturing).await?;
    let still = Fact::PaymentIntent(shop.intent(&capturing, "pi_3", PaymentStatus::RequiresCapture));
    assert_eq!(differences(&shop, &[still]).await?, [], "a capture is under way");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_intent_whose_maker_died_is_found_by_what_it_says_of_itself() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let hold = shop.hold().await?;
    let payment = db::start_payment(&shop.db, actor(hold.customer), hold.id, LEASE, None).await?;
    let made = PaymentIntentFact {
        payment_id: Some(payment.payment_id.0),
        generation: Some(payment.generation),
        ..shop.intent(&hold, "pi_1", PaymentStatus::RequiresPaymentMethod)
    };
    let of_before = PaymentIntentFact { generation: Some(payment.generation - 1), ..made.clone() };
    let called_off = PaymentIntentFact { status: PaymentStatus::Canceled, ..made.clone() };
    for harmless in [of_before, called_off] {
        assert_eq!(differences(&shop, &[Fact::PaymentIntent(harmless)]).await?, []);
    }
    assert_mended(&shop, Fact::PaymentIntent(made), "unrecorded_intent", Decision::PaymentFailed).await?;
    let recorded: String = shop.of_payment(&hold, "payment_intent_id").await?;
    assert_eq!(recorded, "pi_1");
    Ok(())
}

#[tokio::test]
async fn what_stripe_and_we_can_never_agree_on_is_shown() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let paid = shop.confirmed("pi_1").await?;
    let canceled = shop.hold().await?;
    shop.start_payment(&canceled, "pi_2").await?;
    shop.hear_of(&canceled, "pi_2", PaymentStatus::Canceled).await?;
    let mut less = shop.intent(&paid, "pi_1", PaymentStatus::Succeeded);
    less.amount_received_minor -= 1;
    let facts = [
        Fact::PaymentIntent(shop.intent(&paid, "pi_1", PaymentStatus::Canceled)),
        Fact::PaymentIntent(shop.intent(&canceled, "pi_2", PaymentStatus::Succeeded)),
        Fact::PaymentIntent(less),
    ];
    let wanted = ["terminal_status", "terminal_status", "captured_amount"];
    let found = differences(&shop, &facts).await?;
    assert_eq!(found, wanted.map(str::to_owned).into_iter().enumerate().collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn refunds_and_disputes_that_went_on_without_us_differ_until_they_are_applied() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    let by_hand = |status| Fact::Refund(refund("re_1", "pi_1", 10_000, status));
    assert_mended(&shop, by_hand(RefundStatus::Pending), "unknown_refund", Decision::PartiallyRefunded)
        .await?;
    assert_mended(&shop, by_hand(RefundStatus::Succeeded), "status", Decision::PartiallyRefunded).await?;
    assert_eq!(differences(&shop, &[by_hand(RefundStatus::Pending)]).await?, [], "it was read before");
    shop.refund(&hold, 20_000).await?;
    let (job, _) = shop.claim_refund().await?;
    let ours = refund_of(&job, "re_2", RefundStatus::Succeeded)?;
    assert_mended(&shop, ours, "unknown_refund", Decision::PartiallyRefunded).await?;
    assert_eq!(shop.refunds().await?, ["10000 succeeded", "20000 succeeded"], "no second row");

    // As it is now: Stripe does not say since when.
    let now = |status| Fact::Dispute(DisputeFact { at: None, ..dispute("du_1", "pi_1", 5_000, status, 0) });
    assert_mended(&shop, now("needs_response"), "unknown_dispute", Decision::Disputed).await?;
    for status in ["under_review", "won", "lost"] {
        assert_mended(&shop, now(status), "status", Decision::Disputed).await?;
    }
    assert_eq!(differences(&shop, &[now("needs_response")]).await?, [], "it was read before");
    assert_eq!(
        differences(&shop, &[now("won")]).await?.len(),
        1,
        "the bank gave back what was booked as lost"
    );
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_is_as_it_should_be_or_not_ours_does_not_differ() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let hold = shop.confirmed("pi_1").await?;
    let known_refund = Fact::Refund(refund("re_1", "pi_1", 10_000, RefundStatus::Succeeded));
    let known_dispute = disputed("du_1", "pi_1", 10_000, "needs_response", 0);
    shop.hear(&known_refund).await?;
    shop.hear(&known_dispute).await?;
    let somebody_elses = |status| {
        let fact = shop.intent(&hold, "pi_other", status);
        Fact::PaymentIntent(PaymentIntentFact { reservation_id: Some(Uuid::new_v4()), ..fact })
    };
    let facts = [
        Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded)),
        known_refund,
        known_dispute,
        somebody_elses(PaymentStatus::Succeeded),
        somebody_elses(PaymentStatus::Canceled),
        Fact::PaymentIntent(shop.intent(&hold, "pi_unpaid", PaymentStatus::RequiresPaymentMethod)),
        Fact::Refund(refund("re_other", "pi_other", 1, RefundStatus::Succeeded)),
        disputed("du_other", "pi_other", 1, "lost", 0),
    ];
    let before = shop.rows().await?;
    assert_eq!(differences(&shop, &facts).await?, []);
    assert_eq!(shop.rows().await?, before, "looking changes nothing");
    let lost = disputed("du_1", "pi_1", 10_000, "lost", 1);
    let mixed = [facts[0].clone(), lost, facts[1].clone()];
    assert_eq!(differences(&shop, &mixed).await?, [(1, "status".to_owned())], "by its place");
    Ok(())
}

#[tokio::test]
async fn events_are_missing_until_they_took_effect() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let late = shop.hold().await;
    assert!(late.is_err());
    let unmatched = Fact::Refund(refund("re_1", "pi_1", 10_000, RefundStatus::Succeeded));
    let deliver = async |event_id: &str, fact: Option<&Fact>| {
        db::apply_stripe_event(&shop.db, event_id, "test.event", &json!({}), fact).await
    };
    let paid = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    deliver("evt_ignored", None).await?;
    deliver("evt_unmatched", Some(&unmatched)).await?;
    db::fail_stripe_event(&shop.db, "evt_failed", "test.event", &json!({}), "timeout").await?;
    deliver("evt_paid", Some(&paid)).await?;
    let all = ["evt_ignored", "evt_unmatched", "evt_failed", "evt_paid", "evt_never"];
    assert_eq!(
        db::missing_events(&shop.db, &all).await?,
        ["evt_unmatched", "evt_failed", "evt_never"],
        "in the order that was asked"
    );
    assert_eq!(deliver("evt_unmatched", Some(&unmatched)).await?.decision, Decision::PartiallyRefunded);
    assert_eq!(deliver("evt_failed", None).await?.decision, Decision::Ignored);
    assert_eq!(db::missing_events(&shop.db, &all).await?, ["evt_never"]);
    assert_eq!(deliver("evt_unmatched", Some(&unmatched)).await?.decision, Decision::Replay);
    assert!(db::missing_events(&shop.db, &[]).await?.is_empty());
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_conflict_that_was_answered_with_409_counts_as_delivered() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.lose(&hold).await?;
    let paid = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    let applied = db::apply_stripe_event(&shop.db, "evt_1", "test.event", &json!({}), Some(&paid)).await?;
    assert_eq!(applied.decision, Decision::CancelledConflict);
    assert!(db::missing_events(&shop.db, &["evt_1"]).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn open_intents_from_before_the_window_are_looked_up_page_by_page() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    for number in 1..=5 {
        let hold = shop.hold().await?;
        shop.start_payment(&hold, &format!("pi_{number}")).await?;
        if number == 2 {
            shop.hear_of(&hold, "pi_2", PaymentStatus::Succeeded).await?;
        }
    }
    let sql = "update public.payments set created_at = created_at - interval '2 days'
        where payment_intent_id <> 'pi_4'";
    shop.database.execute(sql, &[]).await?;
    let before = ago(DAY)?;
    assert_eq!(db::open_payment_intents(&shop.db, before, None, 2).await?, ["pi_1", "pi_3"]);
    assert_eq!(db::open_payment_intents(&shop.db, before, Some("pi_3"), 2).await?, ["pi_5"]);
    assert!(db::open_payment_intents(&shop.db, before, Some("pi_5"), 2).await?.is_empty());
    Ok(())
}

/// What was mended, as (payment's intent, what was done).
async fn mended(shop: &Shop, limit: i32) -> Result<Vec<(String, Mending)>> {
    let mut all = Vec::new();
    for payment in db::mend_money(&shop.db, limit).await? {
        let sql = "select payment_intent_id from public.payments where id = $1";
        all.push((shop.database.value::<String>(sql, &[&payment.payment_id.0]).await?, payment.mending));
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(all)
}

#[tokio::test]
async fn money_that_should_move_and_does_not_is_set_going_again() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let refunded = shop.confirmed("pi_1").await?;
    shop.refund(&refunded, 20_000).await?;
    let unpaid = shop.hold().await?;
    shop.start_payment(&unpaid, "pi_2").await?;
    shop.cancel_by(unpaid.customer, &unpaid).await?;
    assert_eq!(mended(&shop, 10).await?, [], "it is under way");
    while let Some(job) = shop.claim("worker").await? {
        db::retry_job(&shop.db, &job.claim, "refused", JobRetry::Never).await?;
    }
    let wanted = [("pi_1".to_owned(), Mending::RefundResent), ("pi_2".to_owned(), Mending::CancelResent)];
    assert_eq!(mended(&shop, 10).await?, wanted);
    assert_eq!(mended(&shop, 10).await?, [], "now it is under way");
    let again = shop.make_refund("re_1", RefundStatus::Succeeded).await?;
    assert_eq!(again.decision, Decision::PartiallyRefunded);
    assert_eq!(shop.refunds().await?, ["20000 canceled", "20000 succeeded"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn where_a_person_has_to_look_reconciliation_says_so_and_does_nothing() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let hold = shop.confirmed("pi_1").await?;
    shop.refund(&hold, 20_000).await?;
    for attempt in 1..=3 {
        shop.make_refund(&format!("re_{attempt}"), RefundStatus::Failed).await?;
    }
    let in_cash = shop.paid_at_the_counter().await?;
    shop.cancel_by(shop.staff, &in_cash).await?;
    for _ in 0..2 {
        assert_eq!(mended(&shop, 10).await?, [("pi_1".to_owned(), Mending::Owed)]);
    }
    assert!(shop.claim("worker").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn what_waits_for_a_person_does_not_keep_other_money_from_moving() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    for number in 1..=4 {
        let hold = shop.confirmed(&format!("pi_{number}")).await?;
        shop.refund(&hold, 20_000).await?;
        let attempts = if number == 4 { 1 } else { 3 };
        for attempt in 1..=attempts {
            let (job, _) = shop.claim_refund().await?;
            if number == 4 {
                db::retry_job(&shop.db, &job.claim, "refused", JobRetry::Never).await?;
            } else {
                let failed = refund_of(&job, &format!("re_{number}_{attempt}"), RefundStatus::Failed)?;
                db::finish_job(&shop.db, &job, &failed).await?;
            }
        }
    }
    assert_eq!(mended(&shop, 1).await?, [("pi_4".to_owned(), Mending::RefundResent)]);
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
