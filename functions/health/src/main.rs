//! Says whether the product is alive and ready.

mod handler;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("health", Needs::DATABASE).await?;
    boot::serve_http(app, handler::handle).await
}
