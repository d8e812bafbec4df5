//! Money that we send back.

use serde_json::json;
use stripe_stand_in::{Outcome, RefundStatus, StandIn, Switches};

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
async fn a_refund_that_needs_the_customer_goes_every_way() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    admin.set_switches(Switches { refunds_pending: true, ..Switches::default() }).await?;
    let paid = api.paid_intent(&[]).await?;
    for (ending, left_minor) in
        [(RefundStatus::Canceled, 1500), (RefundStatus::Failed, 1500), (RefundStatus::Succeeded, 0)]
    {
        let refund = api.post("/v1/refunds", &[("payment_intent", &paid.id())]).await?.id();
        let waiting = admin.move_refund(&refund, RefundStatus::RequiresAction).await?;
        assert_eq!(waiting["status"], "requires_action");
        let ended = admin.move_refund(&refund, ending).await?;
        assert_eq!(ended["status"], json!(ending));
        let updated = api.get("/v1/events?type=refund.updated&limit=1").await?;
        assert_eq!(updated.text("/data/0/data/previous_attributes/status"), "requires_action");
        let charge = api.get(&format!("/v1/charges/{}", paid.text("/latest_charge"))).await?;
        assert_eq!(charge.integer("/amount_refunded"), 1500 - left_minor, "{ending:?}");
        assert!(admin.move_refund(&refund, RefundStatus::RequiresAction).await.is_err(), "{ending:?}");
    }
    assert_eq!(api.get("/v1/events?type=refund.failed").await?.count("/data"), 1);
    Ok(())
}

#[tokio::test]
async fn a_refund_keeps_its_metadata() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let paid = api.paid_intent(&[("metadata[reservation_id]", "r1")]).await?;
    let form = [("payment_intent", paid.text("/id")), ("amount", "500"), ("metadata[refund_id]", "f1")];
    let refund = api.post("/v1/refunds", &form).await?;
    let listed = api.get("/v1/refunds?limit=1").await?;
    assert_eq!(listed.body["data"][0]["metadata"], json!({"refund_id": "f1"}));
    let path = format!("/v1/refunds/{}", refund.id());
    let changed = api.post(&path, &[("metadata[job_id]", "j1")]).await?;
    assert_eq!(changed.body["metadata"], json!({"refund_id": "f1", "job_id": "j1"}));
    let created = api.get("/v1/events?type=refund.created").await?;
    assert_eq!(created.text("/data/0/data/object/metadata/refund_id"), "f1");
    Ok(())
}
