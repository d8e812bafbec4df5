//! Our client against the ways in which Resend, or what stands before it, can answer.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use kitloop::config::EmailConfig;
use kitloop::domain::Notification;
use kitloop::email::{Email, EmailError};
use kitloop::network::Network;
use resend_stand_in::{Fault, ResendStandIn};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

const KEY: &str = "re_hunter2";

fn client_at(api_base: &str) -> anyhow::Result<Email> {
    client_with(api_base, KEY)
}

fn client_with(api_base: &str, api_key: &str) -> anyhow::Result<Email> {
    let config = EmailConfig {
        api_base: api_base.to_owned(),
        api_key: api_key.into(),
        from: "Kitloop <bookings@kitloop.example>".to_owned(),
        attempt_timeout: Duration::from_millis(500),
    };
    Ok(Email::new(config, &Network::default())?)
}

/// A confirmation, with other members where some are given.
fn notification(changes: Value) -> anyhow::Result<Notification> {
    let mut document = json!({
        "kind": "confirmation", "to": "jana@example.com", "provider_name": "Alpine Hire",
        "contact_email": "hire@example.com", "customer_name": "Jana",
        "reservation_id": "0190a5b2-0000-4000-8000-000000000001", "starts_at": "2027-02-10 09:00",
        "ends_at": "2027-02-12 17:00", "time_zone": "Europe/Prague", "lines": [{"name": "Skis", "quantity": 2}],
        "amount_total_minor": 249_000, "currency": "CZK", "order_number": 17, "tax_minor": 0, "paid_minor": 249_000,
        "refund_minor": 0, "kept_minor": 0, "cancel_reason": null, "cancel_note": null, "owed_minor": 0,
        "dispute": null,
    });
    if let (Some(document), Value::Object(changes)) = (document.as_object_mut(), changes) {
        document.extend(changes);
    }
    Ok(serde_json::from_value(document)?)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// What becomes of a confirmation.
async fn send(email: &Email) -> anyhow::Result<Result<String, EmailError>> {
    Ok(email.send(&notification(json!({}))?, "job:send_email:1", soon()).await)
}

/// A server that answers everything in one way, until the test ends.
async fn answering(status: u16, body: impl Into<String>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let (status, body) = (StatusCode::from_u16(status)?, body.into());
    let router = Router::new().fallback(async move || (status, body.clone()));
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

#[tokio::test]
async fn a_message_reaches_resend_with_all_its_parts() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    let id = send(&client_at(stand_in.base_url())?).await??;
    let emails = stand_in.emails();
    let [email] = emails.as_slice() else { anyhow::bail!("{emails:?}") };
    assert_eq!(id, email.id.to_string());
    assert_eq!(email.from, "Kitloop <bookings@kitloop.example>");
    assert_eq!(
        (email.to.as_slice(), email.reply_to.as_slice()),
        (["jana@example.com".to_owned()].as_slice(), ["hire@example.com".to_owned()].as_slice())
    );
    assert_eq!(email.subject, "Your booking at Alpine Hire is confirmed");
    assert!(email.html.as_deref().is_some_and(|html| html.starts_with("<!doctype html>")), "{email:?}");
    assert!(email.text.as_deref().is_some_and(|text| text.starts_with("Hello Jana,")), "{email:?}");
    assert_eq!(email.idempotency_key.as_deref(), Some("job:send_email:1"));
    Ok(())
}

#[tokio::test]
async fn what_was_accepted_and_not_answered_is_not_sent_twice() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    let client = client_at(stand_in.base_url())?;
    stand_in.add_fault(Fault { times: 1, status: 500, accepted: true });
    assert!(matches!(send(&client).await?, Err(EmailError::Unavailable { .. })));
    let id = send(&client).await??;
    assert_eq!(stand_in.emails().iter().map(|email| email.id.to_string()).collect::<Vec<_>>(), [id]);
    Ok(())
}

#[tokio::test]
async fn another_message_under_the_same_key_is_refused_for_good() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    let client = client_at(stand_in.base_url())?;
    send(&client).await??;
    let other = notification(json!({"customer_name": "Jan"}))?;
    let error = client.send(&other, "job:send_email:1", soon()).await.err();
    let name = "invalid_idempotent_request".to_owned();
    assert_eq!(error, Some(EmailError::Refused { status: 409, name }));
    Ok(())
}

#[tokio::test]
async fn passing_failures_are_told_from_final_ones() -> anyhow::Result<()> {
    let is_final = |answer: &Result<String, EmailError>| matches!(answer, Err(EmailError::Refused { .. }));
    let stand_in = ResendStandIn::start(None).await?;
    let client = client_at(stand_in.base_url())?;
    for (status, expected) in [
        (400, true),
        (401, false),
        (403, false),
        (404, true),
        (422, true),
        (429, false),
        (451, true),
        (500, false),
        (503, false),
    ] {
        stand_in.fail_next(1, status);
        let answer = send(&client).await?;
        assert!(answer.is_err(), "{status}");
        assert_eq!(is_final(&answer), expected, "{status}: {answer:?}");
        let told = answer.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains(&status.to_string()), "{told}");
    }
    assert_eq!(stand_in.emails(), []);
    let concurrent = r#"{"statusCode": 409, "name": "concurrent_idempotent_requests", "message": "wait"}"#;
    let answer = send(&client_at(&answering(409, concurrent).await?)?).await?;
    assert!(answer.is_err() && !is_final(&answer), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_key_that_does_not_hold_is_tried_again_later() -> anyhow::Result<()> {
    let stand_in = ResendStandIn::start(None).await?;
    let answer = send(&client_with(stand_in.base_url(), "old_key")?).await?;
    assert_eq!(answer, Err(EmailError::KeyRefused { status: 403 }));
    Ok(())
}

#[tokio::test]
async fn what_is_not_in_resends_words_is_tried_again() -> anyhow::Result<()> {
    for (status, body) in [
        (200, "<html>Welcome to the hotel's network</html>".to_owned()),
        (200, r#"{"ok": true}"#.to_owned()),
        (200, format!("{{\"id\": \"{}\"}}", "x".repeat(100_000))),
        (302, String::new()),
        (404, "<html>no such page</html>".to_owned()),
        (400, r#"{"name": "to jana@example.com: no"}"#.to_owned()),
    ] {
        let answer = send(&client_at(&answering(status, body.clone()).await?)?).await?;
        assert!(matches!(answer, Err(EmailError::Unavailable { .. })), "{status} {body:.40}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_silent_resend_ends_the_attempt() -> anyhow::Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let client = client_at(&format!("http://{}", silent.local_addr()?))?;
    let started = Instant::now();
    let no_answer = Err(EmailError::Unavailable { reason: "no answer in time".to_owned() });
    assert_eq!(send(&client).await?, no_answer);
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
    let started = Instant::now();
    let deadline = started + Duration::from_millis(50);
    assert_eq!(client.send(&notification(json!({}))?, "k", deadline).await, no_answer);
    assert!(
        started.elapsed() < Duration::from_millis(400),
        "the deadline is sooner: {:?}",
        started.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn an_absent_resend_is_told_without_saying_what_was_sent() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    drop(listener);
    let answer = send(&client_at(&address)?).await?;
    assert_eq!(answer, Err(EmailError::Unavailable { reason: "no connection".to_owned() }));
    Ok(())
}

#[tokio::test]
async fn an_error_never_repeats_the_address_the_key_or_the_answer() -> anyhow::Result<()> {
    let body =
        json!({"statusCode": 422, "name": "validation_error", "message": "Invalid `to`: jana@example.com"});
    for (status, body) in [(422, body.to_string()), (500, "jana@example.com re_hunter2 secret".to_owned())] {
        let answer = send(&client_at(&answering(status, body).await?)?).await?;
        let told =
            format!("{answer:?} {}", answer.as_ref().err().map(ToString::to_string).unwrap_or_default());
        for private in ["jana", "hunter2", "secret", "Invalid"] {
            assert!(!told.contains(private), "{told}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_none_is_found_before_anything_is_sent() {
    for api_base in ["hunter2", "ftp://127.0.0.1", ""] {
        assert!(client_at(api_base).is_err(), "{api_base}");
    }
}
