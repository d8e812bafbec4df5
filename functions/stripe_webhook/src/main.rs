//! Receives events from Stripe.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("stripe_webhook", Needs::WEBHOOK).await?;
    boot::serve_http(app, handler::handle).await
}
