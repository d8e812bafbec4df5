//! Idempotency keys.

use stripe_stand_in::{FaultKind, StandIn};

use crate::support::{Api, eventually};

const PATH: &str = "/v1/payment_intents";
const FORM: &[(&str, &str)] = &[("amount", "1500"), ("currency", "czk")];

#[tokio::test]
async fn the_same_key_gets_the_same_answer() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let first = api.post_with_key(PATH, FORM, "k1").await?;
    let second = api.post_with_key(PATH, FORM, "k1").await?;
    assert_eq!(first.body, second.body);
    assert_eq!(
        (first.header("idempotent-replayed"), second.header("idempotent-replayed")),
        (None, Some("true"))
    );
    assert_eq!(second.header("original-request"), first.header("request-id"));
    let other = api.post_with_key(PATH, &[("amount", "1600"), ("currency", "czk")], "k1").await?;
    assert_eq!((other.status, other.text("/error/type")), (400, "idempotency_error"));
    stand_in.admin().forget_idempotency_keys().await?;
    assert_ne!(api.post_with_key(PATH, FORM, "k1").await?.id(), first.id());
    Ok(())
}

#[tokio::test]
async fn a_decline_is_stored_and_a_failed_check_is_not() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let api = Api::of(&stand_in);
    let mut form = FORM.to_vec();
    form.extend([("confirm", "true"), ("payment_method", "pm_card_chargeDeclined")]);
    assert_eq!(api.post_with_key(PATH, &form, "k1").await?.status, 402);
    let replay = api.post_with_key(PATH, &form, "k1").await?;
    assert_eq!((replay.status, replay.header("idempotent-replayed")), (402, Some("true")));
    assert_eq!(api.post_with_key(PATH, &[("amount", "1")], "k2").await?.status, 400);
    assert_eq!(api.post_with_key(PATH, FORM, "k2").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_stored_failure_comes_again_for_ever() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    admin.fail_next("POST", PATH, 1, FaultKind::status(500)).await?;
    assert_eq!(api.post_with_key(PATH, FORM, "k1").await?.header("idempotent-replayed"), None);
    for _ in 0..2 {
        let replay = api.post_with_key(PATH, FORM, "k1").await?;
        assert_eq!((replay.status, replay.header("idempotent-replayed")), (500, Some("true")));
        assert_eq!(replay.header("stripe-should-retry"), Some("false"));
    }
    admin.fail_next("POST", PATH, 1, FaultKind::status(429)).await?;
    assert_eq!(api.post_with_key(PATH, FORM, "k2").await?.status, 429);
    assert_eq!(api.post_with_key(PATH, FORM, "k2").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_key_in_use_is_a_conflict() -> anyhow::Result<()> {
    let stand_in = StandIn::start(None).await?;
    let (api, admin) = (Api::of(&stand_in), stand_in.admin());
    admin.fail_next("POST", PATH, 1, FaultKind::Slow { delay_ms: 300 }).await?;
    let first = api.post_with_key(PATH, FORM, "k1");
    let second = async {
        eventually(|| async { Ok((!admin.requests().await?.is_empty()).then_some(())) }).await?;
        api.post_with_key(PATH, FORM, "k1").await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first?.status, 200);
    let second = second?;
    assert_eq!((second.status, second.text("/error/code")), (409, "idempotency_key_in_use"));
    assert_eq!(second.header("stripe-should-retry"), Some("true"));
    Ok(())
}
