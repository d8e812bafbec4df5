//! What the stand-in can testify to.

use stripe_stand_in::{FaultKind, IntentMoney, NewDispute, Outcome, StandIn, charged_twice};

use crate::support::{Api, id_of};

const PATH: &str = "/v1/payment_intents";

#[tokio::test]
async fn keys_of_different_requests_are_named() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let (cheap, dear) =
        ([("amount", "1500"), ("currency", "czk")], [("amount", "1600"), ("currency", "czk")]);
    api.post_with_key(PATH, &cheap, "same").await?;
    api.post_with_key(PATH, &cheap, "same").await?;
    assert_eq!(stand_in.conflicting_keys(), [""; 0]);
    // Neither was executed, so that Stripe itself would not have complained about the second.
    admin.fail_next("POST", PATH, 2, FaultKind::passing_status(503)).await?;
    api.post_with_key(PATH, &cheap, "other body").await?;
    api.post_with_key(PATH, &dear, "other body").await?;
    let id = api.post_with_key(PATH, &cheap, "other path").await?.id();
    api.post_with_key(&format!("{PATH}/{id}/cancel"), &[], "other path").await?;
    assert_eq!(stand_in.conflicting_keys(), ["other body", "other path"]);
    assert_eq!(admin.conflicting_keys().await?, stand_in.conflicting_keys());
    admin.reset_log().await?;
    assert_eq!((admin.requests().await?.len(), stand_in.conflicting_keys().len()), (0, 0));
    // What Stripe keeps is not part of the log.
    assert_eq!(api.post_with_key(PATH, &cheap, "other path").await?.id(), id);
    Ok(())
}

#[tokio::test]
async fn the_money_of_each_intent_is_counted() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    let paid = api.paid_intent(&[("metadata[reservation_id]", "r1")]).await?;
    let refund = api.post("/v1/refunds", &[("payment_intent", &paid.id()), ("amount", "400")]).await?;
    let charge = paid.text("/latest_charge").to_owned();
    let part = NewDispute { charge, amount_minor: Some(600), ..NewDispute::default() };
    let dispute = admin.open_dispute_with(&part).await?;
    let released = api.paid_intent(&[("capture_method", "manual")]).await?;
    api.post(&format!("{PATH}/{}/cancel", released.id()), &[]).await?;
    let expected = IntentMoney {
        id: paid.id(),
        reservation_id: Some("r1".to_owned()),
        status: "succeeded".to_owned(),
        captures: 1,
        captured_minor: 1500,
        refunded_minor: 400,
        withdrawn_minor: 600,
        disputed: true,
    };
    let (id, status) = (released.id(), "canceled".to_owned());
    let nothing = IntentMoney { id, status, ..IntentMoney::default() };
    assert_eq!(expected.kept_minor(), 500);
    assert_eq!(stand_in.money(), [expected, nothing]);
    admin.close_dispute(id_of(&dispute), Outcome::Succeed).await?;
    admin.settle_refund(&refund.id(), Outcome::Fail).await?;
    let money = admin.money().await?;
    assert_eq!((money[0].kept_minor(), money[0].withdrawn_minor, money[0].disputed), (1500, 0, true));
    Ok(())
}

#[tokio::test]
async fn a_reservation_that_paid_twice_is_named_until_one_payment_went_back() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let of_the_same = [("metadata[reservation_id]", "r1")];
    api.paid_intent(&of_the_same).await?;
    api.paid_intent(&[("metadata[reservation_id]", "r2")]).await?;
    assert_eq!(charged_twice(&stand_in.money()), [""; 0]);
    let surplus = api.paid_intent(&of_the_same).await?;
    assert_eq!(charged_twice(&stand_in.money()), ["r1"]);
    api.post("/v1/refunds", &[("payment_intent", &surplus.id())]).await?;
    assert_eq!(charged_twice(&stand_in.money()), [""; 0]);
    Ok(())
}
