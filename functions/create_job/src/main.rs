//! Takes jobs that customers pay for with credits.

mod handler;

use std::process::ExitCode;

use kitloop::boot;
use kitloop::config::Needs;

#[tokio::main]
async fn main() -> ExitCode {
    boot::run(async {
        let app = boot::start("create_job", Needs::CALLER).await?;
        boot::serve_http(app, handler::handle).await
    })
    .await
}
