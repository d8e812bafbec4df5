//! What the stand-in accepts, refuses and does when told to.

use anyhow::{Context, Result};
use sentry_stand_in::{Fault, SentryStandIn};

const ID: &str = "fc6d8c0c43fc4630ad850ee518f1b9d0";
const AUTH: &str =
    "Sentry sentry_version=7, sentry_key=0123456789abcdef0123456789abcdef, sentry_client=tests/1.0";

fn event() -> String {
    format!(r#"{{"event_id":"{ID}","timestamp":"2026-11-21T12:00:00Z","platform":"native","level":"error"}}"#)
}

fn envelope(event: &str, length: usize) -> String {
    format!("{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"event\",\"length\":{length}}}\n{event}\n")
}

async fn post(sentry: &SentryStandIn, auth: &str, envelope: String) -> Result<reqwest::Response> {
    let dsn = sentry.dsn();
    let (_, address) = dsn.split_once('@').context("no key")?;
    let (host, project) = address.split_once('/').context("no project")?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client
        .post(format!("http://{host}/api/{project}/envelope/"))
        .header("x-sentry-auth", auth)
        .header("user-agent", "tests/1.0")
        .header("content-type", "application/x-sentry-envelope")
        .body(envelope);
    Ok(request.send().await?)
}

#[tokio::test]
async fn an_event_in_order_is_kept() -> Result<()> {
    let sentry = SentryStandIn::start().await?;
    let event = event();
    assert_eq!(post(&sentry, AUTH, envelope(&event, event.len())).await?.status(), 200);
    assert_eq!(sentry.events().len(), 1);
    assert_eq!(sentry.events()[0]["event_id"], ID);
    Ok(())
}

#[tokio::test]
async fn what_is_not_in_order_is_refused() -> Result<()> {
    let sentry = SentryStandIn::start().await?;
    let event = event();
    let good = envelope(&event, event.len());
    let another_id = event.replace(ID, &ID.replace('f', "0"));
    let no_level = event.replace("error", "bad");
    for (auth, envelope, status) in [
        ("", good.clone(), 403),
        (&AUTH.replace("version=7", "version=6"), good.clone(), 403),
        (&AUTH.replace("key=0", "key=1"), good.clone(), 403),
        (AUTH, envelope(&event, event.len() - 1), 400),
        (AUTH, envelope(&event, event.len() + 2), 400),
        (AUTH, good.replace("\"type\":\"event\"", "\"type\":\"session\""), 400),
        (AUTH, envelope(&another_id, another_id.len()), 400),
        (AUTH, envelope(&no_level, no_level.len()), 400),
        (AUTH, String::new(), 400),
    ] {
        assert_eq!(post(&sentry, auth, envelope.clone()).await?.status(), status, "{auth} {envelope}");
    }
    assert_eq!((sentry.events().len(), sentry.attempts(), sentry.complaints().len()), (0, 9, 9));
    Ok(())
}

#[tokio::test]
async fn it_fails_when_told_to() -> Result<()> {
    let sentry = SentryStandIn::start().await?;
    let event = event();
    let send = async || post(&sentry, AUTH, envelope(&event, event.len())).await;
    sentry.set_fault(Some(Fault::Status(503)));
    assert_eq!(send().await?.status(), 503);
    sentry.set_fault(Some(Fault::RetryAfter(7)));
    let limited = send().await?;
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"7".parse()?));
    assert!(sentry.events().is_empty());
    sentry.set_fault(Some(Fault::Limit(7)));
    assert_eq!(send().await?.headers()["x-sentry-rate-limits"], "7:error:key:made_to_order");
    sentry.set_fault(Some(Fault::Hang));
    let patience = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(patience, send()).await.is_err());
    let delay = patience * 2;
    sentry.set_fault(Some(Fault::Delay(delay)));
    let asked = std::time::Instant::now();
    assert_eq!(send().await?.status(), 200);
    assert!(asked.elapsed() >= delay);
    sentry.set_fault(None);
    assert_eq!(send().await?.status(), 200);
    assert_eq!(sentry.events().len(), 3);
    Ok(())
}
