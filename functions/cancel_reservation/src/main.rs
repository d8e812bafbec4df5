//! Calls a reservation off, or says what that would mean.

mod handler;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("cancel_reservation", Needs::CALLER).await?;
        boot::serve_http(app, handler::handle).await
    })
    .await
}
