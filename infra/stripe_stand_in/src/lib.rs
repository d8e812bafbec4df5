//! A stand-in for Stripe's HTTP API, for tests and local runs: Checkout Sessions, payment intents, charges, refunds,
//! disputes and events, with state, idempotency keys, Stripe's checks and errors, and signed webhooks that are tried
//! again.
//!
//! Official clients drive it unchanged. Under `/_admin/` it does what cardholders and banks would do, and fails when
//! told to; [`Admin`] is the typed way to say so.
//!
//! Where it is simpler than Stripe: one account and only cards; parameters of other features are refused as unknown;
//! a released authorisation shows as a refunded charge without a refund object; a Checkout Session is for one payment
//! of prices that come with the request, and expires when told to, not by itself; balances, fees and the evidence of
//! disputes do not exist.

// `json!` of a whole charge needs it.
#![recursion_limit = "256"]

mod admin;
mod admin_client;
mod amounts;
mod answer;
mod api_error;
mod call;
mod cancellation;
mod charges;
mod checkout_page;
mod checkout_sessions;
mod confirmation;
mod delivery;
mod disputes;
mod events;
mod expand;
mod faults;
mod form;
mod idempotency;
mod lists;
mod money;
mod operations;
mod params;
mod payment_intents;
mod payment_methods;
mod protocol;
mod refunds;
mod request_log;
mod server;
mod state;
mod table;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use admin::Outcome;
pub use admin_client::Admin;
pub use delivery::signature;
pub use events::API_VERSION;
pub use money::{IntentMoney, charged_twice};
pub use protocol::{
    CheckoutPayment, Delivery, DisputeStatus, EventAction, EventFault, Fault, FaultKind, LoggedRequest,
    NewDispute, RefundStatus, RequestMatch, StatusFault, Switches, WebhookEndpoint,
};

/// A running stand-in on 127.0.0.1; it stops when dropped.
#[derive(Debug)]
pub struct StandIn {
    base_url: String,
    admin: Admin,
    shared: Arc<server::Shared>,
    /// Dropping it closes idle connections too, so that a stopped stand-in does not go on answering.
    _shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    courier: JoinHandle<()>,
}

impl StandIn {
    /// Starts a stand-in, on a free port unless one is given.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start(port: Option<u16>) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let (outbox, events) = mpsc::unbounded_channel();
        let shared = Arc::new(server::Shared::new(state::State::new(outbox))?);
        let courier = tokio::spawn(delivery::run(Arc::clone(&shared), events));
        let router = admin::routes().fallback(server::handle).with_state(Arc::clone(&shared));
        let (shutdown, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            // An error means that the sender is gone, which is the signal.
            let _ = stopped.await;
        });
        let server = tokio::spawn(serving.into_future());
        Ok(Self { admin: Admin::new(&base_url), base_url, shared, _shutdown: shutdown, server, courier })
    }

    /// What to set as the API's base: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The admin API.
    #[must_use]
    pub fn admin(&self) -> Admin {
        self.admin.clone()
    }

    /// [`Admin::conflicting_keys`] within this process, for those who ask often.
    #[must_use]
    pub fn conflicting_keys(&self) -> Vec<String> {
        self.shared.state().requests.conflicting_keys()
    }

    /// [`Admin::money`] within this process, for those who ask often.
    #[must_use]
    pub fn money(&self) -> Vec<IntentMoney> {
        money::of_all_intents(&self.shared.state())
    }

    /// The events that happened after the first `known` of them, oldest first, as they are sent: for a test that is the
    /// receiver itself, and has them come late, twice or never.
    #[must_use]
    pub fn events_after(&self, known: usize) -> Vec<serde_json::Value> {
        let state = self.shared.state();
        state.events.between(known..state.events.len()).iter().map(events::Event::render).collect()
    }

    /// Counts an event as delivered, as if the receiver had taken it.
    pub fn mark_delivered(&self, event_id: &str) {
        if let Some(event) = self.shared.state().events.get_mut(event_id) {
            event.taken();
        }
    }

    /// [`Admin::reset_log`] within this process, for those who ask often.
    pub fn reset_log(&self) {
        self.shared.state().reset_log();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
        self.courier.abort();
    }
}
