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

/// The body of an answer, read whole, unless it is larger than `limit` bytes.
///
/// # Errors
/// Says in a few words what went wrong, without the address, whose query could hold more than a log should.
pub async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, &'static str> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure_of(&error))? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err("the answer is too large");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What went wrong on the way, without the address, whose query could hold more than a log should.
#[must_use]
pub fn failure_of(error: &reqwest::Error) -> &'static str {
    match error {
        error if error.is_connect() => "no connection",
        error if error.is_timeout() => "timed out",
        error if error.is_body() || error.is_decode() => "the answer broke off",
        _ => "the request failed",
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
