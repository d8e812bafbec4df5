//! Makes a reservation firm, or declines it.

mod handler;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("confirm_reservation", Needs::CALLER_AND_STRIPE).await?;
        boot::serve_http(app, handler::handle).await
    })
    .await
}
