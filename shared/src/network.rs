//! The HTTP client for everything but the database: one, so that the system's CA bundle is parsed once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Sockets idle for longer may have died while the sandbox was frozen. Whoever meets a dead one sooner tries again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes the client on first use, since parsing the system's CA bundle takes 13 to 19 ms on a desktop processor, which
/// is longer than all the rest of a start. How long a request may take, each caller sets for itself.
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

#[expect(clippy::disallowed_methods, reason = "the one client")]
fn build() -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        // None of those we call redirects; following one would send keys and tokens elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())
}
