//! Sells credits by Stripe's Checkout.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("create_checkout_session", Needs::CALLER_AND_STRIPE).await?;
    boot::serve_http(app, handler::handle).await
}
