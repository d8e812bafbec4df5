//! Our client against every way in which Stripe can misbehave.

use std::time::Duration;

use kitloop::config::StripeConfig;
use kitloop::domain::{
    CaptureMethod, Currency, Money, PaymentId, Period, ProviderId, RefundId, ReservationId, TopupId,
};
use kitloop::network::Network;
use kitloop::stripe::{API_VERSION, NewCheckoutSession, NewPaymentIntent, NewRefund, Stripe, StripeError};
use stripe_stand_in::{FaultKind, StandIn, StatusFault};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::Api;

const PATH: &str = "/v1/payment_intents";

pub(crate) fn client_of(stand_in: &StandIn) -> anyhow::Result<Stripe> {
    client_at(stand_in.base_url())
}

fn client_at(address: &str) -> anyhow::Result<Stripe> {
    let config = StripeConfig {
        api_base: address.to_owned(),
        secret_key: "sk_test_ours".into(),
        attempt_timeout: Duration::from_millis(500),
    };
    Ok(Stripe::new(config, &Network::default())?)
}

pub(crate) fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[expect(clippy::unwrap_used, reason = "a constant that is a currency")]
pub(crate) fn crowns(amount_minor: i64) -> Money {
    Money { amount_minor, currency: Currency::parse("CZK").unwrap() }
}

pub(crate) fn new_intent() -> NewPaymentIntent {
    NewPaymentIntent {
        amount: crowns(1500),
        capture_method: CaptureMethod::Automatic,
        reservation_id: ReservationId(Uuid::nil()),
        provider_id: ProviderId(Uuid::nil()),
        payment_id: PaymentId(Uuid::nil()),
        generation: 1,
    }
}

/// 15 credits, each at the price that is the least that can be charged for all of them.
pub(crate) fn new_session() -> NewCheckoutSession<'static> {
    NewCheckoutSession {
        topup_id: TopupId(Uuid::nil()),
        credits: 15,
        credit_price: crowns(100),
        success_url: "https://shop.example/paid",
        cancel_url: "https://shop.example/back",
    }
}

/// How many intents Stripe has, whatever our client thinks.
async fn intents(stand_in: &StandIn) -> anyhow::Result<usize> {
    Ok(Api::of(stand_in).get("/v1/payment_intents?limit=100").await?.count("/data"))
}

#[tokio::test]
async fn an_intent_carries_what_finds_it_again() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let stripe = client_of(&stand_in)?;
    let intent = stripe.create_payment_intent(&new_intent(), "p:create:1", in_seconds(5)).await?;
    assert_eq!((intent.amount, intent.currency.as_str()), (1500, "CZK"));
    assert!(intent.client_secret.is_some());
    let names: Vec<_> = intent.metadata.keys().map(String::as_str).collect();
    assert_eq!(names, ["generation", "payment_id", "provider_id", "reservation_id"]);
    let request = &stand_in.admin().requests().await?[0];
    assert_eq!(request.stripe_version.as_deref(), Some(API_VERSION));
    assert_eq!(request.idempotency_key.as_deref(), Some("p:create:1"));
    assert_eq!(request.params["payment_method_types"][0], "card");
    Ok(())
}

#[tokio::test]
async fn a_session_and_its_payment_carry_what_finds_them_again() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let stripe = client_of(&stand_in)?;
    let session = stripe.create_checkout_session(&new_session(), "t:create:1", in_seconds(5)).await?;
    assert_eq!((session.amount_total, session.currency.as_deref()), (Some(1500), Some("CZK")));
    assert!(session.url.is_some() && session.payment_intent.is_none());
    stand_in.admin().complete_checkout(&session.id, "pm_card_visa").await?;
    let paid = stripe.checkout_session(&session.id, in_seconds(5)).await?;
    assert_eq!((paid.status.as_deref(), paid.payment_status.as_deref()), (Some("complete"), Some("paid")));
    let intent = paid.payment_intent.unwrap_or_default();
    let intent = stripe.payment_intent(&intent, in_seconds(5)).await?;
    for metadata in [&paid.metadata, &intent.metadata] {
        assert_eq!(metadata.get("topup_id"), Some(&Uuid::nil().to_string()));
    }
    Ok(())
}

#[tokio::test]
async fn a_session_is_looked_for_by_its_top_up_and_since_a_time() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let stripe = client_of(&stand_in)?;
    let wanted = TopupId(Uuid::from_u128(1));
    let new = NewCheckoutSession { topup_id: wanted, ..new_session() };
    let made = stripe.create_checkout_session(&new, "t1:checkout:1", in_seconds(5)).await?;
    stripe.create_checkout_session(&new_session(), "t0:checkout:1", in_seconds(5)).await?;
    Api::of(&stand_in).checkout(&[("metadata[topup_id]", "none")]).await?;
    let now = jiff::Timestamp::now();
    let find = async |seconds: i64, topup_id| {
        let since = now.checked_add(jiff::SignedDuration::from_secs(seconds))?;
        let found = stripe.find_checkout_session_since(since, topup_id, in_seconds(5)).await?;
        anyhow::Ok(found.map(|session| session.id))
    };
    assert_eq!(find(-60, wanted).await?, Some(made.id));
    assert_eq!(find(60, wanted).await?, None);
    assert_eq!(find(-60, TopupId(Uuid::from_u128(2))).await?, None);
    Ok(())
}

#[tokio::test]
async fn sessions_of_a_window_come_page_by_page() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (stripe, api) = (client_of(&stand_in)?, Api::of(&stand_in));
    for _ in 0..101 {
        api.checkout(&[]).await?;
    }
    let now = jiff::Timestamp::now();
    let at = |seconds| now.checked_add(jiff::SignedDuration::from_secs(seconds));
    let window = Period::new(at(-3600)?, at(60)?)?;
    let first = stripe.checkout_sessions_within(window, None, in_seconds(5)).await?;
    let last = stripe.checkout_sessions_within(window, first.next.as_deref(), in_seconds(5)).await?;
    assert_eq!((first.items.len(), last.items.len(), last.next), (100, 1, None));
    for (from, to) in [(-7200, -3600), (60, 120)] {
        let other = Period::new(at(from)?, at(to)?)?;
        assert!(stripe.checkout_sessions_within(other, None, in_seconds(5)).await?.items.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn passing_failures_are_tried_again_with_the_same_key() -> anyhow::Result<()> {
    for fault in [
        FaultKind::status(429),
        FaultKind::passing_status(503),
        FaultKind::Html { with_work: true },
        FaultKind::Nonsense { with_work: true },
        FaultKind::Hang,
        FaultKind::HangAfter,
    ] {
        let stand_in = StandIn::start(None).await?;
        let admin = stand_in.admin();
        admin.fail_next("POST", PATH, 1, fault.clone()).await?;
        let made = client_of(&stand_in)?.create_payment_intent(&new_intent(), "k", in_seconds(5)).await;
        assert!(made.is_ok(), "{fault:?}: {made:?}");
        assert_eq!(intents(&stand_in).await?, 1, "{fault:?}");
        let posts = admin.requests().await?.into_iter().filter(|request| request.method == "POST");
        let keys: Vec<_> = posts.map(|request| request.idempotency_key).collect();
        assert_eq!(keys, [Some("k".to_owned()), Some("k".to_owned())], "{fault:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_in_use_is_waited_for() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let admin = stand_in.admin();
    admin.fail_next("POST", PATH, 1, FaultKind::Slow { delay_ms: 1_000 }).await?;
    // The first attempt times out while the work goes on; the next ones meet the key in use, then the stored answer.
    let intent = client_of(&stand_in)?.create_payment_intent(&new_intent(), "k", in_seconds(8)).await?;
    assert_eq!(intents(&stand_in).await?, 1);
    let requests = admin.requests().await?;
    assert!(requests.iter().any(|request| request.status == Some(409)), "{requests:?}");
    assert!(requests.iter().any(|request| request.replayed && request.status == Some(200)), "{}", intent.id);
    Ok(())
}

#[tokio::test]
async fn a_hanging_stripe_ends_at_the_deadline() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    stand_in.admin().fail_next("GET", PATH, 100, FaultKind::Hang).await?;
    let started = Instant::now();
    let deadline = started + Duration::from_millis(1_200);
    let error = client_of(&stand_in)?.payment_intent("pi_1", deadline).await.err();
    assert!(matches!(error, Some(StripeError::Unavailable { .. })), "{error:?}");
    assert!(started.elapsed() < Duration::from_millis(1_600), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_stored_failure_is_told_from_a_passing_one() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let stripe = client_of(&stand_in)?;
    stand_in.admin().fail_next("POST", PATH, 1, FaultKind::status(500)).await?;
    let error = stripe.create_payment_intent(&new_intent(), "g1", in_seconds(5)).await.err();
    assert!(matches!(error, Some(StripeError::StoredFailure { status: 500 })), "{error:?}");
    assert!(stripe.create_payment_intent(&new_intent(), "g2", in_seconds(5)).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn stripes_advice_is_taken() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let admin = stand_in.admin();
    let advice = StatusFault { status: 503, should_retry: Some(false), ..StatusFault::default() };
    admin.fail_next("GET", PATH, 1, FaultKind::Status(advice)).await?;
    let error = client_of(&stand_in)?.reachable(in_seconds(5)).await.err();
    assert!(matches!(error, Some(StripeError::Unavailable { .. })), "{error:?}");
    assert_eq!(admin.requests().await?.len(), 1);
    let patience = StatusFault { status: 429, retry_after: Some(30), ..StatusFault::default() };
    admin.fail_next("GET", PATH, 1, FaultKind::Status(patience)).await?;
    let error = client_of(&stand_in)?.reachable(in_seconds(5)).await.err();
    let asked = Some(Duration::from_secs(30));
    assert!(matches!(error, Some(StripeError::Unavailable { retry_after, .. }) if retry_after == asked));
    Ok(())
}

#[tokio::test]
async fn refusals_are_final_and_carry_their_code() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (stripe, api) = (client_of(&stand_in)?, Api::of(&stand_in));
    let paid = api.paid_intent(&[]).await?;
    let error = stripe.cancel_payment_intent(&paid.id(), "k1", in_seconds(5)).await.err();
    let Some(StripeError::Refused { status: 400, code, request_id: Some(request_id) }) = error else {
        anyhow::bail!("{error:?}");
    };
    assert_eq!(code.as_deref(), Some("payment_intent_unexpected_state"));
    assert!(request_id.starts_with("req_"), "{request_id}");
    let error = stripe.payment_intent("pi_none", in_seconds(5)).await.err();
    assert!(
        matches!(error, Some(StripeError::Refused { status: 404, code: Some(code), .. }) if code == "resource_missing")
    );
    let other = NewPaymentIntent { amount: crowns(1600), ..new_intent() };
    stripe.create_payment_intent(&new_intent(), "k2", in_seconds(5)).await?;
    let error = stripe.create_payment_intent(&other, "k2", in_seconds(5)).await.err();
    assert!(
        matches!(error, Some(StripeError::Refused { code: Some(code), .. }) if code == "idempotency_error")
    );
    Ok(())
}

#[tokio::test]
async fn refunds_are_listed_to_the_last_page() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (stripe, api) = (client_of(&stand_in)?, Api::of(&stand_in));
    let paid = api.paid_intent(&[]).await?;
    for number in 0..101 {
        let refund = NewRefund {
            payment_intent_id: &paid.id(),
            amount_minor: 1,
            reservation_id: ReservationId(Uuid::nil()),
            refund_id: RefundId(Uuid::new_v4()),
        };
        stripe.create_refund(&refund, &format!("r{number}"), in_seconds(20)).await?;
    }
    assert_eq!(stripe.refunds_of(&paid.id(), in_seconds(5)).await?.len(), 101);
    Ok(())
}

#[tokio::test]
async fn an_intent_is_looked_for_no_further_than_it_stands() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (stripe, api) = (client_of(&stand_in)?, Api::of(&stand_in));
    for _ in 0..101 {
        api.intent(&[]).await?;
    }
    let oldest = api.get("/v1/payment_intents?limit=100").await?.text("/data/99/id").to_owned();
    let asked = stand_in.admin().requests().await?.len();
    let since = jiff::Timestamp::UNIX_EPOCH;
    let found = stripe.find_payment_intent_since(since, |intent| intent.id == oldest, in_seconds(5)).await?;
    assert_eq!(found.map(|intent| intent.id), Some(oldest));
    assert_eq!(stand_in.admin().requests().await?.len(), asked + 1);
    let nobody = stripe.find_payment_intent_since(since, |_| false, in_seconds(5)).await?;
    assert!(nobody.is_none());
    assert_eq!(stand_in.admin().requests().await?.len(), asked + 3);
    Ok(())
}

#[tokio::test]
async fn a_stripe_that_is_not_there_is_unavailable_until_it_is_back() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let address = stand_in.base_url().to_owned();
    let stripe = client_at(&address)?;
    stripe.reachable(in_seconds(5)).await?;
    drop(stand_in);
    let error = stripe.reachable(in_seconds(1)).await.err();
    assert!(matches!(error, Some(StripeError::Unavailable { .. })), "{error:?}");
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
    let _back = StandIn::start(port).await?;
    stripe.reachable(in_seconds(5)).await?;
    Ok(())
}

#[tokio::test]
async fn probes_ask_stripe_once_in_a_while() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let stripe = client_of(&stand_in)?;
    assert!(stripe.is_reachable(in_seconds(5)).await);
    assert!(stripe.clone().is_reachable(in_seconds(5)).await);
    assert_eq!(stand_in.admin().requests().await?.len(), 1);
    Ok(())
}
