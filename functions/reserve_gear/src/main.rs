//! Takes a timed hold on gear.

mod handler;
mod request;

use kitloop::boot::{self, BootError};
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> Result<(), BootError> {
    let app = boot::start("reserve_gear", Needs::CALLER).await?;
    boot::serve_http(app, handler::handle).await
}
