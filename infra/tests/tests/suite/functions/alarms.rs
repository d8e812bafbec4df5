//! An alarm reaches the chat when nothing else of the product is there, and also after the chat's address has changed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use test_support::{Parameter, sample_event};

use super::lambda::{Lambda, Settings};

/// What a chat was told at its address, and how often somebody came to one that does not hold any more.
#[derive(Clone, Default)]
struct Chat {
    told: Arc<Mutex<Vec<Value>>>,
    revoked_calls: Arc<AtomicUsize>,
}

impl Chat {
    /// Starts it; the address is `<url>/new`, and was `<url>/old`.
    async fn start() -> Result<(Self, String)> {
        let chat = Self::default();
        let old = async |State(chat): State<Self>| {
            chat.revoked_calls.fetch_add(1, Ordering::Relaxed);
            StatusCode::GONE
        };
        let new = async |State(chat): State<Self>, Json(message): Json<Value>| {
            chat.told.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            StatusCode::OK
        };
        let router = Router::new().route("/old", post(old)).route("/new", post(new)).with_state(chat.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((chat, url))
    }

    fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_is_passed_on_without_a_database_and_to_a_new_address() -> Result<()> {
    let (lambda, (chat, url)) = (Lambda::start().await?, Chat::start().await?);
    let address = Parameter::of(&format!("{url}/old")).await?;
    let mut settings = Settings::from([("ENVIRONMENT", "staging".to_owned())]);
    settings.extend(address.settings("MONITOR_ALERT_WEBHOOK_URL"));
    let mut forwarder = lambda.run_function("forward_alarms", 1, &settings).await?;

    address.put(&format!("{url}/new")).await?;
    let answer = forwarder.address.invoke(&sample_event("forward_alarms/alarm.json")?).await?;
    assert_eq!(answer, json!({"forwarded_count": 1}));
    assert_eq!(chat.revoked_calls.load(Ordering::Relaxed), 1);
    let told = chat.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["environment"], "staging");
    assert_eq!(told[0]["alarm"], "kitloop-staging-worker-heartbeat");
    let log = forwarder.output()?;
    ensure!(log.contains("alarm.forwarded"), "{log}");
    ensure!(!log.contains(&url), "the address is in the log");
    forwarder.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_that_nobody_takes_fails_so_that_it_is_tried_again() -> Result<()> {
    let (lambda, (_, url)) = (Lambda::start().await?, Chat::start().await?);
    let settings = Settings::from([("MONITOR_ALERT_WEBHOOK_URL", format!("{url}/old"))]);
    let forwarder = lambda.run_function("forward_alarms", 1, &settings).await?;
    let answer = forwarder.address.invoke(&sample_event("forward_alarms/alarm.json")?).await?;
    assert_eq!(answer["errorMessage"], "alert undelivered: status 410");
    ensure!(!forwarder.output()?.contains(&url), "the address is in the log");
    Ok(())
}
