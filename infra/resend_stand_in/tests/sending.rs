//! What the stand-in promises to those who send e-mail.

use reqwest::{Client, RequestBuilder, StatusCode};
use resend_stand_in::{Email, Fault, ResendStandIn};
use serde_json::{Value, json};

/// A client that names itself, as Resend demands, and that no proxy gets in the way of.
fn client() -> anyhow::Result<Client> {
    Ok(Client::builder().no_proxy().user_agent("tests/1.0").build()?)
}

fn request(stand_in: &ResendStandIn, body: &Value) -> anyhow::Result<RequestBuilder> {
    let url = format!("{}/emails", stand_in.base_url());
    Ok(client()?.post(url).bearer_auth("re_secret").json(body))
}

async fn answer(request: RequestBuilder) -> anyhow::Result<(u16, Value)> {
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

async fn send(stand_in: &ResendStandIn, key: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    answer(request(stand_in, body)?.header("Idempotency-Key", key)).await
}

/// An e-mail, with other members where some are given.
fn email(changes: Value) -> Value {
    let mut body = json!({
        "from": "Kitloop <bookings@kitloop.example>", "to": "jana@example.com", "subject": "Your booking",
        "html": "<p>It is yours.</p>", "text": "It is yours.",
    });
    if let (Some(body), Value::Object(changes)) = (body.as_object_mut(), changes) {
        body.extend(changes);
    }
    body
}

#[tokio::test]
async fn an_email_is_accepted_and_kept() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    let tags = json!([{"name": "kind", "value": "confirmation"}]);
    let full = email(json!({"to": ["jana@example.com", "Jan <jan@example.com>"], "tags": tags,
        "reply_to": "shop@example.com"}));
    let (status, body) = send(&stand_in, "r1:confirmation", &full).await?;
    assert_eq!(status, 200, "{body}");
    let emails = stand_in.emails();
    let [Email { id, to, html, text, reply_to, tags, idempotency_key, .. }] = emails.as_slice() else {
        anyhow::bail!("{emails:?}");
    };
    assert_eq!(body, json!({"id": id}));
    assert_eq!((to.len(), reply_to.len()), (2, 1));
    assert_eq!((html.as_deref(), text.as_deref()), (Some("<p>It is yours.</p>"), Some("It is yours.")));
    assert_eq!(tags.get("kind").map(String::as_str), Some("confirmation"));
    assert_eq!(idempotency_key.as_deref(), Some("r1:confirmation"));
    let elsewhere = client()?.get(format!("{}/_admin/emails", stand_in.base_url())).send().await?;
    assert_eq!(elsewhere.json::<Vec<Email>>().await?, emails);
    Ok(())
}

#[tokio::test]
async fn the_same_key_sends_once() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    let first = send(&stand_in, "k1", &email(json!({}))).await?;
    assert_eq!(send(&stand_in, "k1", &email(json!({}))).await?, first);
    let (status, body) = send(&stand_in, "k1", &email(json!({"subject": "Other"}))).await?;
    assert_eq!((status, &body["name"]), (409, &json!("invalid_idempotent_request")));
    assert_eq!(stand_in.emails().len(), 1);
    send(&stand_in, "k2", &email(json!({}))).await?;
    answer(request(&stand_in, &email(json!({})))?).await?;
    assert_eq!(stand_in.emails().len(), 3);
    Ok(())
}

#[tokio::test]
async fn fields_are_checked_as_resend_checks_them() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    let many = vec!["jana@example.com"; 51];
    for (changes, name, field) in [
        (json!({"from": null}), "missing_required_field", "`from`"),
        (json!({"to": []}), "missing_required_field", "`to`"),
        (json!({"subject": ""}), "missing_required_field", "`subject`"),
        (json!({"html": null, "text": null}), "missing_required_field", "`html` or `text`"),
        (json!({"from": "Kitloop"}), "validation_error", "`from`"),
        (json!({"to": ["jana@example.com", "jan"]}), "validation_error", "`to`"),
        (json!({"to": many}), "validation_error", "`to`"),
        (json!({"to": 5}), "validation_error", "`to`"),
        (json!({"reply_to": "nobody"}), "validation_error", "`reply_to`"),
        (json!({"html": 5}), "validation_error", "`html`"),
        (json!({"tags": [{"name": "a b", "value": "c"}]}), "validation_error", "`tags`"),
    ] {
        let (status, body) = send(&stand_in, "k1", &email(changes.clone())).await?;
        assert_eq!((status, body["name"].as_str()), (422, Some(name)), "{changes}: {body}");
        assert_eq!(body["statusCode"], 422);
        assert!(body["message"].as_str().is_some_and(|message| message.contains(field)), "{body}");
    }
    assert_eq!(stand_in.emails(), []);
    // What failed a check did not use the key up.
    assert_eq!(send(&stand_in, "k1", &email(json!({}))).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn only_keys_of_resends_form_are_taken() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    let url = format!("{}/emails", stand_in.base_url());
    let post = || anyhow::Ok(client()?.post(&url).json(&email(json!({}))));
    let (status, body) = answer(post()?).await?;
    assert_eq!((status, &body["name"]), (401, &json!("missing_api_key")));
    for key in ["sk_test_x", "re_"] {
        let (status, body) = answer(post()?.bearer_auth(key)).await?;
        assert_eq!((status, &body["name"]), (403, &json!("invalid_api_key")), "{key}");
    }
    let anonymous = Client::builder().no_proxy().build()?.post(&url).bearer_auth("re_secret");
    let refused = anonymous.json(&email(json!({}))).send().await?;
    assert_eq!(
        (refused.status(), refused.text().await?.as_str()),
        (StatusCode::FORBIDDEN, "error code: 1010")
    );
    let (status, body) = send(&stand_in, &"k".repeat(257), &email(json!({}))).await?;
    assert_eq!((status, &body["name"]), (400, &json!("invalid_idempotency_key")));
    assert_eq!(stand_in.emails(), []);
    Ok(())
}

#[tokio::test]
async fn what_is_no_email_is_refused() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    let (status, body) = answer(request(&stand_in, &json!([]))?).await?;
    assert_eq!((status, &body["name"]), (400, &json!("validation_error")));
    let client = client()?;
    let at = |path: &str| client.get(format!("{}{path}", stand_in.base_url())).bearer_auth("re_secret");
    assert_eq!(answer(at("/emails")).await?.1["name"], "method_not_allowed");
    assert_eq!(answer(at("/domains")).await?.1["name"], "not_found");
    Ok(())
}

#[tokio::test]
async fn failures_come_when_told_to() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    stand_in.fail_next(2, 429);
    for _ in 0..2 {
        let response = request(&stand_in, &email(json!({})))?.send().await?;
        assert_eq!(
            response.headers().get("retry-after").map(|value| value.as_bytes()),
            Some(b"1".as_slice())
        );
        assert_eq!(response.json::<Value>().await?["name"], "rate_limit_exceeded");
    }
    assert_eq!(stand_in.emails(), []);
    let fault = Fault { times: 1, status: 500, accepted: true };
    let ordered =
        client()?.post(format!("{}/_admin/faults", stand_in.base_url())).json(&fault).send().await?;
    assert_eq!(ordered.status(), StatusCode::NO_CONTENT);
    let (status, body) = send(&stand_in, "k1", &email(json!({}))).await?;
    assert_eq!((status, &body["name"]), (500, &json!("internal_server_error")));
    assert_eq!(stand_in.emails().len(), 1);
    assert_eq!(send(&stand_in, "k1", &email(json!({}))).await?.0, 200);
    assert_eq!(stand_in.emails().len(), 1);
    Ok(())
}
