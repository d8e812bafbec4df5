//! Events as AWS delivers them, over a real database and a Stripe that fails when told to.

mod door;
mod faults;
mod payments;
mod refusals;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stripe_stand_in::LoggedRequest;
use test_support::{HttpCall, Provider, Reply, Shop, TestApp};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/create_payment_intent";

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// The customer asks to pay.
fn call(shop: &Shop, reservation_id: Uuid) -> Result<HttpCall> {
    HttpCall::post(PATH, &json!({"reservation_id": reservation_id})).by(shop.customer_id)
}

/// A shop whose function has five seconds, of which Stripe gets one.
async fn open_impatient() -> Result<Shop> {
    let test = TestApp::start_with(&[("FUNCTION_TIMEOUT_SECONDS", "5".to_owned())]).await?;
    Shop::open_with(test, &Provider::default()).await
}

/// The requests that reached Stripe to create an intent.
async fn creations(shop: &Shop) -> Result<Vec<LoggedRequest>> {
    let requests = shop.stripe.admin().requests().await?;
    let creates = |request: &LoggedRequest| request.method == "POST" && request.path == "/v1/payment_intents";
    Ok(requests.into_iter().filter(creates).collect())
}

/// The payment of a reservation: status, intent and generation.
async fn payment(shop: &Shop, reservation_id: Uuid) -> Result<Value> {
    let sql = "select jsonb_build_array(status, payment_intent_id, generation) from public.payments
        where reservation_id = $1 and not superseded";
    shop.database.value(sql, &[&reservation_id]).await
}

/// Fails unless the answer offers this reservation's one live intent, and says which it is.
async fn assert_offers_the_only_intent(shop: &Shop, reservation_id: Uuid, reply: &Reply) -> Result<String> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let intent_id = reply.at("/payment_intent_id").as_str().context("no intent")?.to_owned();
    let mut live = shop.intents().await?;
    live.retain(|(_, status)| status != "canceled");
    assert_eq!(live, [(intent_id.clone(), "requires_payment_method".to_owned())]);
    assert_eq!(payment(shop, reservation_id).await?[1], json!(intent_id));
    Ok(intent_id)
}
