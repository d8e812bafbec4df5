//! Events as AWS delivers them, over a real database.

mod door;
mod input;
mod paying;

use anyhow::Result;
use serde_json::json;
use test_support::{HttpCall, Reply, Shop};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/create_job";

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// A user asks for an export of their own reservations under a key.
fn export(user_id: Uuid, key: &str) -> Result<HttpCall> {
    let body = json!({"kind": "reservation_export", "input": {"format": "csv"}, "idempotency_key": key});
    HttpCall::post(PATH, &body).by(user_id)
}
