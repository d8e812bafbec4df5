//! `cargo xtask up`.

use std::process::ExitCode;

use anyhow::Result;
use stack::{LocalStack, StackFile};

use crate::cli::StackArguments;

pub(crate) async fn run(arguments: StackArguments) -> Result<ExitCode> {
    let mut stack = LocalStack::start(&arguments.into()).await?;
    stack.start_schedules();
    let file = stack.file.write()?;
    let StackFile { base_url, stripe_api_base, admin_database_url, .. } = &stack.file;
    println!("functions    {base_url}");
    println!("Stripe       {stripe_api_base}");
    println!("database     {admin_database_url}");
    println!("all of it    {}", file.path.display());
    println!("Ctrl-C stops it.");
    std::future::pending().await
}
