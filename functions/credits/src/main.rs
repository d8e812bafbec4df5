//! Shows a customer's credits.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("credits", Needs::CALLER).await?;
    boot::serve_http(app, handler::handle).await
}
