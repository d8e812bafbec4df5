//! What operators see and do, under /ops.

mod handler;
mod resource;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("ops", Needs::OPERATIONS).await?;
        boot::serve_http(app, handler::handle).await
    })
    .await
}
