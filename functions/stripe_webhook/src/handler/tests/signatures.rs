//! Only what Stripe signed, lately, with a secret that is live.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop, WEBHOOK_SECRET, sign};

use super::{Payment, answer, logged};

/// The body of an event that would confirm the payment, sent with this signature.
fn signed_with(payment: &Payment, signature: &str) -> Result<HttpCall> {
    Ok(payment.event("payment_intent_succeeded")?.call()?.header("stripe-signature", signature))
}

fn seconds_ago(seconds: i64) -> Result<Timestamp> {
    Ok(Timestamp::now().checked_sub(SignedDuration::from_secs(seconds))?)
}

async fn assert_nothing_happened(shop: &Shop, payment: &Payment) -> Result<()> {
    assert_eq!(shop.count("stripe_webhook_events").await?, 0);
    let untouched = json!(["hold", null, false, "requires_payment_method", 0]);
    assert_eq!(payment.stored(shop).await?, untouched);
    Ok(())
}

#[tokio::test]
async fn a_signature_that_does_not_hold_changes_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let body = payment.event("payment_intent_succeeded")?.call()?.body_text()?;
    let now = Timestamp::now();
    let good = sign(&body, WEBHOOK_SECRET, now)?;
    let (time, v1) = good.split_once(',').unwrap_or_default();
    let cases = [
        ("empty", String::new()),
        ("malformed", "signature".to_owned()),
        ("without a time", v1.to_owned()),
        ("without v1", time.to_owned()),
        ("of an older scheme", good.replace("v1=", "v0=")),
        ("not hexadecimal", format!("{time},v1=SIGNATURE")),
        ("cut off", good[..good.len() - 2].to_owned()),
        ("by another secret", sign(&body, "whsec_other", now)?),
        ("over another body", sign(&body.replace("succeeded", "canceled"), WEBHOOK_SECRET, now)?),
        ("at another time", good.replace(time, &format!("t={}", now.as_second() - 1))),
        ("too old", sign(&body, WEBHOOK_SECRET, seconds_ago(301)?)?),
        ("recorded a year ago", sign(&body, WEBHOOK_SECRET, seconds_ago(365 * 86_400)?)?),
        ("from the future", sign(&body, WEBHOOK_SECRET, seconds_ago(-330)?)?),
        ("with two times", format!("{time},{good}")),
    ];
    for (case, signature) in cases {
        let reply = answer(&shop, &signed_with(&payment, &signature)?).await?;
        ensure_problem(&reply, 400, "invalid_signature", case)?;
    }
    let missing = signed_with(&payment, "")?.without_header("stripe-signature");
    ensure_problem(&answer(&shop, &missing).await?, 400, "invalid_signature", "missing")?;
    let sample = HttpCall::sample("stripe_webhook/without_signature.json", &[])?;
    ensure_problem(&answer(&shop, &sample).await?, 400, "invalid_signature", "the sample")?;
    assert_nothing_happened(&shop, &payment).await
}

#[tokio::test]
async fn a_body_that_was_altered_on_the_way_changes_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let call = payment.event("payment_intent_payment_failed")?.call()?;
    let body = call.body_text()?;
    for altered in [
        body.replace("payment_intent.payment_failed", "payment_intent.succeeded"),
        format!("{body} "),
        body.replacen("250000", "1", 1),
    ] {
        assert_ne!(altered, body);
        let reply = answer(&shop, &call.clone().body(&altered)).await?;
        ensure_problem(&reply, 400, "invalid_signature", "altered")?;
    }
    assert_nothing_happened(&shop, &payment).await
}

#[tokio::test]
async fn one_good_signature_among_several_is_enough() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event("payment_intent_succeeded")?;
    let body = event.call()?.body_text()?;
    let now = Timestamp::now();
    let by = |secret: &str| sign(&body, secret, now);
    let v1 = |signature: String| signature.split_once(',').map(|(_, v1)| v1.to_owned()).unwrap_or_default();
    let several = format!("{},{},v0=00", by("whsec_other")?, v1(by(WEBHOOK_SECRET)?));
    let reply = answer(&shop, &signed_with(&payment, &several)?).await?;
    assert_eq!((reply.status, reply.at("/decision")), (200, &json!("confirmed")));
    assert_eq!(logged(&shop, &event).await?, json!(["processed", "confirmed", 1, 0]));
    Ok(())
}

#[tokio::test]
async fn the_previous_secret_and_an_age_within_the_tolerance_hold() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let previous = format!("previous_{WEBHOOK_SECRET}");
    let cases = [
        ("evt_1", previous.as_str(), 0, "confirmed"),
        ("evt_2", WEBHOOK_SECRET, 290, "already_confirmed"),
        ("evt_3", WEBHOOK_SECRET, -290, "already_confirmed"),
    ];
    for (id, secret, age, decision) in cases {
        let event = payment.event("payment_intent_succeeded")?.renamed(id);
        let body = event.call()?.body_text()?;
        let call = event.call()?.header("stripe-signature", &sign(&body, secret, seconds_ago(age)?)?);
        let reply = answer(&shop, &call).await?;
        assert_eq!((reply.status, reply.at("/decision")), (200, &json!(decision)), "{id}: {}", reply.body);
    }
    Ok(())
}

#[tokio::test]
async fn the_signature_is_over_the_bytes_that_were_sent_encoded_or_not() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let pretty = serde_json::to_string_pretty(&payment.event("payment_intent_succeeded")?.payload)?;
    let signature = sign(&pretty, WEBHOOK_SECRET, Timestamp::now())?;
    for (sample, decision) in [("base64_body", "confirmed"), ("function_url", "replay")] {
        let sample = HttpCall::sample(&format!("stripe_webhook/{sample}.json"), &[])?;
        let sample = sample.header("stripe-signature", &signature);
        let call = if decision == "confirmed" {
            sample.bytes(pretty.as_bytes())
        } else {
            sample.body(&pretty).set("/isBase64Encoded", false.into())
        };
        let reply = answer(&shop, &call).await?;
        assert_eq!((reply.status, reply.at("/decision")), (200, &json!(decision)), "{}", reply.body);
    }
    Ok(())
}
