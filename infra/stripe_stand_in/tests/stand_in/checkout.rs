//! What the customer does on the page of a Checkout Session, and what comes of it.

use serde_json::{Value, json};
use stripe_stand_in::{CheckoutPayment, NewDispute, Outcome, StandIn, Switches};

use crate::support::{Api, Receiver, Reply, id_of};

pub(crate) const PATH: &str = "/v1/checkout/sessions";

pub(crate) async fn session_of(api: &Api, id: &str) -> anyhow::Result<Reply> {
    api.get(&format!("{PATH}/{id}?expand[]=payment_intent")).await
}

pub(crate) async fn expire(api: &Api, id: &str) -> anyhow::Result<Reply> {
    api.post(&format!("{PATH}/{id}/expire"), &[]).await
}

/// The newest event of this type: what it tells of its object.
async fn told(api: &Api, event_type: &str) -> anyhow::Result<Value> {
    let events = api.get(&format!("/v1/events?limit=1&type={event_type}")).await?;
    Ok(events.body.pointer("/data/0/data/object").cloned().unwrap_or_default())
}

fn with_card(card: &str) -> CheckoutPayment {
    CheckoutPayment { card: card.to_owned(), ..CheckoutPayment::default() }
}

#[tokio::test]
async fn a_card_completes_a_session() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let more = [("metadata[credits]", "15"), ("payment_intent_data[metadata][customer_id]", "c1")];
    let session = api.checkout(&more).await?;
    let completed = admin.complete_checkout(&session.id(), "pm_card_visa").await?;
    assert_eq!((&completed["status"], &completed["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!((&completed["url"], &completed["amount_total"]), (&Value::Null, &json!(1500)));
    assert!(completed["customer_details"]["email"].is_string());
    assert!(completed["customer_details"]["name"].is_string());
    let found = session_of(&api, &session.id()).await?;
    assert_eq!(found.text("/payment_intent/status"), "succeeded");
    assert_eq!(found.integer("/payment_intent/amount_received"), 1500);
    assert_eq!(found.body["payment_intent"]["metadata"], json!({"customer_id": "c1"}));
    assert_eq!(found.body["metadata"], json!({"credits": "15"}));
    let charge = api.get(&format!("/v1/charges/{}", found.text("/payment_intent/latest_charge"))).await?;
    assert_eq!(charge.text("/metadata/customer_id"), "c1");
    let expected = [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ];
    assert_eq!(api.event_types().await?, expected);
    assert_eq!(told(&api, "checkout.session.completed").await?, completed);
    assert!(admin.complete_checkout(&session.id(), "pm_card_visa").await.is_err());
    assert_eq!(api.get("/v1/charges").await?.count("/data"), 1);
    Ok(())
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open_for_another() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let session = api.checkout(&[]).await?.id();
    let declined = admin.complete_checkout(&session, "pm_card_chargeDeclined").await;
    assert!(declined.is_err_and(|error| format!("{error:?}").contains("card_declined")));
    let open = session_of(&api, &session).await?;
    assert_eq!((open.text("/status"), open.text("/payment_status")), ("open", "unpaid"));
    assert_eq!(open.text("/payment_intent/status"), "requires_payment_method");
    assert_eq!(told(&api, "checkout.session.completed").await?, Value::Null);
    let completed = admin.complete_checkout(&session, "pm_card_mastercard").await?;
    assert_eq!(completed["payment_intent"], open.text("/payment_intent/id"));
    assert_eq!(api.get("/v1/payment_intents").await?.count("/data"), 1);
    Ok(())
}

#[tokio::test]
async fn a_session_waits_for_authentication() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let session = api.checkout(&[]).await?.id();
    let waiting = admin.complete_checkout(&session, "pm_card_authenticationRequired").await?;
    assert_eq!(waiting["status"], "open");
    let intent = waiting["payment_intent"].as_str().unwrap_or_default();
    admin.end_authentication(intent, Outcome::Fail).await?;
    assert_eq!(session_of(&api, &session).await?.text("/status"), "open");
    admin.complete_checkout(&session, "pm_card_authenticationRequired").await?;
    admin.end_authentication(intent, Outcome::Succeed).await?;
    let paid = session_of(&api, &session).await?;
    assert_eq!((paid.text("/status"), paid.text("/payment_status")), ("complete", "paid"));
    assert_eq!(api.event_types().await?.last().map(String::as_str), Some("checkout.session.completed"));
    Ok(())
}

#[tokio::test]
async fn money_can_come_after_the_session_is_complete_or_never() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let (first, second) = (api.checkout(&[]).await?.id(), api.checkout(&[]).await?.id());
    let slow = CheckoutPayment { unpaid: true, ..with_card("pm_card_visa") };
    let unpaid = admin.complete_checkout_with(&first, &slow).await?;
    assert_eq!((&unpaid["status"], &unpaid["payment_status"]), (&json!("complete"), &json!("unpaid")));
    assert_eq!(told(&api, "checkout.session.completed").await?["payment_status"], "unpaid");
    assert_eq!(api.get("/v1/charges").await?.count("/data"), 0);
    let settle = async |session: &Value, outcome| {
        admin.settle_payment(session["payment_intent"].as_str().unwrap_or_default(), outcome).await
    };
    settle(&unpaid, Outcome::Succeed).await?;
    assert_eq!(session_of(&api, &first).await?.text("/payment_status"), "paid");
    let arrived = told(&api, "checkout.session.async_payment_succeeded").await?;
    assert_eq!((id_of(&arrived), &arrived["payment_status"]), (first.as_str(), &json!("paid")));
    admin.set_switches(Switches { payments_processing: true, ..Switches::default() }).await?;
    let never = admin.complete_checkout(&second, "pm_card_visa").await?;
    settle(&never, Outcome::Fail).await?;
    let failed = told(&api, "checkout.session.async_payment_failed").await?;
    assert_eq!((id_of(&failed), &failed["payment_status"]), (second.as_str(), &json!("unpaid")));
    assert_eq!(session_of(&api, &second).await?.text("/status"), "complete");
    assert!(admin.complete_checkout(&second, "pm_card_visa").await.is_err());
    Ok(())
}

#[tokio::test]
async fn an_event_can_tell_another_amount_and_currency() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let receiver = Receiver::start(&stand_in).await?;
    let session = api.checkout(&[]).await?.id();
    let lie = CheckoutPayment {
        told_amount_minor: Some(1),
        told_currency: Some("eur".to_owned()),
        ..with_card("pm_card_visa")
    };
    let completed = admin.complete_checkout_with(&session, &lie).await?;
    assert_eq!((&completed["amount_total"], &completed["currency"]), (&json!(1500), &json!("czk")));
    let received = receiver.wait_for(4).await?;
    let event = received.iter().find(|webhook| webhook.event_type() == "checkout.session.completed");
    let object = event.map(|webhook| webhook.event()["data"]["object"].clone()).unwrap_or_default();
    assert_eq!((id_of(&object), &object["payment_status"]), (session.as_str(), &json!("paid")));
    assert_eq!((&object["amount_total"], &object["currency"]), (&json!(1), &json!("eur")));
    Ok(())
}

#[tokio::test]
async fn only_an_open_session_expires() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let session = api.checkout(&[]).await?.id();
    assert!(admin.complete_checkout(&session, "pm_card_chargeDeclined").await.is_err());
    let expired = expire(&api, &session).await?;
    assert_eq!((expired.status, expired.text("/status")), (200, "expired"));
    assert_eq!((&expired.body["url"], expired.text("/payment_status")), (&Value::Null, "unpaid"));
    assert_eq!(told(&api, "checkout.session.expired").await?, expired.body);
    assert_eq!(session_of(&api, &session).await?.text("/payment_intent/status"), "canceled");
    assert!(admin.complete_checkout(&session, "pm_card_visa").await.is_err());
    let paid = api.checkout(&[]).await?.id();
    admin.complete_checkout(&paid, "pm_card_visa").await?;
    for over in [session, paid] {
        let refused = expire(&api, &over).await?;
        assert_eq!((refused.status, refused.text("/error/type")), (400, "invalid_request_error"));
    }
    assert_eq!(expire(&api, "cs_none").await?.status, 404);
    assert_eq!(api.get("/v1/events?type=checkout.session.*").await?.count("/data"), 2);
    Ok(())
}

#[tokio::test]
async fn nobody_pays_on_the_page_of_an_expired_session() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let session = api.checkout(&[]).await?.id();
    expire(&api, &session).await?;
    assert!(admin.complete_checkout(&session, "pm_card_visa").await.is_err());
    assert_eq!(session_of(&api, &session).await?.text("/status"), "expired");
    assert_eq!(api.get("/v1/payment_intents").await?.count("/data"), 0);
    Ok(())
}

#[tokio::test]
async fn the_intent_of_a_session_is_only_paid_on_its_page() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let session = api.checkout(&[]).await?.id();
    assert!(admin.complete_checkout(&session, "pm_card_chargeDeclined").await.is_err());
    let intent = session_of(&api, &session).await?.text("/payment_intent/id").to_owned();
    for (operation, form) in [("confirm", vec![("payment_method", "pm_card_visa")]), ("cancel", vec![])] {
        let refused = api.post(&format!("/v1/payment_intents/{intent}/{operation}"), &form).await?;
        let found = (refused.status, refused.text("/error/code"));
        assert_eq!(found, (400, "payment_intent_unexpected_state"), "{operation}");
    }
    Ok(())
}

#[tokio::test]
async fn money_of_a_session_goes_back_like_any_other() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let session = api.checkout(&[("payment_intent_data[metadata][customer_id]", "c1")]).await?.id();
    admin.complete_checkout(&session, "pm_card_visa").await?;
    let paid = session_of(&api, &session).await?;
    let intent = paid.text("/payment_intent/id");
    let refund = api.post("/v1/refunds", &[("payment_intent", intent), ("amount", "400")]).await?;
    assert_eq!((refund.status, refund.integer("/amount")), (200, 400));
    let charge = paid.text("/payment_intent/latest_charge").to_owned();
    let part = NewDispute { charge, amount_minor: Some(600), ..NewDispute::default() };
    let dispute = admin.open_dispute_with(&part).await?;
    assert_eq!(dispute["payment_intent"], intent);
    let [money] = stand_in.money().try_into().map_err(|money| anyhow::anyhow!("{money:?}"))?;
    assert_eq!((money.id.as_str(), money.captures, money.kept_minor()), (intent, 1, 500));
    assert_eq!(money.reservation_id, None);
    admin.close_dispute(id_of(&dispute), Outcome::Fail).await?;
    admin.settle_refund(&refund.id(), Outcome::Fail).await?;
    assert_eq!(admin.money().await?[0].kept_minor(), 900);
    Ok(())
}
