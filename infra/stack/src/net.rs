//! Ports on the loopback interface.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

/// The port asked for, or one that was free a moment ago.
pub(crate) fn port_or_free(port: Option<u16>) -> Result<u16> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    let listener =
        TcpListener::bind(wanted).with_context(|| format!("port {} is already in use", wanted.port()))?;
    Ok(listener.local_addr()?.port())
}
