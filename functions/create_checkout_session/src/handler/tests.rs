//! Events as AWS delivers them, over a real database and a Stripe that fails when told to.

mod checkout;
mod door;

use anyhow::Result;
use serde_json::{Value, json};
use test_support::{HttpCall, Reply, Shop};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/create_checkout_session";
const PAGE: &str = "https://shop.example/credits";

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// A user buys 25 credits under a key.
fn buy(user_id: Uuid, key: &str) -> Result<HttpCall> {
    let body = json!({"credits": 25, "success_url": PAGE, "cancel_url": PAGE, "idempotency_key": key});
    HttpCall::post(PATH, &body).by(user_id)
}

/// The sessions at Stripe.
async fn sessions(shop: &Shop) -> Result<Vec<Value>> {
    let page = shop.stripe_get("checkout/sessions").await?;
    Ok(page["data"].as_array().cloned().unwrap_or_default())
}
