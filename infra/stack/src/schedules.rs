//! Fires the schedules of the template, with the events that EventBridge sends.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use crate::ministack::REGION;
use crate::net::http_client;
use crate::runtime::Runtime;
use crate::template::TemplateFunction;

/// What a run may take beside the function's own time.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// The schedules that are firing; they stop when this is dropped.
pub(crate) struct Schedules {
    client: reqwest::Client,
    clocks: Vec<JoinHandle<()>>,
}

impl Schedules {
    /// None yet.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { client: http_client()?, clocks: Vec::new() })
    }

    /// Invokes the function now and again at every interval, whether or not the last run is over.
    pub(crate) fn add(&mut self, runtime: &Runtime, function: &TemplateFunction, interval: Duration) {
        let (client, url) = (self.client.clone(), runtime.invocation_url(&function.name));
        let (name, timeout) = (function.name.clone(), function.timeout + ANSWER_MARGIN);
        self.clocks.push(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            // Aborting the clock drops the set, and with it the runs that nobody waits for any more.
            let mut runs = JoinSet::new();
            loop {
                ticks.tick().await;
                while runs.try_join_next().is_some() {}
                let (name, run) = (name.clone(), client.post(&url).timeout(timeout));
                runs.spawn(async move {
                    if let Err(error) = fire(run).await {
                        eprintln!("  the scheduled run of {name} failed: {error:#}");
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
async fn fire(run: RequestBuilder) -> Result<()> {
    let answer = run.json(&scheduled_event()).send().await.context("the function did not answer")?;
    let status = answer.status();
    let body: Value = answer.json().await.context("the function did not answer in JSON")?;
    if !status.is_success() || body.get("errorMessage").is_some() {
        bail!("{body}");
    }
    Ok(())
}

/// See <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html>.
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
