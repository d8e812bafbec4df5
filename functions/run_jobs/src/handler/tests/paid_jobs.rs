//! Jobs that customers pay for with credits.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use kitloop::app::jobs;
use kitloop::db::{self, JobOutcome};
use serde_json::{Value, json};
use test_support::{Shop, TestApp, TestDatabase};
use tokio::time::Instant;
use uuid::Uuid;

use super::{due_in, due_refund, job, work_for, worker};

const EXPORT: &str = "reservation_export";
/// A kind that no version knows: each attempt fails.
const UNKNOWN: &str = "reservation_import";

/// A user who has spent their only credit on an export of their own reservations.
async fn own_export(shop: &Shop) -> Result<(Uuid, Uuid)> {
    let user_id = shop.database.user_with_credits(1).await?;
    let job_id = shop.database.paid_job(user_id, EXPORT, None, &json!({"format": "csv"})).await?;
    Ok((user_id, job_id))
}

/// The member of staff has spent their only credit on an export of the shop's reservations.
async fn staff_export(shop: &Shop) -> Result<Uuid> {
    shop.database.give_credits(shop.staff_id, 1).await?;
    let input = json!({"format": "json"});
    shop.database.paid_job(shop.staff_id, EXPORT, Some(shop.provider_id), &input).await
}

/// What the worker does of all that is due.
async fn work(shop: &Shop) -> Result<Value> {
    Ok(json!(shop.work_off().await?))
}

/// How a job stands: [status, attempts, last error].
async fn stands(database: &TestDatabase, job_id: Uuid) -> Result<Value> {
    let sql = "select jsonb_build_array(status, attempts, last_error) from public.jobs where id = $1";
    database.value(sql, &[&job_id]).await
}

/// The dead letters, as [job, kind, attempts, last error].
async fn dead_letters(database: &TestDatabase) -> Result<Value> {
    let sql = "select coalesce(jsonb_agg(jsonb_build_array(job_id, kind, attempts, last_error)), '[]')
        from public.job_dead_letters";
    database.value(sql, &[]).await
}

/// What a user's account has had after the credit that they began with.
async fn spent(database: &TestDatabase, user_id: Uuid) -> Result<Vec<String>> {
    let entries = database.ledger(user_id).await?.into_iter().skip(1);
    Ok(entries.map(|(entry_type, amount)| format!("{entry_type} {amount}")).collect())
}

#[tokio::test]
async fn a_job_that_succeeds_spends_its_credit_once() -> Result<()> {
    let shop = Shop::open().await?;
    let (user_id, job_id) = own_export(&shop).await?;
    assert_eq!(work(&shop).await?, json!({"succeeded": 1, "unsuccessful": 0}));
    assert_eq!(work(&shop).await?, json!({"succeeded": 0, "unsuccessful": 0}));
    assert_eq!(stands(&shop.database, job_id).await?, json!(["succeeded", 1, null]));
    assert_eq!(spent(&shop.database, user_id).await?, ["hold -1", "consume 0"]);
    let sql = "select result ->> 'file_name' from public.jobs";
    assert_eq!(shop.database.value::<String>(sql, &[]).await?, "reservations.csv");
    assert_eq!(dead_letters(&shop.database).await?, json!([]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn who_was_dismissed_meanwhile_gets_nothing_of_the_shop_but_the_credit_back() -> Result<()> {
    let shop = Shop::open().await?;
    shop.hold().await?;
    let job_id = staff_export(&shop).await?;
    shop.database.execute("delete from public.provider_members", &[]).await?;
    assert_eq!(work(&shop).await?, json!({"succeeded": 0, "unsuccessful": 1}));
    assert_eq!(stands(&shop.database, job_id).await?, json!(["failed", 1, "forbidden"]));
    assert_eq!(dead_letters(&shop.database).await?, json!([[job_id, EXPORT, 1, "forbidden"]]));
    assert_eq!(spent(&shop.database, shop.staff_id).await?, ["hold -1", "release 1"]);
    let sql = "select count(*) from public.jobs where result is not null";
    assert_eq!(shop.database.value::<i64>(sql, &[]).await?, 0);
    let read = "select count(*) from public.audit_logs where action = 'reservation_export'";
    assert_eq!(shop.database.value::<i64>(read, &[]).await?, 0);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn that_somebody_read_a_shops_reservations_is_in_the_audit_log() -> Result<()> {
    let shop = Shop::open().await?;
    shop.hold().await?;
    own_export(&shop).await?;
    let job_id = staff_export(&shop).await?;
    assert_eq!(work(&shop).await?["succeeded"], json!(2));
    let sql = "select jsonb_agg(jsonb_build_array(actor, provider_id, details)) from public.audit_logs
        where action = 'reservation_export'";
    let entry = json!([
        format!("user:{}", shop.staff_id),
        shop.provider_id,
        {"job_id": job_id, "reservations": 1}
    ]);
    assert_eq!(shop.database.value::<Value>(sql, &[]).await?, json!([entry]));
    Ok(())
}

#[tokio::test]
async fn a_poison_job_is_tried_with_growing_pauses_and_given_up_while_others_are_done() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    let poison = shop.database.paid_job(user_id, UNKNOWN, None, &json!({})).await?;
    shop.database.execute("update public.jobs set max_attempts = 8", &[]).await?;
    for longest in [10, 30, 90, 270, 810, 900, 900] {
        let (_, other) = own_export(&shop).await?;
        shop.make_jobs_due().await?;
        shop.work_off().await?;
        assert_eq!(stands(&shop.database, other).await?[0], json!("succeeded"));
        let pause = due_in(&shop).await?;
        // A random half of it, and the two seconds that this may take.
        assert!(pause >= longest / 2 - 2 && pause <= longest, "{pause} s of {longest}");
        assert_eq!(spent(&shop.database, user_id).await?, ["hold -1"], "the credit stays held");
        assert_eq!(dead_letters(&shop.database).await?, json!([]));
    }
    assert_eq!(stands(&shop.database, poison).await?, json!(["queued", 7, "unknown_kind"]));
    shop.make_jobs_due().await?;
    assert_eq!(work(&shop).await?, json!({"succeeded": 0, "unsuccessful": 1}));
    assert_eq!(stands(&shop.database, poison).await?, json!(["failed", 8, "unknown_kind"]));
    assert_eq!(dead_letters(&shop.database).await?, json!([[poison, UNKNOWN, 8, "unknown_kind"]]));
    assert_eq!(spent(&shop.database, user_id).await?, ["hold -1", "release 1"]);
    shop.make_jobs_due().await?;
    assert_eq!(work(&shop).await?, json!({"succeeded": 0, "unsuccessful": 0}));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_job_whose_workers_all_died_is_given_up_with_its_credit_back() -> Result<()> {
    let shop = Shop::open().await?;
    let (user_id, job_id) = own_export(&shop).await?;
    for attempt in 1..=5 {
        let claimed = db::claim_job(&shop.app.db, "a worker that dies", jobs::LEASE).await?;
        assert!(claimed.is_some(), "attempt {attempt}");
        shop.make_jobs_due().await?;
    }
    assert_eq!(work(&shop).await?, json!({"succeeded": 0, "unsuccessful": 0}));
    let error = "worker_died";
    assert_eq!(stands(&shop.database, job_id).await?, json!(["failed", 5, error]));
    assert_eq!(dead_letters(&shop.database).await?, json!([[job_id, EXPORT, 5, error]]));
    assert_eq!(spent(&shop.database, user_id).await?, ["hold -1", "release 1"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_row_that_this_version_cannot_read_is_given_back_and_stops_nobody() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.paid().await?;
    shop.database.execute("update public.customers set email = 'jana@example.com'", &[]).await?;
    shop.database.execute("select kitloop.notify($1, 'cancellation')", &[&reservation_id]).await?;
    // What a newer version tells people, and this one has no words for.
    let newer = "alter table public.notification_logs drop constraint notification_logs_kind_check";
    shop.database.execute(newer, &[]).await?;
    shop.database
        .execute("update public.notification_logs set kind = 'reminder' where kind = 'cancellation'", &[])
        .await?;
    let (_, job_id) = own_export(&shop).await?;
    assert_eq!(work(&shop).await?, json!({"succeeded": 1, "unsuccessful": 1}));
    assert_eq!(shop.jobs().await?, [job("send_email", "queued"), job(EXPORT, "succeeded")]);
    assert_eq!(stands(&shop.database, job_id).await?, json!(["succeeded", 1, null]));
    let error = "select last_error from public.jobs where kind = 'send_email'";
    assert_eq!(shop.database.value::<String>(error, &[]).await?, "unreadable");
    Ok(())
}

/// So many reservations of a customer's, by rows.
async fn reserve_in_bulk(shop: &Shop, user_id: Uuid, count: i32) -> Result<()> {
    let reservations = "insert into public.reservations
            (provider_id, customer_id, status, period, reserved_until, amount_total_minor, currency)
        select $1, c.id, 'expired', tstzrange(now() + make_interval(days => n), now() + make_interval(days => n + 1)),
            now(), 250000, 'CZK'
        from public.customers c, generate_series(1, $3) n
        where c.user_id = $2";
    shop.database.execute(reservations, &[&shop.provider_id, &user_id, &count]).await?;
    let lines =
        "insert into public.reservation_lines (reservation_id, gear_id, quantity, unit_price_minor, blocked)
        select r.id, $1, 1, 250000, r.period from public.reservations r
        join public.customers c on c.id = r.customer_id where c.user_id = $2";
    shop.database.execute(lines, &[&shop.gear_id, &user_id]).await.map(drop)
}

#[tokio::test]
async fn five_thousand_reservations_are_exported_and_not_one_more() -> Result<()> {
    let shop = Shop::open().await?;
    let (fits, most) = own_export(&shop).await?;
    let (exceeds, too_many) = own_export(&shop).await?;
    reserve_in_bulk(&shop, fits, 5_000).await?;
    reserve_in_bulk(&shop, exceeds, 5_001).await?;
    shop.work_off().await?;
    assert_eq!(stands(&shop.database, most).await?, json!(["succeeded", 1, null]));
    let sql = "select jsonb_array_length(to_jsonb(string_to_array(result ->> 'content', E'\\n')))
        from public.jobs where id = $1";
    assert_eq!(shop.database.value::<i32>(sql, &[&most]).await?, 1 + 5_000 + 1, "with columns and last line");
    assert_eq!(stands(&shop.database, too_many).await?, json!(["failed", 1, "export_too_large"]));
    assert_eq!(spent(&shop.database, exceeds).await?, ["hold -1", "release 1"]);
    // With as many and more words there is no room for them in an answer.
    shop.database.give_credits(fits, 1).await?;
    let in_json = shop.database.paid_job(fits, EXPORT, None, &json!({"format": "json"})).await?;
    shop.database.execute("update public.reservations set notes = repeat('x', 1000)", &[]).await?;
    shop.work_off().await?;
    assert_eq!(stands(&shop.database, in_json).await?, json!(["failed", 1, "export_too_large"]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_worker_that_comes_back_late_spends_nothing_a_second_time() -> Result<()> {
    let shop = Shop::open().await?;
    let (user_id, job_id) = own_export(&shop).await?;
    let late = db::claim_job(&shop.app.db, "late", jobs::LEASE).await?.context("no job")?;
    shop.make_jobs_due().await?;
    let newer = db::claim_job(&shop.app.db, "newer", jobs::LEASE).await?.context("no job")?;
    let deadline = Instant::now() + Duration::from_secs(10);
    assert_eq!(worker(&shop, "late")?.perform(&late, deadline).await?, JobOutcome::Fenced);
    assert_eq!(stands(&shop.database, job_id).await?, json!(["running", 2, null]));
    assert_eq!(spent(&shop.database, user_id).await?, ["hold -1"]);
    assert_eq!(worker(&shop, "newer")?.perform(&newer, deadline).await?, JobOutcome::Finished);
    assert_eq!(worker(&shop, "late")?.perform(&late, deadline).await?, JobOutcome::Fenced);
    assert_eq!(spent(&shop.database, user_id).await?, ["hold -1", "consume 0"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn money_moves_before_what_was_paid_for_with_credits() -> Result<()> {
    let shop = Shop::open().await?;
    own_export(&shop).await?;
    due_refund(&shop).await?;
    shop.database
        .execute("update public.jobs set run_after = now() - interval '1 hour' where credits > 0", &[])
        .await?;
    let first = db::claim_job(&shop.app.db, "a worker", jobs::LEASE).await?.context("no job")?;
    assert_eq!(first.claim().kind, "refund_payment");
    let next = db::claim_job(&shop.app.db, "a worker", jobs::LEASE).await?.context("no job")?;
    assert_eq!(next.claim().kind, EXPORT);
    Ok(())
}

#[tokio::test]
async fn a_job_belongs_to_its_worker_for_as_long_as_the_setting_says() -> Result<()> {
    let seconds = ("JOB_RUNNING_STALE_SECONDS", "77".to_owned());
    let shop =
        Shop::open_with(TestApp::start_with(&[seconds]).await?, &test_support::Provider::default()).await?;
    own_export(&shop).await?;
    // Written down by the database at the moment of the claim.
    let watch =
        "create table public.leases as select clock_timestamp() as at, clock_timestamp() as until limit 0;
        create function public.note_lease() returns trigger language plpgsql security definer as
            'begin insert into public.leases values (clock_timestamp(), new.lease_until); return new; end';
        create trigger note_lease before update on public.jobs for each row when (new.status = 'running')
            execute function public.note_lease()";
    shop.database.admin.batch_execute(watch).await?;
    let done = work_for(&shop, Duration::from_secs(19)).await??;
    assert_eq!(done["succeeded"], json!(1));
    let sql = "select round(extract(epoch from until - at))::integer from public.leases";
    assert_eq!(shop.database.value::<i32>(sql, &[]).await?, 77);
    Ok(())
}

#[tokio::test]
async fn a_job_whose_worker_died_is_taken_over_in_a_run_that_had_begun() -> Result<()> {
    let shop = Shop::open().await?;
    let (user_id, job_id) = own_export(&shop).await?;
    db::claim_job(&shop.app.db, "a worker that dies", jobs::LEASE).await?.context("no job")?;
    let working = work_for(&shop, Duration::from_millis(15_500));
    let lapsing = async {
        test_support::wait_until("a heartbeat", async || Ok(shop.count("worker_heartbeats").await? == 1))
            .await?;
        // The first look for work comes after the first heartbeat, and before the second.
        let sql = "select max(beat_at) from public.worker_heartbeats";
        let first: Timestamp = shop.database.value(sql, &[]).await?;
        let again = async || Ok(shop.database.value::<Timestamp>(sql, &[]).await? > first);
        test_support::wait_until("another heartbeat", again).await?;
        shop.make_jobs_due().await
    };
    let (done, lapsed) = tokio::join!(working, lapsing);
    lapsed?;
    assert_eq!(done??, json!({"succeeded": 1, "unsuccessful": 0}));
    assert_eq!(stands(&shop.database, job_id).await?, json!(["succeeded", 2, null]));
    assert_eq!(spent(&shop.database, user_id).await?, ["hold -1", "consume 0"]);
    Ok(())
}
