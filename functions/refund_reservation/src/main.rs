//! Sends money of a reservation back.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("refund_reservation", Needs::CALLER).await?;
    boot::serve_http(app, handler::handle).await
}
