//! What operators see and do, under /ops.

mod handler;
mod resource;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("ops", Needs::OPERATIONS).await?;
    boot::serve_http(app, handler::handle).await
}
