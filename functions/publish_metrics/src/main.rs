//! Says how the product is doing, every minute, in metrics that alarms watch.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("publish_metrics", Needs::SCHEDULE).await?;
    boot::serve_events(app, handler::handle).await
}
