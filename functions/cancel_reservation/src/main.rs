//! Calls a reservation off, or says what that would mean.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("cancel_reservation", Needs::CALLER).await?;
    boot::serve_http(app, handler::handle).await
}
