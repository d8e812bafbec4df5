//! Money that the cardholder's bank takes back, or asks about.

use serde_json::{Value, json};
use stripe_stand_in::{DisputeStatus, NewDispute, Outcome, StandIn};

use crate::support::{Api, Reply, id_of};

fn inquiry_about(paid: &Reply) -> NewDispute {
    NewDispute { inquiry: true, charge: paid.text("/latest_charge").to_owned(), ..NewDispute::default() }
}

/// The types of the events about disputes, oldest first.
async fn dispute_events(api: &Api) -> anyhow::Result<Vec<String>> {
    let events = api.get("/v1/events?type=charge.dispute.*&limit=100").await?;
    let newest_first = events.body.get("data").and_then(Value::as_array).into_iter().flatten();
    let types = newest_first.rev().filter_map(|event| event.get("type")?.as_str());
    Ok(types.map(str::to_owned).collect())
}

async fn refund(api: &Api, paid: &Reply, amount: &str) -> anyhow::Result<Reply> {
    api.post("/v1/refunds", &[("payment_intent", &paid.id()), ("amount", amount)]).await
}

#[tokio::test]
async fn a_dispute_withdraws_the_money_until_it_is_won() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let paid = api.paid_intent(&[]).await?;
    let dispute = admin.open_dispute(paid.text("/latest_charge")).await?;
    assert_eq!((&dispute["status"], &dispute["amount"]), (&json!("needs_response"), &json!(1500)));
    assert_eq!(refund(&api, &paid, "1").await?.text("/error/code"), "charge_disputed");
    assert!(admin.open_dispute(paid.text("/latest_charge")).await.is_err());
    let reviewed = admin.update_dispute(id_of(&dispute), DisputeStatus::UnderReview).await?;
    assert_eq!(reviewed["is_charge_refundable"], false);
    let updated = api.get("/v1/events?type=charge.dispute.updated").await?;
    assert_eq!(updated.body["data"][0]["data"]["previous_attributes"], json!({"status": "needs_response"}));
    assert_eq!(refund(&api, &paid, "1").await?.text("/error/code"), "charge_disputed");
    assert_eq!(admin.close_dispute(id_of(&dispute), Outcome::Succeed).await?["status"], "won");
    assert_eq!(refund(&api, &paid, "1500").await?.status, 200);
    let expected = [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ];
    assert_eq!(dispute_events(&api).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_lost_dispute_blocks_refunds_for_good() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let paid = api.paid_intent(&[]).await?;
    let dispute = admin.open_dispute(paid.text("/latest_charge")).await?;
    assert_eq!(admin.close_dispute(id_of(&dispute), Outcome::Fail).await?["status"], "lost");
    let refused = refund(&api, &paid, "1").await?;
    assert_eq!((refused.status, refused.text("/error/code")), (400, "charge_disputed"));
    assert!(admin.close_dispute(id_of(&dispute), Outcome::Succeed).await.is_err());
    assert!(admin.update_dispute(id_of(&dispute), DisputeStatus::UnderReview).await.is_err());
    let expected = ["charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed"];
    assert_eq!(dispute_events(&api).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_dispute_is_about_what_is_left_or_a_part_of_it() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let (paid, other) = (api.paid_intent(&[]).await?, api.paid_intent(&[]).await?);
    refund(&api, &paid, "400").await?;
    let rest = admin.open_dispute(paid.text("/latest_charge")).await?;
    assert_eq!((&rest["amount"], &rest["reason"]), (&json!(1100), &json!("fraudulent")));
    let charge = other.text("/latest_charge").to_owned();
    let reason = Some("product_not_received".to_owned());
    let part = NewDispute { charge, reason, amount_minor: Some(600), ..NewDispute::default() };
    let too_much = NewDispute { amount_minor: Some(1501), ..part.clone() };
    assert!(admin.open_dispute_with(&too_much).await.is_err());
    assert!(admin.open_dispute_with(&NewDispute { amount_minor: Some(0), ..part.clone() }).await.is_err());
    let part = admin.open_dispute_with(&part).await?;
    assert_eq!((&part["amount"], &part["reason"]), (&json!(600), &json!("product_not_received")));
    let returned = api.paid_intent(&[]).await?;
    refund(&api, &returned, "1500").await?;
    assert!(admin.open_dispute(returned.text("/latest_charge")).await.is_err());
    Ok(())
}

#[tokio::test]
async fn an_inquiry_leaves_the_money_until_it_escalates() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let paid = api.paid_intent(&[]).await?;
    let inquiry = admin.open_dispute_with(&inquiry_about(&paid)).await?;
    assert_eq!(
        (&inquiry["status"], &inquiry["is_charge_refundable"]),
        (&json!("warning_needs_response"), &json!(true))
    );
    assert_eq!(refund(&api, &paid, "100").await?.status, 200);
    let id = id_of(&inquiry);
    assert!(admin.update_dispute(id, DisputeStatus::UnderReview).await.is_err());
    assert!(admin.close_dispute(id, Outcome::Fail).await.is_err());
    admin.update_dispute(id, DisputeStatus::WarningUnderReview).await?;
    assert_eq!(refund(&api, &paid, "100").await?.status, 200);
    admin.update_dispute(id, DisputeStatus::NeedsResponse).await?;
    let updated = api.get("/v1/events?type=charge.dispute.updated").await?;
    assert_eq!(
        updated.body["data"][0]["data"]["previous_attributes"],
        json!({"status": "warning_under_review", "is_charge_refundable": true})
    );
    assert_eq!(refund(&api, &paid, "100").await?.text("/error/code"), "charge_disputed");
    let expected = [
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.updated",
        "charge.dispute.funds_withdrawn",
    ];
    assert_eq!(dispute_events(&api).await?, expected);
    Ok(())
}

#[tokio::test]
async fn an_inquiry_ends_by_itself_or_by_a_full_refund() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let (first, second) = (api.paid_intent(&[]).await?, api.paid_intent(&[]).await?);
    let dropped = admin.open_dispute_with(&inquiry_about(&first)).await?;
    assert_eq!(admin.close_dispute(id_of(&dropped), Outcome::Succeed).await?["status"], "warning_closed");
    let resolved = admin.open_dispute_with(&inquiry_about(&second)).await?;
    refund(&api, &second, "1500").await?;
    let resolved = api.get(&format!("/v1/disputes/{}", id_of(&resolved))).await?;
    assert_eq!(resolved.text("/status"), "warning_closed");
    let expected = [
        "charge.dispute.created",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.closed",
    ];
    assert_eq!(dispute_events(&api).await?, expected);
    Ok(())
}

#[tokio::test]
async fn disputes_are_listed_by_what_they_are_about() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let mut found = Vec::new();
    for _ in 0..3 {
        let paid = api.paid_intent(&[]).await?;
        let dispute = admin.open_dispute(paid.text("/latest_charge")).await?;
        found.insert(0, (id_of(&dispute).to_owned(), paid));
    }
    let (id, paid) = &found[1];
    for filter in [
        format!("charge={}", paid.text("/latest_charge")),
        format!("payment_intent={}", paid.id()),
        format!("limit=1&starting_after={}", found[0].0),
        format!("limit=1&ending_before={}", found[2].0),
    ] {
        let listed = api.get(&format!("/v1/disputes?{filter}")).await?;
        assert_eq!((listed.count("/data"), listed.text("/data/0/id")), (1, id.as_str()), "{filter}");
    }
    let expanded = api.get("/v1/disputes?limit=1&expand[]=data.charge").await?;
    assert_eq!(expanded.text("/data/0/charge/payment_intent"), found[0].1.id());
    assert_eq!(api.get("/v1/disputes?created[lt]=1000000000").await?.count("/data"), 0);
    assert_eq!(api.get("/v1/disputes?nonsense=1").await?.text("/error/param"), "nonsense");
    assert_eq!(api.get("/v1/disputes/du_none").await?.status, 404);
    Ok(())
}
