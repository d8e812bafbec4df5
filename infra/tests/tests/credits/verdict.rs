//! What must hold of every sequence, by our books, by Stripe's, and by what was answered.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use tokio_postgres::Row;
use uuid::Uuid;

use super::jobs::Job;
use super::requests::Correction;
use super::shop::Shop;
use super::{jobs, topups};

/// A customer's account as our books have it.
#[derive(Debug)]
struct Account {
    user_id: Uuid,
    balance: i64,
    owed: i64,
    /// The sum of its entries.
    entered: i64,
    /// What the jobs cost that are open or have succeeded.
    spent: i64,
}

const ACCOUNTS: &str = "
    select c.user_id, a.balance, a.owed,
        (select coalesce(sum(l.amount), 0)::bigint from public.credit_ledger l where l.customer_id = c.id),
        (
            select coalesce(sum(j.credits), 0)::bigint from public.jobs j
            where j.customer_id = c.id and j.status <> 'failed'
        )
    from public.credit_accounts a
    join public.customers c on c.id = a.customer_id";

impl Account {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            user_id: row.try_get(0)?,
            balance: row.try_get(1)?,
            owed: row.try_get(2)?,
            entered: row.try_get(3)?,
            spent: row.try_get(4)?,
        })
    }
}

/// Fails unless everything holds that holds at any time, whatever is still under way.
///
/// # Errors
/// Naming what does not.
pub(super) async fn judge_so_far(shop: &Shop<'_>) -> Result<()> {
    let mut broken = broken(shop, false).await?;
    // What was paid and is not what was asked for is what the reconciliation sees to.
    broken.retain(|what| !what.starts_with("money_without_credits"));
    ensure!(broken.is_empty(), "promises broken: {broken:#?}");
    Ok(())
}

/// Fails unless every promise holds, now that nothing is left to do.
///
/// # Errors
/// Naming those that do not.
pub(super) async fn judge(shop: &Shop<'_>) -> Result<()> {
    let mut broken = broken(shop, true).await?;
    let (bought, wrong) = topups::bought(shop).await?;
    broken.extend(wrong);
    let mut corrected: BTreeMap<Uuid, i64> = BTreeMap::new();
    for correction in corrections(shop).await? {
        *corrected.entry(correction.user).or_default() += correction.amount;
    }
    for account in accounts(shop).await? {
        let of = |sums: &BTreeMap<Uuid, i64>| sums.get(&account.user_id).copied().unwrap_or_default();
        let left = of(&bought) + of(&corrected) - account.spent;
        if account.balance - account.owed != left {
            broken.push(format!("{left} credits should be left: {account:?}"));
        }
    }
    ensure!(broken.is_empty(), "promises broken: {broken:#?}");
    Ok(())
}

/// What our books contradict themselves in, or what was answered. `is_over`: nothing is left to do.
async fn broken(shop: &Shop<'_>, is_over: bool) -> Result<Vec<String>> {
    let mut broken = shop.market.database.violations().await?;
    for account in accounts(shop).await? {
        let is_right = account.balance == account.entered
            && account.balance >= 0
            && (account.owed == 0 || account.balance == 0);
        if !is_right {
            broken.push(format!("an account that is wrong: {account:?}"));
        }
    }
    let jobs = jobs::read(shop).await?;
    broken.extend(jobs::broken(shop, &jobs, is_over).await?);
    let mut there: BTreeSet<(String, String)> = jobs.iter().flat_map(Job::answers).collect();
    there.extend(topups::answers(shop).await?);
    for correction in corrections(shop).await? {
        if !shop.requests.corrections.contains(&correction) {
            broken.push(format!("nobody asked for this: {correction:?}"));
        }
        there.insert((correction.key, String::new()));
    }
    broken.extend(shop.requests.answers.missing_in(&there));
    Ok(broken)
}

async fn accounts(shop: &Shop<'_>) -> Result<Vec<Account>> {
    let rows = shop.market.database.admin.query(ACCOUNTS, &[]).await?;
    rows.iter().map(Account::read).collect()
}

/// The corrections in the ledger.
async fn corrections(shop: &Shop<'_>) -> Result<Vec<Correction>> {
    let sql = "select replace(l.idempotency_key, 'admin:adjust:', ''), c.user_id, l.amount
        from public.credit_ledger l join public.customers c on c.id = l.customer_id
        where l.entry_type = 'adjustment'";
    let rows = shop.market.database.admin.query(sql, &[]).await?;
    let correction =
        |row: &Row| Ok(Correction { key: row.try_get(0)?, user: row.try_get(1)?, amount: row.try_get(2)? });
    rows.iter().map(correction).collect()
}
