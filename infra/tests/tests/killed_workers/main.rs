//! Workers that are killed, or frozen until nobody believes in them, in the middle of a thousand jobs: no job is lost, and
//! none is done twice.

mod chores;
mod haunting;
mod lambda;
mod verdict;
mod worker;

use anyhow::Result;

use crate::chores::Chores;
use crate::haunting::Haunting;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_outlive_their_workers() -> Result<()> {
    let chores = Chores::write().await?;
    let toll = Haunting::of(&chores.shop).await?.until_all_is_done().await?;
    println!("{toll}");
    verdict::ensure_workers_died_at_work(&chores.shop).await?;
    verdict::ensure_every_job_ended_once(&chores.shop).await?;
    verdict::ensure_money_moved_once(&chores.shop).await?;
    verdict::ensure_people_were_told_once(&chores.shop).await?;
    verdict::ensure_credits_were_spent_once(&chores).await?;
    chores.shop.database.assert_consistent().await
}
