//! What must hold of every paid job, at any time: it is in exactly one state, and the ledger and the dead letters say so.

use std::collections::BTreeMap;

use anyhow::Result;
use tokio_postgres::Row;
use uuid::Uuid;

use super::requests::ErrandRequest;
use super::shop::Shop;
use super::steps::Task;

/// A paid job as our books have it.
#[derive(Debug)]
pub(super) struct Job {
    id: Uuid,
    user_id: Uuid,
    kind: String,
    status: String,
    credits: i64,
    attempts: i32,
    max_attempts: i32,
    has_result: bool,
    /// Whether it failed for a reason that is known.
    has_reason: bool,
    /// The keys of the requests that made it.
    keys: Vec<String>,
    books: Books,
    /// Whether each entry is for what the job costs, in the account of who wanted it.
    is_priced: bool,
    /// How often an operator had it run again.
    revivals: i64,
}

/// How often something of a job is in the books.
#[derive(Debug, PartialEq, Eq)]
struct Books {
    holds: i64,
    releases: i64,
    consumes: i64,
    open_letters: i64,
}

const JOBS: &str = "
    select j.id, c.user_id, j.kind, j.status, j.credits, j.attempts, j.max_attempts,
        j.result is not null, j.last_error is not null,
        array(
            select k.key from public.idempotency_keys k
            where k.operation = 'create_job' and k.response #>> '{answer,job_id}' = j.id::text
        ),
        l.holds, l.releases, l.consumes, d.open, coalesce(l.is_priced, false), d.replayed
    from public.jobs j
    join public.customers c on c.id = j.customer_id
    cross join lateral (
        select count(*) filter (where l.entry_type = 'hold') as holds,
            count(*) filter (where l.entry_type = 'release') as releases,
            count(*) filter (where l.entry_type = 'consume') as consumes,
            bool_and(l.customer_id = j.customer_id and l.amount = case l.entry_type
                when 'hold' then -j.credits when 'release' then j.credits else 0
            end) as is_priced
        from public.credit_ledger l where l.job_id = j.id
    ) l
    cross join lateral (
        select count(*) filter (where d.replayed_at is null) as open,
            count(*) filter (where d.replayed_at is not null) as replayed
        from public.job_dead_letters d where d.job_id = j.id
    ) d";

impl Job {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.try_get(0)?,
            user_id: row.try_get(1)?,
            kind: row.try_get(2)?,
            status: row.try_get(3)?,
            credits: row.try_get(4)?,
            attempts: row.try_get(5)?,
            max_attempts: row.try_get(6)?,
            has_result: row.try_get(7)?,
            has_reason: row.try_get(8)?,
            keys: row.try_get(9)?,
            books: Books {
                holds: row.try_get(10)?,
                releases: row.try_get(11)?,
                consumes: row.try_get(12)?,
                open_letters: row.try_get(13)?,
            },
            is_priced: row.try_get(14)?,
            revivals: row.try_get(15)?,
        })
    }

    /// The requests that may have been answered with it.
    pub(super) fn answers(&self) -> Vec<(String, String)> {
        self.keys.iter().map(|key| (key.clone(), self.id.to_string())).collect()
    }

    /// What the books must say of it: each time that it was given up its credits came back, and each time that it was
    /// taken up again they were held again.
    fn expected(&self) -> Books {
        let is = |status| i64::from(self.status == status);
        Books {
            holds: 1 + self.revivals,
            releases: self.revivals + is("failed"),
            consumes: is("succeeded"),
            open_letters: is("failed"),
        }
    }

    /// What of this is not as it must be.
    fn broken(&self, requests: &BTreeMap<&str, &ErrandRequest>) -> impl Iterator<Item = &'static str> {
        let request = match self.keys.as_slice() {
            [key] => requests.get(key.as_str()),
            _ => None,
        };
        let is_as_asked = request.is_some_and(|request| {
            let errand = request.errand;
            request.user == self.user_id
                && errand.task.kind() == self.kind
                && errand.credits == self.credits
                && errand.max_attempts == self.max_attempts
        });
        let is_doable =
            request.is_some_and(|request| !matches!(request.errand.task, Task::Unknown | Task::Nonsense));
        [
            (
                !matches!(self.status.as_str(), "queued" | "running" | "succeeded" | "failed"),
                "in no known state",
            ),
            (self.books != self.expected(), "not what the books say"),
            (!self.is_priced, "entered for another price or customer"),
            (!is_as_asked, "not what was asked for, once"),
            (self.attempts > self.max_attempts, "tried too often"),
            (self.has_result != (self.status == "succeeded"), "a result without success, or the reverse"),
            (self.status == "failed" && !self.has_reason, "failed for no reason"),
            (self.status == "succeeded" && !is_doable, "succeeded in the impossible"),
        ]
        .into_iter()
        .filter_map(|(is_broken, what)| is_broken.then_some(what))
    }
}

/// Every paid job.
pub(super) async fn read(shop: &Shop<'_>) -> Result<Vec<Job>> {
    let rows = shop.market.database.admin.query(JOBS, &[]).await?;
    rows.iter().map(Job::read).collect()
}

/// What of the jobs is not as it must be. `is_over`: none is left to do.
pub(super) async fn broken(shop: &Shop<'_>, jobs: &[Job], is_over: bool) -> Result<Vec<String>> {
    let requests = shop.requests.errands.iter().map(|request| (request.key.as_str(), request)).collect();
    let mut broken: Vec<String> = Vec::new();
    for job in jobs {
        broken.extend(job.broken(&requests).map(|what| format!("{what}: {job:?}")));
        if is_over && matches!(job.status.as_str(), "queued" | "running") {
            broken.push(format!("not over: {job:?}"));
        }
    }
    let made: usize = jobs.iter().map(|job| job.keys.len()).sum();
    let answered = "select count(*) from public.idempotency_keys
        where operation = 'create_job' and response ->> 'outcome' = 'created'";
    let answered: i64 = shop.market.database.value(answered, &[]).await?;
    if i64::try_from(made)? != answered {
        broken.push(format!("{answered} keys made {made} jobs"));
    }
    Ok(broken)
}
