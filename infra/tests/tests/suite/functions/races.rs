//! Many callers at once, through several processes of a function.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stripe_stand_in::FaultKind;
use test_support::{Gear, HttpCall, Provider, Reply, StripeEvent};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::lambda::Function;
use super::product::{Product, start_payment};

const PROCESSES: usize = 4;
/// The runtime stalls when many more calls than this queue for one function. It is still far more than there are
/// processes, so that each of them is busy all the time.
const MOST_IN_FLIGHT: usize = 64;

/// Makes all calls at the same time and returns all answers.
async fn all_at_once(function: &Function, calls: Vec<HttpCall>) -> Result<Vec<Reply>> {
    let slots = Arc::new(Semaphore::new(MOST_IN_FLIGHT));
    let mut callers = JoinSet::new();
    for call in calls {
        let (address, slots) = (function.address.clone(), Arc::clone(&slots));
        callers.spawn(async move {
            let _slot = slots.acquire().await?;
            address.call(&call).await
        });
    }
    callers.join_all().await.into_iter().collect()
}

fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

async fn five_of_two_hundred_win(product: Product) -> Result<()> {
    const CALLERS: usize = 200;
    const UNITS: i32 = 5;
    let shop = product.open_shop(&Provider::default(), &Gear::of(UNITS)).await?;
    let reserve = product.run_many("reserve_gear", PROCESSES).await?;
    let calls: Result<Vec<_>> = (0..CALLERS).map(|_| shop.reserve(Uuid::new_v4())).collect();

    let replies = all_at_once(&reserve, calls?).await?;
    assert_eq!(count(&replies, 201), 5);
    let refused = replies.iter().filter(|reply| reply.error() == "insufficient_availability").count();
    assert_eq!((refused, count(&replies, 409)), (CALLERS - 5, CALLERS - 5));
    assert_eq!(product.database.value::<i64>("select count(*) from public.reservations", &[]).await?, 5);
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_callers_for_five_units_exactly_five_win() -> Result<()> {
    let mut product = Product::start().await?;
    product.settings.insert("DATABASE_URL", product.database.direct_url()?);
    five_of_two_hundred_win(product).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_callers_through_the_pooler_exactly_five_win() -> Result<()> {
    let mut product = Product::start().await?;
    product.settings.insert("DATABASE_URL", product.database.pooler_url()?);
    five_of_two_hundred_win(product).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_raced_fifty_times_makes_one_reservation() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::of(50)).await?;
    let reserve = product.run_many("reserve_gear", PROCESSES).await?;
    let call = shop.reserve_with_key(Uuid::new_v4(), "one-key")?;

    let replies = all_at_once(&reserve, vec![call; 50]).await?;
    assert_eq!(count(&replies, 201), 50, "{replies:#?}");
    let first = replies.first().context("no answer")?;
    assert!(replies.iter().all(|reply| reply.body == first.body), "{replies:#?}");
    let made = replies.iter().filter(|reply| reply.header("idempotent-replayed") == Some("false")).count();
    assert_eq!(made, 1);
    assert_eq!(product.database.value::<i64>("select count(*) from public.reservations", &[]).await?, 1);
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_calls_to_pay_make_one_intent() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let customer = Uuid::new_v4();
    let reservation_id = product.hold(shop, customer).await?;
    let pay = product.run_many("create_payment_intent", PROCESSES).await?;
    // Stripe takes its time, so that the calls really meet.
    product.admin().fail_next("POST", "/v1/payment_intents", 1, FaultKind::Slow { delay_ms: 300 }).await?;

    let replies = all_at_once(&pay, vec![start_payment(reservation_id, customer)?; 20]).await?;
    let intents = product.at_stripe("payment_intents").await?;
    assert_eq!(intents.len(), 1, "{intents:#?}");
    let starting = replies.iter().filter(|reply| reply.error() == "payment_starting");
    assert!(starting.clone().all(|reply| reply.header("retry-after").is_some()));
    assert!(starting.count() > 0, "the calls did not meet");
    assert_eq!(count(&replies, 200) + count(&replies, 409), 20, "{replies:#?}");
    for reply in replies.iter().filter(|reply| reply.status == 200) {
        assert_eq!(reply.body["payment_intent_id"], intents[0]["id"]);
    }
    assert_eq!(product.stripe_requests("POST", "/v1/payment_intents").await?.len(), 1);
    product.assert_keys_stand_for_one_request().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_delivered_ten_times_at_once_has_one_effect() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let reservation_id = product.hold(shop, Uuid::new_v4()).await?;
    let webhook = product.run_many("stripe_webhook", PROCESSES).await?;
    let event = StripeEvent::of_intent(
        "payment_intent.succeeded",
        "pi_once",
        "succeeded",
        50_000,
        reservation_id,
        shop.provider_id,
    );

    let replies = all_at_once(&webhook, vec![event.call()?; 10]).await?;
    let decided = |decision: &str| {
        replies.iter().filter(|reply| reply.body == json!({"received": true, "decision": decision})).count()
    };
    assert_eq!((decided("confirmed"), decided("replay")), (1, 9), "{replies:#?}");
    let logged: Value = product
        .database
        .value(
            "select jsonb_agg(jsonb_build_array(decision, replay_count)) from public.stripe_webhook_events",
            &[],
        )
        .await?;
    assert_eq!(logged, json!([["confirmed", 9]]));
    assert_eq!(product.database.value::<i64>("select count(*) from public.payments", &[]).await?, 1);
    assert_eq!(product.database.status(reservation_id).await?, "confirmed");
    product.database.assert_consistent().await
}
