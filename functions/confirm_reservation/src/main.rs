//! Makes a reservation firm, or declines it.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("confirm_reservation", Needs::CALLER_AND_STRIPE).await?;
    boot::serve_http(app, handler::handle).await
}
