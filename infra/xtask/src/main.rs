//! The command line: `cargo xtask …`. Every command cleans up after itself, however it ends.

mod backup;
mod check;
mod cli;
mod demo;
mod deploy_local;
mod drill;
mod env;
mod measure;
mod migrate;
mod test;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use cli::{Cli, Command};

/// What a shell reports for a program ended by Ctrl-C: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // Whichever ends first, the other is dropped, and with it every server that was started.
    let outcome = tokio::select! {
        outcome = run(cli.command) => outcome,
        interrupted = interruption() => match interrupted {
            Ok(()) => return ExitCode::from(INTERRUPTED),
            Err(error) => Err(error),
        },
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo => demo::run().await,
        Command::DeployLocal => deploy_local::run().await,
        Command::Drill => deploy_local::drill().await,
        Command::Check => check::run().await,
        Command::Up(options) => up::run(&options).await,
        Command::Env { action } => Ok(env::run(&action).await),
        Command::Migrate(arguments) => migrate::run(arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Backup(arguments) => backup::dump(arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Restore(arguments) => backup::restore(arguments).await.map(|()| ExitCode::SUCCESS),
        Command::VerifyBackup { file } => backup::verify(&file).await.map(|()| ExitCode::SUCCESS),
        Command::Measure(arguments) => measure::run(&arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Test(arguments) => test::run(&arguments).await,
    }
}

/// Ends when somebody presses Ctrl-C or a supervisor sends SIGTERM.
async fn interruption() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    eprintln!("interrupted; stopping what was started");
    Ok(())
}
