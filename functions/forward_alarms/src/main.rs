//! Passes alarms on to a chat, or to whatever else takes an HTTP call.

mod handler;
mod notification;

use std::process::ExitCode;

use kitloop::boot;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let forwarder = boot::start_forwarder("forward_alarms").await?;
        boot::serve_events(forwarder, handler::handle).await
    })
    .await
}
