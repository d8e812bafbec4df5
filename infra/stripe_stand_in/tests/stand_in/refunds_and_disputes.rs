//! Money that goes back.

use serde_json::json;
use stripe_stand_in::{Outcome, StandIn, Switches};

use crate::support::Api;

#[tokio::test]
async fn refunds_never_exceed_the_charge() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let paid = api.paid_intent(&[]).await?;
    let id = paid.id();
    let part = api.post("/v1/refunds", &[("payment_intent", &id), ("amount", "1000")]).await?;
    assert_eq!((part.text("/status"), part.integer("/amount")), ("succeeded", 1000));
    let too_much = api.post("/v1/refunds", &[("payment_intent", &id), ("amount", "501")]).await?;
    assert_eq!((too_much.status, too_much.text("/error/code")), (400, "amount_too_large"));
    let rest = api.post("/v1/refunds", &[("charge", paid.text("/latest_charge"))]).await?;
    assert_eq!(rest.integer("/amount"), 500);
    let again = api.post("/v1/refunds", &[("payment_intent", &id)]).await?;
    assert_eq!(again.text("/error/code"), "charge_already_refunded");
    let listed = api.get(&format!("/v1/refunds?payment_intent={id}")).await?;
    assert_eq!(listed.count("/data"), 2);
    let charge = api.get(&format!("/v1/charges/{}?expand[]=refunds", paid.text("/latest_charge"))).await?;
    assert_eq!(charge.body["refunded"], json!(true));
    assert_eq!(charge.count("/refunds/data"), 2);
    Ok(())
}

#[tokio::test]
async fn a_refund_can_fail_after_it_succeeded() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let paid = api.paid_intent(&[]).await?;
    let refund = api.post("/v1/refunds", &[("payment_intent", &paid.id())]).await?;
    let failed = admin.settle_refund(&refund.id(), Outcome::Fail).await?;
    assert_eq!((failed["status"].as_str(), failed["failure_reason"].is_string()), (Some("failed"), true));
    assert!(admin.settle_refund(&refund.id(), Outcome::Fail).await.is_err());
    let failures = api.get("/v1/events?type=refund.failed").await?;
    assert_eq!(failures.text("/data/0/data/object/id"), refund.id());
    let once_more = api.post("/v1/refunds", &[("payment_intent", &paid.id())]).await?;
    assert_eq!(once_more.integer("/amount"), 1500);
    Ok(())
}

#[tokio::test]
async fn a_pending_refund_counts_and_settles_later() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    admin.set_switches(Switches { refunds_pending: true, ..Switches::default() }).await?;
    let paid = api.paid_intent(&[]).await?;
    let refund = api.post("/v1/refunds", &[("payment_intent", &paid.id())]).await?;
    assert_eq!(refund.text("/status"), "pending");
    let again = api.post("/v1/refunds", &[("payment_intent", &paid.id())]).await?;
    assert_eq!(again.text("/error/code"), "charge_already_refunded");
    assert_eq!(admin.settle_refund(&refund.id(), Outcome::Succeed).await?["status"], "succeeded");
    Ok(())
}

#[tokio::test]
async fn what_was_never_captured_cannot_be_refunded() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let held = api.paid_intent(&[("capture_method", "manual")]).await?;
    let refused = api.post("/v1/refunds", &[("payment_intent", &held.id())]).await?;
    assert_eq!((refused.status, refused.text("/error/code")), (400, "payment_intent_unexpected_state"));
    assert_eq!(api.post("/v1/refunds", &[]).await?.text("/error/code"), "parameter_missing");
    Ok(())
}

#[tokio::test]
async fn a_dispute_blocks_refunds() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let paid = api.paid_intent(&[]).await?;
    let dispute = admin.open_dispute(paid.text("/latest_charge")).await?;
    assert_eq!(
        (dispute["status"].as_str(), dispute["amount"].as_i64()),
        (Some("needs_response"), Some(1500))
    );
    let refused = api.post("/v1/refunds", &[("payment_intent", &paid.id())]).await?;
    assert_eq!(refused.text("/error/code"), "charge_disputed");
    let id = dispute["id"].as_str().unwrap_or_default();
    assert_eq!(admin.close_dispute(id, Outcome::Fail).await?["status"], "lost");
    let events = api.get("/v1/events?type=charge.dispute.*").await?;
    assert_eq!(events.text("/data/0/type"), "charge.dispute.closed");
    assert_eq!(events.text("/data/1/type"), "charge.dispute.created");
    Ok(())
}
