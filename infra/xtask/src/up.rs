//! `cargo xtask up`.

use std::process::ExitCode;

use anyhow::Result;
use stack::{LocalStack, Options, StackFile};

pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let mut stack = LocalStack::start(options).await?;
    stack.start_schedules();
    let file = stack.file.write()?;
    let StackFile { base_url, stripe_api_base, resend_api_base, .. } = &stack.file;
    println!("functions    {base_url}");
    println!("Stripe       {stripe_api_base}");
    println!("e-mail       {resend_api_base}/_admin/emails");
    println!("the rest     {} (databases, tokens, secrets)", file.path.display());
    println!("Ctrl-C stops it.");
    std::future::pending().await
}
