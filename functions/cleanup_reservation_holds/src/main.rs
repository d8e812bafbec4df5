//! Expires lapsed holds, every five minutes.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("cleanup_reservation_holds", Needs::SCHEDULE).await?;
    boot::serve_events(app, handler::handle).await
}
