//! The HTTP client for AWS and the token issuer: one, so that the system's CA bundle is parsed once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Sockets idle for longer may have died while the sandbox was frozen.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes the client on first use: loading the CA bundle takes longer than all the rest of a start.
#[derive(Debug, Clone, Default)]
pub struct Network {
    client: Arc<OnceLock<Result<reqwest::Client, String>>>,
}

impl Network {
    /// The client.
    ///
    /// # Errors
    /// The text says why it could not be made; it will not be on the next call either.
    pub fn client(&self) -> Result<&reqwest::Client, String> {
        self.client.get_or_init(build).as_ref().map_err(Clone::clone)
    }

    /// Makes the client in the background, beside what else the init phase waits for.
    pub fn warm(&self) {
        let network = self.clone();
        // Nobody waits for it: whoever needs the client first either finds it or waits for this very build.
        drop(tokio::task::spawn_blocking(move || network.client().map(|_| ())));
    }
}

fn build() -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())
}
