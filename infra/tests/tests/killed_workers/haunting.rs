//! Who kills the workers, and who comes after them.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use stripe_stand_in::{Fault, FaultKind, RequestMatch};
use test_support::{Shop, wait_until};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::worker::{Worker, Workshop};

/// A worker lives until some jobs have ended since it was at work, whoever did them: fewer than so many, by chance. At most
/// for so long.
const MOST_JOBS: i64 = 90;
const LONGEST_LIFE: Duration = Duration::from_secs(3);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Far longer than all of it takes.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often Stripe does what it is asked for and then says nothing, so that who asked dies waiting.
const SILENCES: u32 = 4;

/// A shop whose workers do not live long.
pub(crate) struct Haunting<'a> {
    shop: &'a Shop,
    workshop: Workshop,
    dead: Mutex<Vec<String>>,
    frozen: AtomicU32,
    started: Instant,
}

/// What became of the workers.
#[derive(Debug)]
pub(crate) struct Toll {
    killed: usize,
    frozen: u32,
    /// The jobs in the middle of which that happened, by kind.
    at_work: String,
    time: Duration,
}

impl fmt::Display for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { killed, frozen, at_work, time } = self;
        write!(
            f,
            "{killed} workers killed and {frozen} frozen in {time:.1?}; in the middle of a job: {at_work}"
        )
    }
}

impl<'a> Haunting<'a> {
    pub(crate) async fn of(shop: &'a Shop) -> Result<Self> {
        for suffix in ["/refunds", "/cancel"] {
            let request = RequestMatch {
                method: Some("POST".to_owned()),
                path_suffix: Some(suffix.to_owned()),
                ..RequestMatch::default()
            };
            let fault = Fault { request, times: SILENCES, kind: FaultKind::HangAfter };
            shop.stripe.admin().add_fault(&fault).await?;
        }
        let workshop = Workshop::of(shop).await?;
        let (dead, frozen) = (Mutex::default(), AtomicU32::new(0));
        Ok(Self { shop, workshop, dead, frozen, started: Instant::now() })
    }

    /// Three workers at a time, until no job is open.
    pub(crate) async fn until_all_is_done(self) -> Result<Toll> {
        tokio::try_join!(self.freeze_and_kill(), self.kill(), self.kill(), self.make_way())?;
        let sql = "select coalesce(string_agg(l.jobs || ' × ' || l.kind, ', '), 'none') from (
                select j.kind, count(*) as jobs from watch.lapses l join public.jobs j on j.id = l.job_id
                group by j.kind order by j.kind
            ) l";
        let at_work = self.shop.database.value(sql, &[]).await?;
        let frozen = self.frozen.load(Ordering::Relaxed);
        Ok(Toll { killed: self.dead().len(), frozen, at_work, time: self.started.elapsed() })
    }

    async fn kill(&self) -> Result<()> {
        while self.is_open().await? {
            let worker = self.workshop.start(Uuid::new_v4().to_string()).await?;
            self.pause().await?;
            self.bury(worker)?;
        }
        Ok(())
    }

    /// What Lambda does to a sandbox at any time: it stops, everybody thinks it dead, and it goes on.
    async fn freeze_and_kill(&self) -> Result<()> {
        while self.is_open().await? {
            let worker = self.workshop.start(Uuid::new_v4().to_string()).await?;
            self.pause().await?;
            worker.stop()?;
            self.frozen.fetch_add(1, Ordering::Relaxed);
            self.end_leases(std::slice::from_ref(&worker.name), false).await?;
            self.wait_for_successors(&worker.name).await?;
            worker.go_on()?;
            self.pause().await?;
            self.bury(worker)?;
        }
        Ok(())
    }

    fn bury(&self, worker: Worker) -> Result<()> {
        let name = worker.name.clone();
        worker.kill()?;
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        Ok(())
    }

    fn dead(&self) -> Vec<String> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the time pass that ends leases of the dead and pauses of jobs that failed. What a worker asked the database
    /// for before it died may be done after its death, so all of the dead are looked at each time.
    async fn make_way(&self) -> Result<()> {
        while self.is_open().await? {
            ensure!(self.started.elapsed() < PATIENCE, "it does not end");
            self.end_leases(&self.dead(), true).await?;
            let pauses = "update public.jobs set run_after = clock_timestamp()
                where status = 'queued' and run_after > clock_timestamp()";
            self.shop.database.execute(pauses, &[]).await?;
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn end_leases(&self, workers: &[String], is_killed: bool) -> Result<()> {
        let sql = "with lapsed as (
                update public.jobs set lease_until = clock_timestamp()
                where status = 'running' and locked_by = any($1) and lease_until > clock_timestamp()
                returning id, fencing_token
            )
            insert into watch.lapses select l.id, l.fencing_token, $2 from lapsed l";
        self.shop.database.execute(sql, &[&workers, &is_killed]).await.map(drop)
    }

    async fn wait_for_successors(&self, worker: &str) -> Result<()> {
        let sql = "select count(*) from public.jobs j join watch.lapses l
            on l.job_id = j.id and l.fencing_token = j.fencing_token
            where j.status = 'running' and j.locked_by = $1";
        wait_until("somebody else takes the job", async || {
            Ok(self.shop.database.value::<i64>(sql, &[&worker]).await? == 0)
        })
        .await
    }

    async fn is_open(&self) -> Result<bool> {
        let sql = "select exists (select from public.jobs where status in ('queued', 'running'))";
        self.shop.database.value(sql, &[]).await
    }

    /// Until a moment that nobody chose.
    async fn pause(&self) -> Result<()> {
        let sql = "select count(*) from public.jobs where status not in ('queued', 'running')";
        let ended = async || self.shop.database.value::<i64>(sql, &[]).await;
        let (some, any) = Uuid::new_v4().as_u64_pair();
        let enough = ended().await? + i64::try_from(some % MOST_JOBS.unsigned_abs())?;
        let begun = Instant::now();
        while begun.elapsed() < LONGEST_LIFE && ended().await? < enough {
            sleep(LOOK).await;
        }
        sleep(Duration::from_micros(any % 20_000)).await;
        Ok(())
    }
}
