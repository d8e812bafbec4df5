//! The topic's event, and a local server in the place of the chat.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use kitloop::boot::Forwarder;
use kitloop::config::{Config, Needs};
use kitloop::error::Error;
use kitloop::network::Network;
use serde_json::{Value, json};
use test_support::{invocation, sample_event};

use super::handle;

/// Longer than one attempt may take.
const INVOCATION: Duration = Duration::from_secs(10);

/// A chat that keeps what it is told.
struct Chat {
    url: String,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Chat {
    /// A chat that answers with this status.
    async fn answering(status: StatusCode) -> Result<Self> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hook = async move |State(told): State<Arc<Mutex<Vec<Value>>>>, Json(message): Json<Value>| {
            told.lock().unwrap().push(message);
            status
        };
        let router = Router::new().route("/hooks/token", post(hook)).with_state(Arc::clone(&told));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hooks/token", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, told })
    }

    fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap().clone()
    }
}

fn forwarder(url: &str) -> Result<Forwarder> {
    let settings = [("ENVIRONMENT", "staging"), ("MONITOR_ALERT_WEBHOOK_URL", url)];
    let value = |name: &str| settings.iter().find(|(known, _)| *known == name);
    let config = Config::from_lookup(Needs::ALERTS, &|name| Some(value(name)?.1.to_owned()))?;
    Ok(Forwarder::new(config, &Network::default()))
}

async fn forward(url: &str, event: &str) -> Result<Result<Value, Error>> {
    let event = sample_event(&format!("forward_alarms/{event}.json"))?;
    Ok(handle(&forwarder(url)?, invocation(event, INVOCATION)).await)
}

#[tokio::test]
async fn an_alarm_is_told_as_text_and_by_its_parts() -> Result<()> {
    let chat = Chat::answering(StatusCode::OK).await?;
    assert_eq!(forward(&chat.url, "alarm").await??, json!({"forwarded_count": 1}));
    let reason =
        "Threshold Crossed: 1 datapoint [94.0 (21/11/26 11:59:00)] was greater than the threshold (60.0).";
    let description = "The worker is silent; captures, refunds and e-mail wait. See the log of run_jobs.";
    assert_eq!(
        chat.told(),
        [json!({
            "text": format!("[staging] ALARM: kitloop-staging-worker-heartbeat\n{description}\n{reason}"),
            "alarm": "kitloop-staging-worker-heartbeat", "description": description, "state": "ALARM",
            "reason": reason, "at": "2026-11-21T12:00:05.123Z", "environment": "staging",
        })]
    );
    Ok(())
}

#[tokio::test]
async fn that_it_is_over_is_told_as_well() -> Result<()> {
    let chat = Chat::answering(StatusCode::NO_CONTENT).await?;
    forward(&chat.url, "ok").await??;
    let told = chat.told();
    assert_eq!(told[0]["state"], "OK");
    assert!(told[0]["text"].as_str().unwrap_or_default().starts_with("[staging] OK: "), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_no_alarm_is_passed_on_as_it_is() -> Result<()> {
    let chat = Chat::answering(StatusCode::OK).await?;
    forward(&chat.url, "message").await??;
    let told = chat.told();
    assert_eq!(told[0]["text"], "[staging] A test\nDoes this arrive?");
    assert_eq!(told[0]["state"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn whatever_is_not_taken_fails_without_the_address() -> Result<()> {
    let chat = Chat::answering(StatusCode::INTERNAL_SERVER_ERROR).await?;
    let refused = forward(&chat.url, "alarm").await?.err().context("it was forwarded")?;
    assert_eq!(refused.to_string(), "alert undelivered: status 500");
    assert_eq!(chat.told().len(), 1);
    let nobody = forward("http://127.0.0.1:1/hooks/token", "alarm").await?.err();
    assert_eq!(nobody.context("it was forwarded")?.to_string(), "alert undelivered: no connection");
    Ok(())
}

#[tokio::test]
async fn each_alarm_of_an_event_is_told_though_one_fails() -> Result<()> {
    let chat = Chat::answering(StatusCode::INTERNAL_SERVER_ERROR).await?;
    let mut event = sample_event("forward_alarms/alarm.json")?;
    let records = event["Records"].as_array_mut().context("no records")?;
    records
        .extend(sample_event("forward_alarms/ok.json")?["Records"].as_array().context("no records")?.clone());
    let failed = handle(&forwarder(&chat.url)?, invocation(event, INVOCATION)).await;
    assert_eq!(failed.err().context("it was forwarded")?.to_string(), "alert undelivered: status 500");
    let states: Vec<Value> = chat.told().iter().map(|told| told["state"].clone()).collect();
    assert_eq!(states, ["ALARM", "OK"]);
    Ok(())
}

#[tokio::test]
async fn an_event_of_another_form_is_not_quoted() -> Result<()> {
    let event = json!({"Records": "hunter2"});
    let failed = handle(&forwarder("http://127.0.0.1:1")?, invocation(event, INVOCATION)).await;
    let said = failed.err().context("it was forwarded")?.to_string();
    assert_eq!(said, "internal: event: expected a sequence");
    Ok(())
}

#[tokio::test]
async fn a_chat_that_hangs_is_given_up() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hooks/token", listener.local_addr()?);
    let event = sample_event("forward_alarms/alarm.json")?;
    let forwarder = forwarder(&url)?;
    let hanging = handle(&forwarder, invocation(event, Duration::from_millis(300)));
    // Sooner than one attempt may take, because the invocation ends sooner.
    let hanging = tokio::time::timeout(Duration::from_secs(3), hanging).await?;
    assert_eq!(
        hanging.err().context("it was forwarded")?.to_string(),
        "alert undelivered: no answer in time"
    );
    Ok(())
}

#[tokio::test]
async fn without_an_address_and_without_a_topics_event_it_fails() -> Result<()> {
    let unset = forward("", "alarm").await?;
    assert!(matches!(unset, Err(Error::Refused(refusal)) if refusal.code.as_str() == "not_configured"));
    let schedule = sample_event("run_jobs/schedule.json")?;
    let foreign = handle(&forwarder("http://127.0.0.1:1")?, invocation(schedule, INVOCATION)).await;
    assert!(matches!(foreign, Err(Error::Internal(_))), "{foreign:?}");
    Ok(())
}

#[test]
fn a_malformed_address_is_named_and_not_shown() {
    let problems = forwarder("hunter2").err().map(|error| error.to_string());
    assert_eq!(problems.as_deref(), Some("MONITOR_ALERT_WEBHOOK_URL must be an http:// or https:// address"));
}
