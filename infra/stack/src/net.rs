//! Ports on the loopback interface, and the HTTP client for what answers there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result};

/// Hosts that no proxy stands before, as `NO_PROXY` lists them.
pub(crate) const LOOPBACK_HOSTS: &str = "127.0.0.1,localhost";
/// How long an answer may take, unless a request says otherwise; API Gateway waits as long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The port asked for, or one that was free a moment ago.
pub(crate) fn port_or_free(port: Option<u16>) -> Result<u16> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    let listener =
        TcpListener::bind(wanted).with_context(|| format!("port {} is already in use", wanted.port()))?;
    Ok(listener.local_addr()?.port())
}

/// A client for the servers of this machine, which a proxy of the environment could not reach. A request fails after
/// thirty seconds unless it sets a timeout of its own.
pub fn http_client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build();
    client.context("cannot make an HTTP client")
}
