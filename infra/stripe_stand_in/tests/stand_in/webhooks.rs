//! Delivery of events.

use axum::http::StatusCode;
use kitloop::stripe::{Event, EventObject, verify};
use secrecy::SecretString;
use stripe_stand_in::{EventAction, StandIn};

use crate::support::{Api, Receiver, SECRET, eventually};

#[tokio::test]
async fn every_event_is_signed_and_readable() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let receiver = Receiver::start(&stand_in).await?;
    let api = Api::of(&stand_in);
    let paid = api.paid_intent(&[("metadata[reservation_id]", "r1")]).await?;
    api.post("/v1/refunds", &[("payment_intent", paid.text("/id")), ("amount", "500")]).await?;
    stand_in.admin().open_dispute(paid.text("/latest_charge")).await?;
    let session = api.checkout(&[]).await?.id();
    let completed = stand_in.admin().complete_checkout(&session, "pm_card_visa").await?;
    let payer = completed["customer_details"]["email"].as_str().unwrap_or_default();
    assert!(!payer.is_empty());
    let secrets = [SecretString::from(SECRET)];
    let mut kinds = Vec::new();
    for received in receiver.wait_for(11).await? {
        let now = jiff::Timestamp::now();
        let payload = verify(received.body.as_bytes(), Some(&received.signature), &secrets, now)?;
        let event = Event::parse(&payload)?;
        assert!(!event.payload.to_string().contains(payer), "{}", event.event_type);
        kinds.push(match event.object {
            EventObject::PaymentIntent(_) => "payment_intent",
            EventObject::Charge(_) => "charge",
            EventObject::Refund(_) => "refund",
            EventObject::Dispute(_) => "dispute",
            EventObject::CheckoutSession(_) => "checkout_session",
            EventObject::Subscription(_) => "subscription",
            EventObject::Other => "other",
            EventObject::Unreadable(reason) => panic!("{reason}"),
        });
    }
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "charge",
            "charge",
            "charge",
            "checkout_session",
            "dispute",
            "dispute",
            "payment_intent",
            "payment_intent",
            "payment_intent",
            "payment_intent",
            "refund",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_refused_event_is_tried_again() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let receiver = Receiver::start(&stand_in).await?;
    receiver.will_answer(StatusCode::INTERNAL_SERVER_ERROR, "down");
    receiver.will_answer(StatusCode::CONFLICT, r#"{"error": "request_in_flight"}"#);
    receiver.will_answer(StatusCode::CONFLICT, r#"{"received": true, "decision": "cancelled_conflict"}"#);
    let api = Api::of(&stand_in);
    api.intent(&[]).await?;
    let admin = stand_in.admin();
    let deliveries = eventually(|| async {
        let deliveries = admin.deliveries().await?;
        Ok((deliveries.len() == 3).then_some(deliveries))
    })
    .await?;
    let seen: Vec<_> =
        deliveries.iter().map(|delivery| (delivery.attempt, delivery.status, delivery.delivered)).collect();
    assert_eq!(seen, [(1, Some(500), false), (2, Some(409), false), (3, Some(409), true)]);
    let delivered = api.get("/v1/events?delivery_success=true").await?;
    assert_eq!(delivered.text("/data/0/id"), deliveries[0].event_id);
    Ok(())
}

#[tokio::test]
async fn a_lost_event_can_be_found_and_resent() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let receiver = Receiver::start(&stand_in).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    admin.add_event_fault("payment_intent.created", EventAction::Lose).await?;
    api.intent(&[]).await?;
    let lost = api.get("/v1/events?delivery_success=false").await?;
    assert_eq!(
        (lost.text("/data/0/type"), lost.integer("/data/0/pending_webhooks")),
        ("payment_intent.created", 1)
    );
    api.paid_intent(&[]).await?;
    receiver.wait_for(3).await?;
    assert!(!receiver.received().iter().any(|received| received.body.contains(lost.text("/data/0/id"))));
    admin.resend_event(lost.text("/data/0/id")).await?;
    let received = receiver.wait_for(4).await?;
    assert_eq!(received[3].event()["id"], lost.text("/data/0/id"));
    Ok(())
}

#[tokio::test]
async fn events_come_twice_late_and_out_of_order_when_told_to() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let receiver = Receiver::start(&stand_in).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    admin.add_event_fault("payment_intent.created", EventAction::Duplicate).await?;
    api.intent(&[]).await?;
    assert_eq!(receiver.wait_for(2).await?.len(), 2);
    admin.add_event_fault("payment_intent.created", EventAction::DelayMs(400)).await?;
    api.paid_intent(&[]).await?;
    receiver.wait_for(5).await?;
    assert_eq!(receiver.types().last().map(String::as_str), Some("payment_intent.created"));
    admin.add_event_fault("charge.captured", EventAction::Reorder).await?;
    let held = api.paid_intent(&[("capture_method", "manual")]).await?;
    receiver.wait_for(8).await?;
    api.post(&format!("/v1/payment_intents/{}/capture", held.id()), &[]).await?;
    receiver.wait_for(10).await?;
    assert_eq!(
        receiver.types().get(8..),
        Some(["payment_intent.succeeded".to_owned(), "charge.captured".to_owned()].as_slice())
    );
    Ok(())
}

#[tokio::test]
async fn what_nobody_took_is_undelivered() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let undelivered = async || {
        let events = api.get("/v1/events?delivery_success=false").await?;
        anyhow::Ok((events.text("/data/0/id").to_owned(), events.count("/data")))
    };
    api.intent(&[]).await?;
    let (unsent, count) = undelivered().await?;
    assert_eq!(count, 1);
    assert_eq!(api.get(&format!("/v1/events/{unsent}")).await?.integer("/pending_webhooks"), 0);
    let receiver = Receiver::start(&stand_in).await?;
    receiver.will_answer(StatusCode::INTERNAL_SERVER_ERROR, "down");
    api.intent(&[]).await?;
    eventually(|| async { Ok((undelivered().await?.1 == 1).then_some(())) }).await?;
    assert_eq!(receiver.received().len(), 2);
    assert_eq!(undelivered().await?.0, unsent);
    admin.resend_event(&unsent).await?;
    eventually(|| async { Ok((undelivered().await?.1 == 0).then_some(())) }).await?;
    assert_eq!(api.get("/v1/events?delivery_success=true").await?.count("/data"), 2);
    Ok(())
}
