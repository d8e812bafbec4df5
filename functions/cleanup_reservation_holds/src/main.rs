//! Expires lapsed holds, every five minutes.

mod handler;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("cleanup_reservation_holds", Needs::SCHEDULE).await?;
        boot::serve_events(app, handler::handle).await
    })
    .await
}
