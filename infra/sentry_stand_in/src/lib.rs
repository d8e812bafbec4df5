//! A stand-in for Sentry's ingestion, for tests: `POST /api/<project>/envelope/`, with the checks that Sentry makes of
//! credentials and envelopes, and failures made to order. What it accepts is kept.
//!
//! Where it is simpler than Sentry: one project with one key; every envelope holds one event; nothing is compressed.

mod envelope;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use server::Fault;

/// The only project.
pub(crate) const PROJECT: &str = "42";
/// Its only key.
pub(crate) const PUBLIC_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A running stand-in on 127.0.0.1; it stops when dropped.
#[derive(Debug)]
pub struct SentryStandIn {
    base_url: String,
    shared: Arc<server::Shared>,
    /// Dropping it closes idle connections too, so that a stopped stand-in does not go on answering.
    _shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl SentryStandIn {
    /// Starts a stand-in on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start() -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        let base_url = listener.local_addr()?.to_string();
        let shared = Arc::new(server::Shared::default());
        let (shutdown, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, server::router(Arc::clone(&shared)));
        let serving = serving.with_graceful_shutdown(async move {
            // An error means that the sender is gone, which is the signal.
            let _ = stopped.await;
        });
        let server = tokio::spawn(serving.into_future());
        Ok(Self { base_url, shared, _shutdown: shutdown, server })
    }

    /// What to set as `SENTRY_DSN`.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("http://{PUBLIC_KEY}@{}/{PROJECT}", self.base_url)
    }

    /// Every event that was accepted, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.shared.state().events.clone()
    }

    /// How many envelopes were posted, accepted or not.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.shared.state().attempts
    }

    /// Why envelopes were refused that were not in order.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.shared.state().complaints.clone()
    }

    /// Treats every envelope like this from now on; `None`: as it should be.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.state().fault = fault;
    }
}

impl Drop for SentryStandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}
