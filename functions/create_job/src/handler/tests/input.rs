//! What is asked for, as far as it can be told without the database.

use anyhow::Result;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{HttpCall, Shop};
use uuid::Uuid;

use super::{answer, export};

const NINE: &str = "2026-12-01T09:00:00+01:00";

/// The reason given for the only wrong field.
fn reason(body: &Value) -> &str {
    body["invalid_fields"][0]["reason"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn all_wrong_fields_are_named_in_one_answer() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    let sample = HttpCall::sample("create_job/all_fields_wrong.json", &[])?.by(user_id)?;
    let reply = answer(&shop, &sample).await?;
    ensure_problem(&reply, 400, "invalid_request", "all")?;
    let fields = ["idempotency_key", "input.format", "input.from", "input.provider_id", "input.to"];
    assert_eq!(reply.invalid_fields(), fields);
    let unknown = answer(&shop, &sample.patch(&json!({"kind": "surprise"}))?).await?;
    assert_eq!(unknown.invalid_fields(), ["idempotency_key", "kind"], "an unknown kind knows no input");
    assert_eq!((shop.count("jobs").await?, shop.database.balance(user_id).await?), (0, 1));
    Ok(())
}

#[tokio::test]
async fn a_kind_that_nobody_knows_is_answered_with_those_there_are() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    for kind in [
        json!("reservation_import"),
        json!("Reservation_Export"),
        json!(""),
        // What decisions leave to be done is nothing to order.
        json!("refund_payment"),
        json!("send_email"),
        json!(7),
        json!(["reservation_export"]),
    ] {
        let reply = answer(&shop, &export(user_id, "a")?.patch(&json!({"kind": kind}))?).await?;
        ensure_problem(&reply, 400, "invalid_request", &kind.to_string())?;
        assert_eq!(reply.invalid_fields(), ["kind"], "{kind}");
        assert_eq!(reason(&reply.body), "must be one of: reservation_export", "{kind}");
    }
    let reply = answer(&shop, &export(user_id, "a")?.patch(&json!({"kind": null}))?).await?;
    assert_eq!((reply.invalid_fields(), reason(&reply.body)), (vec!["kind"], "is required"));
    assert_eq!((shop.count("jobs").await?, shop.count("idempotency_keys").await?), (0, 0));
    Ok(())
}

#[tokio::test]
async fn an_input_that_makes_no_sense_is_named() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    for (input, field) in [
        (json!(null), "input"),
        (json!([]), "input"),
        (json!("csv"), "input"),
        (json!({}), "input.format"),
        (json!({"format": "xlsx"}), "input.format"),
        (json!({"format": ["csv"]}), "input.format"),
        (json!({"format": "csv", "provider_id": "Snowline"}), "input.provider_id"),
        (json!({"format": "csv", "from": "2026-12-01"}), "input.from"),
        (json!({"format": "csv", "to": 1_795_237_200}), "input.to"),
        (json!({"format": "csv", "from": NINE, "to": NINE}), "input.to"),
        (json!({"format": "csv", "from": NINE, "to": "2026-12-01T08:59:59+01:00"}), "input.to"),
        // Later on the wall, earlier in time.
        (json!({"format": "csv", "from": NINE, "to": "2026-12-01T10:00:00+03:00"}), "input.to"),
    ] {
        let reply = answer(&shop, &export(user_id, "a")?.patch(&json!({"input": input}))?).await?;
        ensure_problem(&reply, 400, "invalid_request", &input.to_string())?;
        assert_eq!(reply.invalid_fields(), [field], "{input}");
    }
    assert_eq!((shop.count("jobs").await?, shop.database.balance(user_id).await?), (0, 1));
    Ok(())
}

#[tokio::test]
async fn only_what_the_kind_knows_is_kept_in_one_spelling() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = shop.database.user_with_credits(1).await?;
    // Earlier on the wall, later in time.
    let input = json!({
        "format": "json", "from": NINE, "to": "2026-12-01T08:30:00Z", "provider_id": null, "user_id": Uuid::nil(),
    });
    let reply = answer(&shop, &export(user_id, "a")?.patch(&json!({"input": input}))?).await?;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let sql = "select jsonb_build_array(provider_id, input) from public.jobs";
    let stored: Value = shop.database.value(sql, &[]).await?;
    let kept = json!({"format": "json", "from": "2026-12-01T08:00:00Z", "to": "2026-12-01T08:30:00Z"});
    assert_eq!(stored, json!([null, kept]));
    Ok(())
}
