//! The stand-in's objects and our client's requests against Stripe's published OpenAPI specification.

use kitloop::domain::{CaptureMethod, RefundId, ReservationId};
use kitloop::stripe::{NewPaymentIntent, NewRefund};
use serde_json::{Value, json};
use stripe_stand_in::{DisputeStatus, NewDispute, Outcome, RefundStatus, StandIn, Switches};
use tokio::process::Command;
use uuid::Uuid;

use crate::client_of_ours::{client_of, in_seconds, new_intent, new_session};
use crate::official_clients::{run, script};
use crate::support::{Api, id_of, tool};

async fn check(objects: &[Value], requests: &[Value]) -> anyhow::Result<()> {
    let mut node = Command::new("node");
    node.arg(script("check_schema.mjs")).arg(tool("stripe-node/node_modules")?);
    let input = json!({"objects": objects, "requests": requests}).to_string();
    let said = run(&mut node, &input).await?;
    let expected = format!("{} objects and {} requests held", objects.len(), requests.len());
    anyhow::ensure!(said.starts_with(&expected), "{said}");
    Ok(())
}

/// Brings every kind of object into every status, so that the events hold them all.
async fn live_through_everything(stand_in: &StandIn) -> anyhow::Result<()> {
    let (api, admin) = (Api::of(stand_in), stand_in.admin());
    let paid = api.paid_intent(&[("metadata[a]", "b"), ("description", "kajak")]).await?;
    let refund = api.post("/v1/refunds", &[("payment_intent", &paid.id()), ("amount", "500")]).await?;
    admin.settle_refund(&refund.id(), Outcome::Fail).await?;
    let dispute = admin.open_dispute(paid.text("/latest_charge")).await?;
    let id = id_of(&dispute);
    admin.update_dispute(id, DisputeStatus::UnderReview).await?;
    admin.close_dispute(id, Outcome::Succeed).await?;
    let charge = paid.text("/latest_charge").to_owned();
    let inquiry = NewDispute { inquiry: true, charge, ..NewDispute::default() };
    let inquiry = admin.open_dispute_with(&inquiry).await?;
    let id = id_of(&inquiry);
    admin.update_dispute(id, DisputeStatus::WarningUnderReview).await?;
    admin.close_dispute(id, Outcome::Succeed).await?;
    api.paid_intent(&[("payment_method", "pm_card_chargeDeclined")]).await?;
    let waiting =
        api.intent(&[("payment_method", "pm_card_authenticationRequired"), ("confirm", "true")]).await?;
    admin.end_authentication(&waiting.id(), Outcome::Fail).await?;
    let bought = api.checkout(&[("metadata[a]", "b"), ("client_reference_id", "user")]).await?;
    admin.complete_checkout(&bought.id(), "pm_card_visa").await?;
    let left = api.checkout(&[("cancel_url", "https://shop.example/back")]).await?;
    api.post(&format!("/v1/checkout/sessions/{}/expire", left.id()), &[]).await?;
    api.checkout(&[]).await?;
    let held = api.paid_intent(&[("capture_method", "manual")]).await?;
    api.post(&format!("/v1/payment_intents/{}/capture", held.id()), &[]).await?;
    let cancelled = api.paid_intent(&[("capture_method", "manual")]).await?;
    api.post(&format!("/v1/payment_intents/{}/cancel", cancelled.id()), &[]).await?;
    admin.set_switches(Switches { refunds_pending: true, payments_processing: true }).await?;
    let pending = api.post("/v1/refunds", &[("payment_intent", &held.id())]).await?;
    anyhow::ensure!(pending.text("/status") == "pending", "{pending:?}");
    admin.move_refund(&pending.id(), RefundStatus::RequiresAction).await?;
    admin.move_refund(&pending.id(), RefundStatus::Canceled).await?;
    let form = [
        ("amount", "2000"),
        ("currency", "eur"),
        ("automatic_payment_methods[enabled]", "true"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
    ];
    let slow = api.post("/v1/payment_intents", &form).await?;
    anyhow::ensure!(slow.text("/status") == "processing", "{slow:?}");
    Ok(())
}

#[tokio::test]
async fn the_objects_are_as_published() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    live_through_everything(&stand_in).await?;
    let api = Api::of(&stand_in);
    let mut objects = Vec::new();
    for path in [
        "/v1/events?limit=100",
        "/v1/payment_intents?limit=100&expand[]=data.latest_charge&expand[]=data.payment_method",
        "/v1/checkout/sessions?limit=100&expand[]=data.payment_intent",
        "/v1/charges?limit=100&expand[]=data.refunds&expand[]=data.payment_intent",
        "/v1/refunds?limit=100&expand[]=data.charge",
        "/v1/disputes?limit=100&expand[]=data.charge&expand[]=data.payment_intent",
    ] {
        let list = api.get(path).await?;
        assert_eq!(list.status, 200, "{path}");
        objects.push(list.body);
    }
    check(&objects, &[]).await
}

#[tokio::test]
async fn our_requests_are_as_published() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (stripe, api) = (client_of(&stand_in)?, Api::of(&stand_in));
    let deadline = in_seconds(10);
    let manual = NewPaymentIntent { capture_method: CaptureMethod::Manual, ..new_intent() };
    let paid = stripe.create_payment_intent(&manual, "k1", deadline).await?;
    let path = format!("/v1/payment_intents/{}/confirm", paid.id);
    api.post(&path, &[("payment_method", "pm_card_visa")]).await?;
    stripe.payment_intent(&paid.id, deadline).await?;
    stripe.capture_payment_intent(&paid.id, 1500, "k2", deadline).await?;
    let reservation_id = ReservationId(Uuid::new_v4());
    let refund = NewRefund {
        payment_intent_id: &paid.id,
        amount_minor: 1500,
        reservation_id,
        refund_id: RefundId(Uuid::new_v4()),
    };
    stripe.create_refund(&refund, "k3", deadline).await?;
    stripe.refunds_of(&paid.id, deadline).await?;
    let unpaid = stripe.create_payment_intent(&new_intent(), "k4", deadline).await?;
    stripe.cancel_payment_intent(&unpaid.id, "k5", deadline).await?;
    stripe.find_payment_intent_since(jiff::Timestamp::UNIX_EPOCH, |_| false, deadline).await?;
    let session = stripe.create_checkout_session(&new_session(), "k6", deadline).await?;
    stripe.checkout_session(&session.id, deadline).await?;
    stripe.reachable(deadline).await?;
    let logged = stand_in.admin().requests().await?;
    let requests: Vec<Value> = logged.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    assert_eq!(requests.len(), 12);
    assert!(logged.iter().all(|request| request.status == Some(200)));
    check(&[], &requests).await
}
