//! Starts the payment of a reservation.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("create_payment_intent", Needs::CALLER_AND_STRIPE).await?;
    boot::serve_http(app, handler::handle).await
}
