//! Takes a timed hold on gear.

mod handler;
mod request;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("reserve_gear", Needs::CALLER).await?;
        boot::serve_http(app, handler::handle).await
    })
    .await
}
