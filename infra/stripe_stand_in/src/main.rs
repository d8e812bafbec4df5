//! The stand-in as a program of its own.

use anyhow::Context;
use clap::Parser;
use stripe_stand_in::StandIn;

/// A stand-in for Stripe's API on 127.0.0.1
#[derive(Parser)]
struct Arguments {
    /// The port to listen on; a free one by default
    #[arg(long)]
    port: Option<u16>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let stand_in = StandIn::start(Arguments::parse().port).await?;
    println!("{}", stand_in.base_url());
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")
}
