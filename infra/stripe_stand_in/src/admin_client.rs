//! The admin API for tests and tools, also of a stand-in in another process.

use anyhow::Context;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::admin::{Ending, Outcome, Progress};
use crate::money::IntentMoney;
use crate::protocol::{
    CheckoutPayment, Delivery, DisputeStatus, EventAction, EventFault, Fault, FaultKind, LoggedRequest,
    NewDispute, RefundStatus, RequestMatch, StatusFault, Switches, WebhookEndpoint,
};

/// The admin API of one stand-in. Every call fails if the stand-in cannot be reached or refuses.
#[derive(Debug, Clone)]
pub struct Admin {
    base_url: String,
    http: reqwest::Client,
}

impl Admin {
    /// The admin API at this address; nothing is called yet.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        // The stand-in is local: a proxy of the environment could not reach it.
        let http = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
        Self { base_url: base_url.trim_end_matches('/').to_owned(), http }
    }

    /// Sends webhooks there from now on, signed with this secret.
    pub async fn set_webhook_endpoint(&self, url: &str, secret: &str) -> anyhow::Result<()> {
        let endpoint = WebhookEndpoint { url: url.to_owned(), secret: secret.to_owned() };
        self.command(Method::PUT, "webhook_endpoint", &endpoint).await
    }

    /// Sends no webhooks any more.
    pub async fn remove_webhook_endpoint(&self) -> anyhow::Result<()> {
        self.command(Method::DELETE, "webhook_endpoint", &json!(null)).await
    }

    /// Decides what later payments and refunds do.
    pub async fn set_switches(&self, switches: Switches) -> anyhow::Result<()> {
        self.command(Method::PUT, "switches", &switches).await
    }

    /// Makes later requests fail.
    pub async fn add_fault(&self, fault: &Fault) -> anyhow::Result<()> {
        self.command(Method::POST, "faults", fault).await
    }

    /// Makes the next requests with this method, under this path, fail in this way.
    pub async fn fail_next(
        &self,
        method: &str,
        path_prefix: &str,
        times: u32,
        kind: FaultKind,
    ) -> anyhow::Result<()> {
        let request = RequestMatch {
            method: Some(method.to_owned()),
            path_prefix: Some(path_prefix.to_owned()),
            path_suffix: None,
        };
        self.add_fault(&Fault { request, times, kind }).await
    }

    /// Makes the next delivery of an event of this type go wrong.
    pub async fn add_event_fault(&self, event_type: &str, action: EventAction) -> anyhow::Result<()> {
        let fault = EventFault { event_type: event_type.to_owned(), action, times: 1 };
        self.command(Method::POST, "event_faults", &fault).await
    }

    /// Takes back every fault that has not happened yet.
    pub async fn clear_faults(&self) -> anyhow::Result<()> {
        self.command(Method::DELETE, "faults", &json!(null)).await
    }

    /// Takes this API key no more, as if it had been rolled.
    pub async fn revoke_key(&self, key: &str) -> anyhow::Result<()> {
        self.command(Method::POST, "revoked_keys", &key).await
    }

    /// Forgets every idempotency key, as Stripe does after a day.
    pub async fn forget_idempotency_keys(&self) -> anyhow::Result<()> {
        self.command(Method::DELETE, "idempotency_keys", &json!(null)).await
    }

    /// Every request so far, oldest first.
    pub async fn requests(&self) -> anyhow::Result<Vec<LoggedRequest>> {
        self.call(Method::GET, "requests", &json!(null)).await
    }

    /// The idempotency keys under which different requests were sent since the log was last reset: other parameters,
    /// another path. Empty, if the product is right.
    pub async fn conflicting_keys(&self) -> anyhow::Result<Vec<String>> {
        self.call(Method::GET, "conflicting_keys", &json!(null)).await
    }

    /// Every payment intent's money, oldest first; see [`crate::charged_twice`].
    pub async fn money(&self) -> anyhow::Result<Vec<IntentMoney>> {
        self.call(Method::GET, "money", &json!(null)).await
    }

    /// Forgets the log of requests, keys and deliveries, so that it does not grow for ever. Objects, events and the
    /// answers stored for keys stay.
    pub async fn reset_log(&self) -> anyhow::Result<()> {
        self.command(Method::DELETE, "log", &json!(null)).await
    }

    /// Every attempt to deliver an event so far, oldest first.
    pub async fn deliveries(&self) -> anyhow::Result<Vec<Delivery>> {
        self.call(Method::GET, "deliveries", &json!(null)).await
    }

    /// Delivers an event once more; answers with the event.
    pub async fn resend_event(&self, id: &str) -> anyhow::Result<Value> {
        self.call(Method::POST, &format!("events/{id}/resend"), &json!(null)).await
    }

    /// The customer of an open Checkout Session pays with this card on its page; answers with the session. Fails if the
    /// card is declined, which leaves the session open.
    pub async fn complete_checkout(&self, session: &str, card: &str) -> anyhow::Result<Value> {
        self.complete_checkout_with(
            session,
            &CheckoutPayment { card: card.to_owned(), ..CheckoutPayment::default() },
        )
        .await
    }

    /// The same, but the money takes its time ([`Admin::settle_payment`] ends that), or the event does not tell the truth.
    pub async fn complete_checkout_with(
        &self,
        session: &str,
        payment: &CheckoutPayment,
    ) -> anyhow::Result<Value> {
        self.call(Method::POST, &format!("checkout_sessions/{session}/payment"), payment).await
    }

    /// The cardholder of an intent in `requires_action` proves who they are, or fails to; answers with the intent.
    pub async fn end_authentication(&self, payment_intent: &str, outcome: Outcome) -> anyhow::Result<Value> {
        let path = format!("payment_intents/{payment_intent}/authentication");
        self.call(Method::POST, &path, &Ending { outcome }).await
    }

    /// The money of an intent in `processing` arrives, or does not; answers with the intent.
    pub async fn settle_payment(&self, payment_intent: &str, outcome: Outcome) -> anyhow::Result<Value> {
        let path = format!("payment_intents/{payment_intent}/settlement");
        self.call(Method::POST, &path, &Ending { outcome }).await
    }

    /// The authorisation of an intent in `requires_capture` runs out; answers with the intent.
    pub async fn expire_authorisation(&self, payment_intent: &str) -> anyhow::Result<Value> {
        let path = format!("payment_intents/{payment_intent}/expiry");
        self.call(Method::POST, &path, &json!(null)).await
    }

    /// A pending refund arrives, or a refund fails (also after it had succeeded); answers with the refund.
    pub async fn settle_refund(&self, refund: &str, outcome: Outcome) -> anyhow::Result<Value> {
        self.move_refund(
            refund,
            match outcome {
                Outcome::Succeed => RefundStatus::Succeeded,
                Outcome::Fail => RefundStatus::Failed,
            },
        )
        .await
    }

    /// The bank moves a refund on, as far as its status allows; answers with the refund.
    pub async fn move_refund(&self, refund: &str, status: RefundStatus) -> anyhow::Result<Value> {
        self.call(Method::PUT, &format!("refunds/{refund}/status"), &Progress { status }).await
    }

    /// The cardholder disputes all that is captured and not refunded of a charge; answers with the dispute.
    pub async fn open_dispute(&self, charge: &str) -> anyhow::Result<Value> {
        self.open_dispute_with(&NewDispute { charge: charge.to_owned(), ..NewDispute::default() }).await
    }

    /// The cardholder disputes a part of a charge, or for another reason, or the bank only inquires; answers with the
    /// dispute.
    pub async fn open_dispute_with(&self, dispute: &NewDispute) -> anyhow::Result<Value> {
        self.call(Method::POST, "disputes", dispute).await
    }

    /// The bank has our answer (`UnderReview`, `WarningUnderReview`), or makes its inquiry a dispute (`NeedsResponse`);
    /// answers with the dispute.
    pub async fn update_dispute(&self, dispute: &str, status: DisputeStatus) -> anyhow::Result<Value> {
        self.call(Method::PUT, &format!("disputes/{dispute}/status"), &Progress { status }).await
    }

    /// The bank decides a dispute, or drops its inquiry, which cannot be lost; answers with the dispute.
    pub async fn close_dispute(&self, dispute: &str, outcome: Outcome) -> anyhow::Result<Value> {
        self.call(Method::POST, &format!("disputes/{dispute}/closing"), &Ending { outcome }).await
    }

    async fn command(&self, method: Method, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        self.send(method, path, body).await.map(drop)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        Ok(self.send(method, path, body).await?.json().await?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}/_admin/{path}", self.base_url);
        let response = self.http.request(method.clone(), &url).json(body).send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let answer = response.text().await.unwrap_or_default();
        Err(anyhow::anyhow!("status {status}: {answer}")).with_context(|| format!("{method} {url}"))
    }
}

impl FaultKind {
    /// An error with this status, once; a failure on Stripe's side is stored for its idempotency key.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status(StatusFault { status, ..StatusFault::default() })
    }

    /// A failure that is gone at the next attempt, even with the same idempotency key.
    #[must_use]
    pub fn passing_status(status: u16) -> Self {
        Self::Status(StatusFault { status, stored: Some(false), ..StatusFault::default() })
    }
}
