//! Jobs that customers pay for: credits are held, spent or given back with them, whatever becomes of their workers.

use anyhow::{Context, Result, bail};
use kitloop::db::{self, CreatedJob, ExportRequest, JobOutcome, JobRequest, JobRetry};
use kitloop::domain::{ClaimedJob, Contact, JobId, PaidJob, ProviderId};
use kitloop::error::{Code, Error};
use serde_json::{Value, json};
use test_support::{Gear, Provider};
use uuid::Uuid;

use super::jobs::{end_leases, end_pauses};
use super::shop::{LEASE, Shop, refused};

const KIND: &str = "reservation_export";

/// A user with so many credits.
pub(super) async fn user_with(shop: &Shop, credits: i64) -> Result<Uuid> {
    let user_id = Uuid::new_v4();
    shop.database.execute("insert into public.customers (user_id) values ($1)", &[&user_id]).await?;
    adjust(shop, user_id, credits).await?;
    Ok(user_id)
}

async fn adjust(shop: &Shop, user_id: Uuid, amount: i64) -> Result<()> {
    let sql = "select kitloop.adjust_credits('Ada', $1, $2, 'a gift', gen_random_uuid()::text)";
    shop.database.execute(sql, &[&user_id, &amount]).await.map(drop)
}

/// The user asks for a job of two credits, under that key.
pub(super) async fn ask(
    shop: &Shop,
    user_id: Uuid,
    key: &str,
    provider_id: Option<Uuid>,
) -> Result<CreatedJob, Error> {
    let request = JobRequest {
        caller: &user_id.to_string(),
        idempotency_key: key,
        request_hash: "hash",
        user_id,
        profile: &Contact::default(),
        kind: KIND,
        credits: 2,
        max_attempts: 2,
        provider_id: provider_id.map(ProviderId),
        input: &json!({"format": "csv"}),
    };
    db::create_job(&shop.db, &request).await
}

async fn claim(shop: &Shop) -> Result<Option<PaidJob>> {
    match db::claim_job(&shop.db, "worker", LEASE).await? {
        Some(ClaimedJob::Paid(job)) => Ok(Some(job)),
        Some(other) => bail!("not a paid job: {other:?}"),
        None => Ok(None),
    }
}

pub(super) async fn claimed(shop: &Shop) -> Result<PaidJob> {
    claim(shop).await?.context("no job is due")
}

/// The balance, and the entries that are about jobs, oldest first: `hold -2`.
async fn ledger(shop: &Shop, user_id: Uuid) -> Result<(i64, Vec<String>)> {
    let entries = "select coalesce(array_agg(l.entry_type || ' ' || l.amount order by l.id), '{}')
        from public.credit_ledger l
        join public.customers c on c.id = l.customer_id
        where c.user_id = $1 and l.job_id is not null";
    let credits = db::credits(&shop.db, user_id, None, 1).await?;
    let balance = credits.get("balance").and_then(Value::as_i64).context("no balance")?;
    Ok((balance, shop.database.value(entries, &[&user_id]).await?))
}

async fn job_of(shop: &Shop, user_id: Uuid, job: &PaidJob) -> Result<Value> {
    Ok(db::get_job(&shop.db, user_id, job.claim.id).await?)
}

/// The only dead letter that waits for somebody.
async fn dead_letter(shop: &Shop) -> Result<Uuid> {
    shop.database.value("select id from public.job_dead_letters where replayed_at is null", &[]).await
}

#[tokio::test]
async fn what_a_job_costs_is_held_when_it_is_made_and_spent_when_it_succeeds() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 3).await?;
    let created = ask(&shop, user, "key", None).await?;
    assert_eq!(created.answer["credits_held"], 2);
    assert_eq!(ledger(&shop, user).await?, (1, vec!["hold -2".to_owned()]));

    let job = claimed(&shop).await?;
    assert_eq!((job.user_id, job.claim.kind.as_str(), &job.input["format"]), (user, KIND, &json!("csv")));
    let outcome = db::finish_paid_job(&shop.db, &job, &json!({"rows": 0})).await?;
    assert_eq!(outcome, JobOutcome::Finished);
    assert_eq!(ledger(&shop, user).await?, (1, vec!["hold -2".to_owned(), "consume 0".to_owned()]));
    let expected = json!({
        "job_id": job.claim.id.0, "kind": KIND, "status": "succeeded", "credits_held": 0, "attempts": 1,
        "idempotent_replay": false, "result": {"rows": 0}
    });
    assert_eq!(job_of(&shop, user, &job).await?, expected);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn who_has_too_few_credits_gets_no_job_and_keeps_them() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 1).await?;
    assert_eq!(refused(ask(&shop, user, "key", None).await)?, Code::InsufficientCredits);
    assert_eq!(ledger(&shop, user).await?, (1, Vec::new()));
    assert_eq!(shop.jobs().await?, Vec::<String>::new());
    adjust(&shop, user, 1).await?;
    let created = ask(&shop, user, "key", None).await?;
    assert!(!created.replayed, "whoever has bought credits asks again, with the same key");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_same_request_is_the_same_job_and_the_job_tells() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 9).await?;
    let first = ask(&shop, user, "key", None).await?;
    let again = ask(&shop, user, "key", None).await?;
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.answer["job_id"], again.answer["job_id"]);
    assert_eq!(again.answer["idempotent_replay"], true);
    assert_eq!(ledger(&shop, user).await?.0, 7);
    let job = claimed(&shop).await?;
    assert_eq!(job_of(&shop, user, &job).await?["idempotent_replay"], true);
    assert!(claim(&shop).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_job_that_fails_in_every_attempt_ends_as_a_dead_letter_and_the_credits_come_back() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 2).await?;
    ask(&shop, user, "key", None).await?;
    for outcome in [JobOutcome::Retried, JobOutcome::Failed] {
        let job = claimed(&shop).await?;
        assert_eq!(db::retry_job(&shop.db, &job.claim, "unknown_kind", JobRetry::Later).await?, outcome);
        end_pauses(&shop).await?;
    }
    assert_eq!(ledger(&shop, user).await?, (2, vec!["hold -2".to_owned(), "release 2".to_owned()]));
    let letter = "select last_error || ' ' || attempts from public.job_dead_letters";
    assert_eq!(shop.database.value::<String>(letter, &[]).await?, "unknown_kind 2");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_job_whose_workers_all_die_gives_its_credits_back() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 2).await?;
    ask(&shop, user, "key", None).await?;
    for _ in 0..2 {
        claimed(&shop).await?;
        end_leases(&shop).await?;
    }
    assert!(claim(&shop).await?.is_none());
    assert_eq!(ledger(&shop, user).await?.0, 2);
    dead_letter(&shop).await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn who_was_thought_dead_can_neither_finish_nor_give_back_what_another_does() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 2).await?;
    ask(&shop, user, "key", None).await?;
    let late = claimed(&shop).await?;
    end_leases(&shop).await?;
    let newer = claimed(&shop).await?;
    assert_eq!(db::finish_paid_job(&shop.db, &late, &json!("late")).await?, JobOutcome::Fenced);
    assert_eq!(db::retry_job(&shop.db, &late.claim, "late", JobRetry::Never).await?, JobOutcome::Fenced);
    assert_eq!(db::finish_paid_job(&shop.db, &newer, &json!("newer")).await?, JobOutcome::Finished);
    assert_eq!(db::finish_paid_job(&shop.db, &newer, &json!("twice")).await?, JobOutcome::Fenced);
    assert_eq!(job_of(&shop, user, &newer).await?["result"], "newer");
    assert_eq!(ledger(&shop, user).await?, (0, vec!["hold -2".to_owned(), "consume 0".to_owned()]));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn money_comes_before_what_customers_pay_for() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let user = user_with(&shop, 2).await?;
    ask(&shop, user, "key", None).await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.database.lapse(hold.id.0).await?;
    db::expire_holds(&shop.db, 10).await?;
    let age = "update public.jobs set run_after = clock_timestamp() - interval '1 day' where kind = $1";
    shop.database.execute(age, &[&KIND]).await?;
    assert!(shop.claim("worker").await?.is_some(), "the intent is called off first");
    claimed(&shop).await?;
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_is_replayed_for_credits_that_are_held_again() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 2).await?;
    ask(&shop, user, "key", None).await?;
    let job = claimed(&shop).await?;
    db::retry_job(&shop.db, &job.claim, "forbidden", JobRetry::Never).await?;
    adjust(&shop, user, -1).await?;
    let letter = dead_letter(&shop).await?;

    let poor = db::replay_dead_letter(&shop.db, letter, "Ada").await.map(drop);
    assert_eq!(refused(poor)?, Code::InsufficientCredits);
    assert_eq!(dead_letter(&shop).await?, letter, "it waits for the credits");
    adjust(&shop, user, 1).await?;
    db::replay_dead_letter(&shop.db, letter, "Ada").await?;
    assert_eq!(ledger(&shop, user).await?.0, 0);
    let again = claimed(&shop).await?;
    assert_eq!(again.claim.id, job.claim.id);
    db::retry_job(&shop.db, &again.claim, "forbidden", JobRetry::Never).await?;
    let entries = ["hold -2", "release 2", "hold -2", "release 2"].map(str::to_owned).to_vec();
    assert_eq!(ledger(&shop, user).await?, (2, entries));
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn credits_that_come_back_pay_what_is_owed_first() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 2).await?;
    ask(&shop, user, "key", None).await?;
    shop.database.execute("update public.credit_accounts set owed = 1", &[]).await?;
    let job = claimed(&shop).await?;
    db::retry_job(&shop.db, &job.claim, "forbidden", JobRetry::Never).await?;
    assert_eq!(ledger(&shop, user).await?.0, 1);
    let owed = shop.database.value::<i64>("select owed from public.credit_accounts", &[]).await?;
    assert_eq!(owed, 0);
    Ok(())
}

#[tokio::test]
async fn a_customers_job_cannot_pass_for_one_of_ours() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 9).await?;
    for kind in ["refund_payment", "capture_payment_intent", "cancel_payment_intent", "send_email", "Export"]
    {
        let sql = "select kitloop.create_job('u', $2, 'h', $1, '{}', $2, 1, 1, null, '{}')";
        assert!(shop.database.execute(sql, &[&user, &kind]).await.is_err(), "{kind}");
    }
    let sql = "select kitloop.create_job('u', 'key', 'h', $1, '{}', 'export', 1, 1, null, '{}')";
    shop.database.execute(sql, &[&user]).await?;
    assert_eq!(ledger(&shop, user).await?, (8, vec!["hold -1".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn only_who_works_there_has_jobs_done_for_a_shop() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 9).await?;
    adjust_staff(&shop).await?;
    assert_eq!(refused(ask(&shop, user, "a", Some(shop.provider)).await)?, Code::Forbidden);
    assert_eq!(refused(ask(&shop, user, "b", Some(Uuid::new_v4())).await)?, Code::ProviderNotFound);
    ask(&shop, shop.staff, "c", Some(shop.provider)).await?;
    assert_eq!(claimed(&shop).await?.provider_id, Some(ProviderId(shop.provider)));
    assert_eq!(ledger(&shop, user).await?, (9, Vec::new()));
    Ok(())
}

/// Gives the shop's staff credits of their own.
async fn adjust_staff(shop: &Shop) -> Result<()> {
    shop.database.execute("insert into public.customers (user_id) values ($1)", &[&shop.staff]).await?;
    adjust(shop, shop.staff, 2).await
}

/// The reservations that an export for that user has.
pub(super) async fn exported(
    shop: &Shop,
    user_id: Uuid,
    provider_id: Option<Uuid>,
    limit: i32,
) -> Result<Vec<Uuid>, Error> {
    let request = ExportRequest {
        job_id: JobId(Uuid::new_v4()),
        user_id,
        provider_id: provider_id.map(ProviderId),
        from: None,
        to: None,
        limit,
    };
    let reservations = db::export_reservations(&shop.db, &request).await?;
    let ids =
        reservations.iter().filter_map(|reservation| reservation["reservation_id"].as_str()?.parse().ok());
    Ok(ids.collect())
}

#[tokio::test]
async fn an_export_has_what_is_the_users_own_or_their_shops_and_nothing_else() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let (ours, theirs) = (shop.confirmed("pi_1").await?, shop.hold().await?);
    assert_eq!(exported(&shop, ours.customer, None, 9).await?, [ours.id.0]);
    assert_eq!(exported(&shop, Uuid::new_v4(), None, 9).await?, [] as [Uuid; 0]);
    let mut of_the_shop = exported(&shop, shop.staff, Some(shop.provider), 2).await?;
    of_the_shop.sort_unstable();
    let mut both = [ours.id.0, theirs.id.0];
    both.sort_unstable();
    assert_eq!(of_the_shop, both);
    assert_eq!(refused(exported(&shop, ours.customer, Some(shop.provider), 9).await)?, Code::Forbidden);
    assert_eq!(refused(exported(&shop, shop.staff, Some(shop.provider), 1).await)?, Code::ExportTooLarge);
    let audit = "select actor || ' ' || (details ->> 'reservations') from public.audit_logs
        where action = 'reservation_export' and provider_id = $1";
    let entry: String = shop.database.value(audit, &[&shop.provider]).await?;
    assert_eq!(entry, format!("user:{} 2", shop.staff));
    Ok(())
}

#[tokio::test]
async fn whoever_has_left_the_shop_does_not_see_what_was_made_for_it() -> Result<()> {
    let shop = Shop::open().await?;
    adjust_staff(&shop).await?;
    ask(&shop, shop.staff, "key", Some(shop.provider)).await?;
    let job = claimed(&shop).await?;
    db::finish_paid_job(&shop.db, &job, &json!("theirs")).await?;
    assert_eq!(job_of(&shop, shop.staff, &job).await?["result"], "theirs");
    shop.database.execute("delete from public.provider_members", &[]).await?;
    let document = job_of(&shop, shop.staff, &job).await?;
    assert_eq!((&document["status"], document.get("result")), (&json!("succeeded"), None));
    Ok(())
}

#[tokio::test]
async fn a_thousand_jobs_that_are_over_do_not_keep_a_claim_from_the_next() -> Result<()> {
    let shop = Shop::open().await?;
    let user = user_with(&shop, 2_000).await?;
    let over = "insert into public.jobs (kind, customer_id, credits, input, status, attempts, max_attempts, lease_until)
        select 'over', c.id, 1, '{}', 'running', 1, 1, clock_timestamp() - interval '1 minute'
        from public.customers c, generate_series(1, 1000)
        where c.user_id = $1";
    shop.database.execute(over, &[&user]).await?;
    shop.database.execute("select kitloop.enter_job_credits(j, 'hold') from public.jobs j", &[]).await?;
    ask(&shop, user, "key", None).await?;
    assert_eq!(claimed(&shop).await?.claim.kind, KIND);
    let letters = "select count(*) from public.job_dead_letters";
    assert_eq!(shop.database.value::<i64>(letters, &[]).await?, 1_000);
    shop.database.assert_consistent().await
}
