//! Jobs that customers pay for with credits, without any function.

use anyhow::Result;
use kitloop::db::{self, CreatedJob, JobRequest};
use kitloop::domain::{Contact, ProviderId};
use serde_json::Value;
use uuid::Uuid;

use crate::TestDatabase;

impl TestDatabase {
    /// Gives a user credits, as an operator does.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn give_credits(&self, user_id: Uuid, credits: i64) -> Result<()> {
        let customer = "insert into public.customers (user_id) values ($1) on conflict (user_id) do nothing";
        self.execute(customer, &[&user_id]).await?;
        let gift = "select kitloop.adjust_credits('Ada', $1, $2, 'a gift', $3)";
        self.execute(gift, &[&user_id, &credits, &Uuid::new_v4().to_string()]).await.map(drop)
    }

    /// A new user who has so many credits.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn user_with_credits(&self, credits: i64) -> Result<Uuid> {
        let user_id = Uuid::new_v4();
        self.give_credits(user_id, credits).await?;
        Ok(user_id)
    }

    /// The credits that a user can spend.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn balance(&self, user_id: Uuid) -> Result<i64> {
        let sql = "select (kitloop.credits($1, null, 1) ->> 'balance')::bigint";
        self.value(sql, &[&user_id]).await
    }

    /// What a user's account has had, oldest first, as (type, amount).
    ///
    /// # Errors
    /// If the database is away.
    pub async fn ledger(&self, user_id: Uuid) -> Result<Vec<(String, i64)>> {
        let sql = "select l.entry_type, l.amount from public.credit_ledger l
            join public.customers c on c.id = l.customer_id where c.user_id = $1 order by l.id";
        let rows = self.admin.query(sql, &[&user_id]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// A user pays one credit for a job of this kind, under a new idempotency key, to be tried five times.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn paid_job(
        &self,
        user_id: Uuid,
        kind: &str,
        provider_id: Option<Uuid>,
        input: &Value,
    ) -> Result<Uuid> {
        let job = self.paid_job_under(&Uuid::new_v4().to_string(), user_id, kind, provider_id, input).await?;
        Ok(serde_json::from_value(job.answer.get("job_id").cloned().unwrap_or_default())?)
    }

    /// The same under a given key.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn paid_job_under(
        &self,
        idempotency_key: &str,
        user_id: Uuid,
        kind: &str,
        provider_id: Option<Uuid>,
        input: &Value,
    ) -> Result<CreatedJob> {
        let request = JobRequest {
            caller: &format!("user:{user_id}"),
            idempotency_key,
            request_hash: "hash",
            user_id,
            profile: &Contact::default(),
            kind,
            credits: 1,
            max_attempts: 5,
            provider_id: provider_id.map(ProviderId),
            input,
        };
        Ok(db::create_job(&self.db()?, &request).await?)
    }
}
