//! Starts the payment of a reservation.

mod handler;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("create_payment_intent", Needs::CALLER_AND_STRIPE).await?;
        boot::serve_http(app, handler::handle).await
    })
    .await
}
