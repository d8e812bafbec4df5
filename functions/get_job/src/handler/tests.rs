//! Events as AWS delivers them, over a real database and the worker's own code.

mod door;
mod results;
mod standing;

use anyhow::Result;
use serde_json::Value;
use test_support::{HttpCall, Reply, Shop};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/get_job";

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// A user asks with this query.
fn get(query: &str, user_id: Uuid) -> Result<HttpCall> {
    HttpCall::new("GET", PATH).set("/rawQueryString", query.into()).by(user_id)
}

/// A user asks how a job stands.
async fn standing(shop: &Shop, job_id: Uuid, user_id: Uuid) -> Result<Reply> {
    answer(shop, &get(&format!("job_id={job_id}"), user_id)?).await
}

/// A user who can pay for it has an export made, of their own reservations or a shop's: what came of it.
async fn exported(shop: &Shop, user_id: Uuid, provider_id: Option<Uuid>, input: &Value) -> Result<Value> {
    shop.database.give_credits(user_id, 1).await?;
    let job_id = shop.database.paid_job(user_id, "reservation_export", provider_id, input).await?;
    shop.work_off().await?;
    let reply = standing(shop, job_id, user_id).await?;
    anyhow::ensure!(reply.at("/status") == "succeeded", "{}", reply.body);
    Ok(reply.at("/result").clone())
}
