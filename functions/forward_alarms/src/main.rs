//! Passes alarms on to a chat, or to whatever else takes an HTTP call.

mod handler;
mod notification;

use kitloop::boot::{self, BootError};

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let forwarder = boot::start_forwarder("forward_alarms").await?;
    boot::serve_events(forwarder, handler::handle).await
}
