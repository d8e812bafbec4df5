//! Events as AWS delivers them, over a real database.

mod door;
mod fields;
mod idempotency;
mod outages;
mod refusals;
mod reservations;

use anyhow::Result;
use serde_json::json;
use test_support::{HttpCall, Reply, Shop, in_days};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/reserve_gear";

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// A good request by the customer: the shop's item for a day, thirty days ahead, under a new key.
fn good_call(shop: &Shop) -> Result<HttpCall> {
    let body = json!({
        "provider_id": shop.provider_id, "gear_id": shop.gear_id, "start_date": in_days(30), "end_date": in_days(31),
        "idempotency_key": Uuid::new_v4(),
    });
    HttpCall::post(PATH, &body).by(shop.customer_id)
}
