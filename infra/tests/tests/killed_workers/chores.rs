//! A thousand jobs of all kinds, written by the operations that write them in earnest.

use std::time::Duration;

use anyhow::{Result, ensure};
use kitloop::app::pay;
use kitloop::db;
use test_support::{Shop, actor, reserve};
use tokio::time::Instant;
use uuid::Uuid;

/// In all.
pub(crate) const JOBS: i64 = 1_000;
/// Reservations that are paid, with as many refunds each.
const PAID: usize = 16;
const REFUNDS_OF_EACH: usize = 10;
pub(crate) const REFUNDS: i64 = 160;
/// What each refund sends back, in minor units.
pub(crate) const REFUND_MINOR: i64 = 1_000;
/// Holds that lapsed with an open intent.
pub(crate) const CANCELLATIONS: i64 = 40;
/// Jobs that nobody can do.
pub(crate) const POISON: i64 = 20;
/// What they are of.
pub(crate) const POISON_KIND: &str = "reservation_import";
/// Who pays for jobs; the first of them for their shop's.
const PAYERS: usize = 8;
/// What each of them has left when the jobs are made.
pub(crate) const LEFT: i64 = 3;

/// The shop whose jobs they are, and who pays for those that cost credits.
pub(crate) struct Chores {
    pub(crate) shop: Shop,
    pub(crate) payers: Vec<Uuid>,
}

impl Chores {
    pub(crate) async fn write() -> Result<Self> {
        let shop = Shop::open().await?;
        shop.database.execute("update public.gear_items set quantity_total = 1000", &[]).await?;
        watch(&shop).await?;
        due_cancellations(&shop).await?;
        due_refunds(&shop).await?;
        due_emails(&shop).await?;
        let payers = paid_jobs(&shop).await?;
        let jobs = shop.count("jobs").await?;
        ensure!(jobs == JOBS, "{jobs} jobs");
        Ok(Self { shop, payers })
    }
}

/// Has the database note each change of a job's status, and each end; and room for the leases that end before their time.
async fn watch(shop: &Shop) -> Result<()> {
    let sql = "create schema watch;
        create table watch.moves (job_id uuid, before text, after text);
        create table watch.lapses (job_id uuid, fencing_token bigint, is_killed boolean);
        create function watch.note_move() returns trigger language plpgsql security definer as $$
            begin
                insert into watch.moves values (new.id, old.status, new.status);
                return null;
            end
        $$;
        create trigger note_move after update on public.jobs for each row
            when (old.status <> new.status or old.finished_at is distinct from new.finished_at)
            execute function watch.note_move()";
    Ok(shop.database.admin.batch_execute(sql).await?)
}

/// A hold of the customer's, with the intent that pays for it: the reservation and the intent.
async fn hold_with_intent(shop: &Shop) -> Result<(Uuid, String)> {
    let (db, customer) = (&shop.app.db, shop.customer_id);
    let reservation_id = reserve(db, customer, &shop.booking()?).await?.reservation_id;
    let deadline = Instant::now() + Duration::from_secs(15);
    let payment =
        pay::start_payment(db, shop.app.stripe()?, actor(customer), reservation_id, deadline).await?;
    Ok((reservation_id.0, payment.payment_intent_id))
}

async fn due_cancellations(shop: &Shop) -> Result<()> {
    for _ in 0..CANCELLATIONS {
        hold_with_intent(shop).await?;
    }
    let lapse = "update public.reservations set reserved_until = clock_timestamp() - interval '1 second'";
    shop.database.execute(lapse, &[]).await?;
    db::expire_holds(&shop.app.db, 100).await?;
    let address = "update public.customers set email = 'jana@example.com'";
    shop.database.execute(address, &[]).await.map(drop)
}

/// Small ones: Stripe would make each of them twice, if it were asked to.
async fn due_refunds(shop: &Shop) -> Result<()> {
    for _ in 0..PAID {
        let (reservation_id, intent_id) = hold_with_intent(shop).await?;
        shop.pay_with(&intent_id, "pm_card_visa").await?;
        shop.hear_of(&intent_id).await?;
        for _ in 0..REFUNDS_OF_EACH {
            shop.refund(reservation_id, REFUND_MINOR).await?;
        }
    }
    Ok(())
}

/// Beside the confirmations of what was paid.
async fn due_emails(shop: &Shop) -> Result<()> {
    shop.database.execute("update public.providers set contact_email = 'shop@example.com'", &[]).await?;
    let sql = "select kitloop.notify(r.id, k.kind) from public.reservations r,
        unnest(array['cancellation', 'declined', 'conflict_apology', 'conflict_notice', 'refund_failed']) k (kind)";
    shop.database.execute(sql, &[]).await.map(drop)
}

/// As many as there is room for.
async fn paid_jobs(shop: &Shop) -> Result<Vec<Uuid>> {
    let count = JOBS - shop.count("jobs").await?;
    let mut payers = vec![shop.staff_id];
    payers.resize_with(PAYERS, Uuid::new_v4);
    for payer in &payers {
        shop.database.give_credits(*payer, count + LEFT).await?;
    }
    let make = "select kitloop.create_job('user:' || p.id, n::text, 'hash', p.id, '{}',
            case when n <= $2 then $3 else 'reservation_export' end, 1, 5,
            case when p.id = $4 then $5::uuid end, '{\"format\": \"csv\"}')
        from generate_series(1, $1::bigint) n, unnest($6::uuid[]) with ordinality p (id, number)
        where p.number = 1 + n % cardinality($6::uuid[])";
    let (staff, provider) = (shop.staff_id, shop.provider_id);
    shop.database.execute(make, &[&count, &POISON, &POISON_KIND, &staff, &provider, &payers]).await?;
    let even_out =
        "select kitloop.adjust_credits('Ada', c.user_id, $1 - a.balance, 'not needed', 'even-' || c.id)
        from public.credit_accounts a join public.customers c on c.id = a.customer_id where a.balance <> $1";
    shop.database.execute(even_out, &[&LEFT]).await?;
    Ok(payers)
}
