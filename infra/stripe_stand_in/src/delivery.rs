//! Webhooks: signed, delivered, and tried again until they are taken. <https://docs.stripe.com/webhooks>

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::protocol::{Delivery, EventAction, WebhookEndpoint};
use crate::server::Shared;
use crate::state::now;

/// Pauses between attempts in milliseconds; Stripe's own are hours. The last one repeats.
const PAUSES_MS: [u64; 6] = [200, 500, 1_000, 2_000, 4_000, 8_000];
/// After so many attempts an event stays undelivered.
const MOST_ATTEMPTS: u32 = 20;
/// How long the receiver has for its answer: longer than a function may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long an event that is to be delivered after its successor waits for one.
const REORDER_PATIENCE: Duration = Duration::from_secs(1);
/// So many deliveries at the same time, that a burst of events is not a burst of connections.
const MOST_AT_ONCE: usize = 32;
/// Longer answers are cut in the log.
const LONGEST_ANSWER: usize = 4096;

/// An event on its way to the receiver.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch {
    event_id: String,
    obeys_faults: bool,
}

impl Dispatch {
    pub(crate) fn happened(event_id: &str) -> Self {
        Self { event_id: event_id.to_owned(), obeys_faults: true }
    }

    pub(crate) fn resent(event_id: &str) -> Self {
        Self { event_id: event_id.to_owned(), obeys_faults: false }
    }
}

/// Every attempt, oldest first.
#[derive(Debug, Default)]
pub(crate) struct DeliveryLog(Vec<Delivery>);

impl DeliveryLog {
    pub(crate) fn all(&self) -> &[Delivery] {
        &self.0
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

/// Delivers what the outbox holds, each event on its own, as Stripe does: the order is not guaranteed.
pub(crate) async fn run(shared: Arc<Shared>, mut outbox: UnboundedReceiver<Dispatch>) {
    let mut courier =
        Courier { shared, slots: Arc::new(Semaphore::new(MOST_AT_ONCE)), running: JoinSet::new() };
    while let Some(dispatch) = outbox.recv().await {
        // What is done is let go, so that the set does not grow for ever.
        while courier.running.try_join_next().is_some() {}
        match courier.fault_of(&dispatch) {
            Some(EventAction::Reorder) => {
                let follower = tokio::time::timeout(REORDER_PATIENCE, outbox.recv()).await.ok().flatten();
                if let Some(follower) = follower {
                    courier.deliver_first(&follower).await;
                }
                courier.spawn(&dispatch, Duration::ZERO);
            }
            Some(EventAction::Lose) => {}
            Some(EventAction::DelayMs(delay)) => courier.spawn(&dispatch, Duration::from_millis(delay)),
            Some(EventAction::Duplicate) => {
                courier.spawn(&dispatch, Duration::ZERO);
                courier.spawn(&dispatch, Duration::ZERO);
            }
            None => courier.spawn(&dispatch, Duration::ZERO),
        }
    }
}

struct Courier {
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    running: JoinSet<()>,
}

impl Courier {
    fn fault_of(&self, dispatch: &Dispatch) -> Option<EventAction> {
        if !dispatch.obeys_faults {
            return None;
        }
        let mut state = self.shared.state();
        let event_type = state.events.get(&dispatch.event_id)?.event_type.clone();
        state.event_faults.take(&event_type)
    }

    fn spawn(&mut self, dispatch: &Dispatch, delay: Duration) {
        let Some(parcel) = Parcel::of(&self.shared, &dispatch.event_id) else {
            return;
        };
        let (shared, slots) = (Arc::clone(&self.shared), Arc::clone(&self.slots));
        self.running.spawn(async move {
            tokio::time::sleep(delay).await;
            deliver(&shared, &slots, &parcel, 1).await;
        });
    }

    /// Waits for the first attempt, and leaves the others, if they are needed, to the background.
    async fn deliver_first(&mut self, dispatch: &Dispatch) {
        let Some(parcel) = Parcel::of(&self.shared, &dispatch.event_id) else {
            return;
        };
        if !attempt(&self.shared, &parcel, 1).await {
            let (shared, slots) = (Arc::clone(&self.shared), Arc::clone(&self.slots));
            self.running.spawn(async move {
                tokio::time::sleep(pause_after(1)).await;
                deliver(&shared, &slots, &parcel, 2).await;
            });
        }
    }
}

/// An event as it is sent, with its receiver: both stay what they were when the event happened.
struct Parcel {
    event_id: String,
    event_type: String,
    object_id: Option<String>,
    body: String,
    endpoint: WebhookEndpoint,
}

impl Parcel {
    fn of(shared: &Shared, event_id: &str) -> Option<Self> {
        let state = shared.state();
        let event = state.events.get(event_id)?;
        Some(Self {
            event_id: event_id.to_owned(),
            event_type: event.event_type.clone(),
            object_id: event.object_id(),
            body: event.render().to_string(),
            endpoint: state.webhook_endpoint.clone()?,
        })
    }
}

async fn deliver(shared: &Shared, slots: &Semaphore, parcel: &Parcel, first_attempt: u32) {
    for number in first_attempt..=MOST_ATTEMPTS {
        let slot = slots.acquire().await;
        let delivered = attempt(shared, parcel, number).await;
        drop(slot);
        if delivered {
            return;
        }
        tokio::time::sleep(pause_after(number)).await;
    }
}

fn pause_after(attempt: u32) -> Duration {
    let position = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let [.., longest] = PAUSES_MS;
    Duration::from_millis(PAUSES_MS.get(position).copied().unwrap_or(longest))
}

/// One attempt; true if the receiver took the event.
async fn attempt(shared: &Shared, parcel: &Parcel, number: u32) -> bool {
    let request = shared
        .http
        .post(&parcel.endpoint.url)
        .timeout(ATTEMPT_TIMEOUT)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("stripe-signature", signature(&parcel.endpoint.secret, &parcel.body, now()))
        .body(parcel.body.clone());
    let (status, answer) = match request.send().await {
        Ok(response) => (Some(response.status().as_u16()), read_answer(response).await),
        Err(error) => (None, json!(error.without_url().to_string())),
    };
    let delivered = is_taken(status, &answer);
    let mut state = shared.state();
    if delivered && let Some(event) = state.events.get_mut(&parcel.event_id) {
        event.taken();
    }
    state.deliveries.0.push(Delivery {
        event_id: parcel.event_id.clone(),
        event_type: parcel.event_type.clone(),
        object_id: parcel.object_id.clone(),
        attempt: number,
        status,
        answer,
        delivered,
    });
    delivered
}

async fn read_answer(response: reqwest::Response) -> Value {
    let text = response.text().await.unwrap_or_default();
    serde_json::from_str(&text)
        .unwrap_or_else(|_| json!(text.chars().take(LONGEST_ANSWER).collect::<String>()))
}

/// Every 2xx is, and the one 409 with which the webhook's contract reports that a paid reservation was cancelled: the
/// event was processed, and Stripe's next attempt would be told `replay`.
fn is_taken(status: Option<u16>, answer: &Value) -> bool {
    match status {
        Some(200..=299) => true,
        Some(409) => answer.get("decision").and_then(Value::as_str) == Some("cancelled_conflict"),
        _ => false,
    }
}

/// The header `Stripe-Signature` for a body: `t=<seconds>,v1=<HMAC-SHA256 of "t.body", hexadecimal>`.
#[must_use]
pub fn signature(secret: &str, body: &str, timestamp: i64) -> String {
    let signed = format!("{timestamp}.{body}");
    // HMAC takes keys of any length.
    let mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map(|mac| mac.chain_update(signed).finalize());
    let digest = mac.map(|mac| hex::encode(mac.into_bytes())).unwrap_or_default();
    format!("t={timestamp},v1={digest}")
}
