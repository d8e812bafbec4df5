//! Says how the product is doing, every minute, in metrics that alarms watch.

mod handler;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("publish_metrics", Needs::SCHEDULE).await?;
        boot::serve_events(app, handler::handle).await
    })
    .await
}
