//! A stand-in for Resend's HTTP API, for tests and local runs: `POST /emails` with its checks, errors and idempotency
//! keys. What it accepts is kept and shown, and never sent anywhere.
//!
//! Other processes read what was accepted at `GET /_admin/emails`, and order failures at `POST /_admin/faults`.
//!
//! Where it is simpler than Resend: every domain is verified and every recipient exists, recipients at `example.com`
//! too; there is no rate limit but the one made to order; attachments, batches, schedules and templates do not exist.

mod email;
mod fault;
mod refusal;
mod server;
mod state;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use email::Email;
pub use fault::Fault;

/// A running stand-in on 127.0.0.1; it stops when dropped.
#[derive(Debug)]
pub struct ResendStandIn {
    base_url: String,
    shared: Arc<server::Shared>,
    /// Dropping it closes idle connections too, so that a stopped stand-in does not go on answering.
    _shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl ResendStandIn {
    /// Starts a stand-in, on a free port unless one is given.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start(port: Option<u16>) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        let base_url = format!("http://{}", listener.local_addr()?);
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

    /// What to set as the API's base: `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Every e-mail that was accepted, once each, oldest first.
    #[must_use]
    pub fn emails(&self) -> Vec<Email> {
        self.shared.state().emails().to_vec()
    }

    /// Answers so many of the next e-mails with this status, and accepts none of them.
    pub fn fail_next(&self, times: u32, status: u16) {
        self.add_fault(Fault { times, status, accepted: false });
    }

    /// Makes the next e-mails fail in this way, after those that faults before it are for.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.state().add_fault(fault);
    }
}

impl Drop for ResendStandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}
