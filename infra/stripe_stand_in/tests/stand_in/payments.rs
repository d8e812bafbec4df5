//! Payment intents from creation to capture.

use serde_json::json;
use stripe_stand_in::{Outcome, StandIn, Switches};

use crate::support::{Api, Reply};

async fn confirm(api: &Api, intent: &Reply, card: &str) -> anyhow::Result<Reply> {
    api.post(&format!("/v1/payment_intents/{}/confirm", intent.id()), &[("payment_method", card)]).await
}

#[tokio::test]
async fn a_card_pays_at_once() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let intent = api.intent(&[("metadata[reservation_id]", "r1")]).await?;
    assert_eq!((intent.status, intent.text("/status")), (200, "requires_payment_method"));
    let paid = confirm(&api, &intent, "pm_card_visa").await?;
    assert_eq!((paid.text("/status"), paid.integer("/amount_received")), ("succeeded", 1500));
    let charge = api.get(&format!("/v1/charges/{}", paid.text("/latest_charge"))).await?;
    assert_eq!(charge.body["captured"], json!(true));
    assert_eq!(charge.text("/metadata/reservation_id"), "r1");
    let expected = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"];
    assert_eq!(api.event_types().await?, expected);
    Ok(())
}

#[tokio::test]
async fn manual_capture_authorises_first() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let held = api.paid_intent(&[("capture_method", "manual"), ("expand[]", "latest_charge")]).await?;
    assert_eq!((held.text("/status"), held.integer("/amount_capturable")), ("requires_capture", 1500));
    assert!(held.integer("/latest_charge/payment_method_details/card/capture_before") > 0);
    let path = format!("/v1/payment_intents/{}/capture", held.id());
    let too_much = api.post(&path, &[("amount_to_capture", "1501")]).await?;
    assert_eq!((too_much.status, too_much.text("/error/code")), (400, "amount_too_large"));
    let captured = api.post(&path, &[("amount_to_capture", "1000")]).await?;
    assert_eq!((captured.text("/status"), captured.integer("/amount_received")), ("succeeded", 1000));
    let again = api.post(&path, &[]).await?;
    assert_eq!((again.status, again.text("/error/code")), (400, "payment_intent_unexpected_state"));
    assert_eq!(again.text("/error/payment_intent/status"), "succeeded");
    let expected = [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    ];
    assert_eq!(api.event_types().await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_declined_card_leaves_the_intent_open_for_another() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let intent = api.intent(&[]).await?;
    let declined = confirm(&api, &intent, "pm_card_chargeDeclined").await?;
    assert_eq!((declined.status, declined.text("/error/code")), (402, "card_declined"));
    assert_eq!(declined.text("/error/decline_code"), "generic_decline");
    assert_eq!(declined.text("/error/payment_intent/status"), "requires_payment_method");
    assert_eq!(declined.text("/error/payment_intent/last_payment_error/code"), "card_declined");
    let paid = confirm(&api, &intent, "pm_card_visa").await?;
    assert_eq!(paid.text("/status"), "succeeded");
    let types = api.event_types().await?;
    assert_eq!(
        types.get(1..3),
        Some(["charge.failed".to_owned(), "payment_intent.payment_failed".to_owned()].as_slice())
    );
    Ok(())
}

#[tokio::test]
async fn authentication_succeeds_or_fails() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let intent = api.intent(&[]).await?;
    let waiting = confirm(&api, &intent, "pm_card_authenticationRequired").await?;
    assert_eq!(waiting.text("/status"), "requires_action");
    assert_eq!(waiting.text("/next_action/type"), "use_stripe_sdk");
    let failed = admin.end_authentication(&intent.id(), Outcome::Fail).await?;
    assert_eq!(failed["last_payment_error"]["code"], "payment_intent_authentication_failure");
    confirm(&api, &intent, "pm_card_authenticationRequired").await?;
    let paid = admin.end_authentication(&intent.id(), Outcome::Succeed).await?;
    assert_eq!(paid["status"], "succeeded");
    assert!(admin.end_authentication(&intent.id(), Outcome::Succeed).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_payment_can_take_its_time() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    admin.set_switches(Switches { payments_processing: true, ..Switches::default() }).await?;
    let (first, second) = (api.paid_intent(&[]).await?, api.paid_intent(&[]).await?);
    assert_eq!(first.text("/status"), "processing");
    assert_eq!(admin.settle_payment(&first.id(), Outcome::Succeed).await?["status"], "succeeded");
    let failed = admin.settle_payment(&second.id(), Outcome::Fail).await?;
    assert_eq!(failed["status"], "requires_payment_method");
    Ok(())
}

#[tokio::test]
async fn cancelling_releases_an_authorisation() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let held = api.paid_intent(&[("capture_method", "manual")]).await?;
    let path = format!("/v1/payment_intents/{}/cancel", held.id());
    let cancelled = api.post(&path, &[("cancellation_reason", "abandoned")]).await?;
    assert_eq!(
        (cancelled.text("/status"), cancelled.text("/cancellation_reason")),
        ("canceled", "abandoned")
    );
    let charge = api.get(&format!("/v1/charges/{}", held.text("/latest_charge"))).await?;
    assert_eq!((&charge.body["refunded"], &charge.body["captured"]), (&json!(true), &json!(false)));
    assert_eq!(api.post(&path, &[]).await?.text("/error/code"), "payment_intent_unexpected_state");
    let expired = api.paid_intent(&[("capture_method", "manual")]).await?;
    let expired = stand_in.admin().expire_authorisation(&expired.id()).await?;
    assert_eq!(expired["cancellation_reason"], "automatic");
    Ok(())
}

#[tokio::test]
async fn a_browser_pays_with_the_client_secret() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, browser) = (Api::of(&stand_in), Api::with_key(&stand_in, "pk_test_publishable"));
    let intent = api.intent(&[]).await?;
    let path = format!("/v1/payment_intents/{}/confirm", intent.id());
    let card = ("payment_method", "pm_card_visa");
    let wrong = browser.post(&path, &[card, ("client_secret", "pi_x_secret_y")]).await?;
    assert_eq!((wrong.status, wrong.text("/error/param")), (400, "client_secret"));
    assert_eq!(browser.post(&path, &[card]).await?.text("/error/code"), "parameter_missing");
    let paid = browser.post(&path, &[card, ("client_secret", intent.text("/client_secret"))]).await?;
    assert_eq!(paid.text("/status"), "succeeded");
    let elsewhere = browser.get("/v1/events").await?;
    assert_eq!((elsewhere.status, elsewhere.text("/error/code")), (403, "secret_key_required"));
    Ok(())
}
