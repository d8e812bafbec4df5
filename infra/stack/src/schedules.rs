//! Fires the schedules of the template, with the events that EventBridge sends.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use crate::ministack::REGION;
use crate::runtime::Runtime;

/// The schedules that are firing; they stop when this is dropped.
#[derive(Default)]
pub(crate) struct Schedules {
    clocks: Vec<JoinHandle<()>>,
}

impl Schedules {
    /// Invokes the function now and again at every interval, whether or not the last run is over.
    pub(crate) fn add(&mut self, runtime: &Runtime, function: &str, interval: Duration) {
        let url = runtime.invocation_url(function);
        let function = function.to_owned();
        self.clocks.push(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            // Aborting the clock drops the set, and with it the runs that nobody waits for any more.
            let mut runs = JoinSet::new();
            loop {
                ticks.tick().await;
                while runs.try_join_next().is_some() {}
                let (url, function) = (url.clone(), function.clone());
                runs.spawn(async move {
                    if let Err(error) = fire(&url).await {
                        eprintln!("  the scheduled run of {function} failed: {error:#}");
                    }
                });
            }
        }));
    }
}

impl Drop for Schedules {
    fn drop(&mut self) {
        for clock in &self.clocks {
            clock.abort();
        }
    }
}

/// Sends one scheduled event and waits for the function to succeed.
async fn fire(invocation_url: &str) -> Result<()> {
    let answer = reqwest::Client::new()
        .post(invocation_url)
        .json(&scheduled_event())
        .send()
        .await
        .context("the runtime did not take the event")?;
    let status = answer.status();
    let body: Value = answer.json().await.context("the function did not answer in JSON")?;
    if !status.is_success() || body.get("errorMessage").is_some() {
        bail!("{body}");
    }
    Ok(())
}

/// https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
fn scheduled_event() -> Value {
    json!({
        "version": "0",
        "id": Uuid::new_v4(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "000000000000",
        "time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": REGION,
        "resources": [],
        "detail": "{}",
    })
}
