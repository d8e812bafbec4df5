//! `cargo xtask test`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use stack::tools::{self, CargoTool};
use stack::{PrivateFile, Run, TestServers, functions, paths};
use tokio::process::Command;

use crate::cli::TestArguments;

/// The tests that must hold through a transaction pooler as well: everything that is about the database.
const DATABASE_TESTS: &str =
    "package(kitloop-tests) & (test(/^sql::/) | (binary(credits) & test(/^races::/)))";

pub(crate) async fn run(arguments: &TestArguments) -> Result<ExitCode> {
    if arguments.servers {
        return keep_servers().await;
    }
    let nextest = tools::cargo_tool(CargoTool::NEXTEST).await?;
    tools::stripe_clients().await?;
    if arguments.args.is_empty() {
        functions::build_with_tests().await?;
    } else {
        functions::build().await?;
    }
    let run = Run::start()?;
    let servers = TestServers::start(&run).await?;

    let mut passed = true;
    // The whole suite comes last, so that its summary closes the output.
    if arguments.pooler || arguments.args.is_empty() {
        println!("Database tests through PgBouncer in transaction mode:");
        let mut command = tests(&nextest, &servers, &arguments.args);
        command.env("KITLOOP_TEST_VIA", "pooler").args(["--filterset", DATABASE_TESTS]);
        passed &= succeeds(command).await?;
    }
    if !arguments.pooler {
        passed &= succeeds(tests(&nextest, &servers, &arguments.args)).await?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// For running single tests by hand or in an editor: `set -a; . target/local/test.env; cargo nextest run …`.
async fn keep_servers() -> Result<ExitCode> {
    let run = Run::start()?;
    let servers = TestServers::start(&run).await?;
    let lines: Vec<String> =
        servers.environment().iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
    let file = PrivateFile::write(paths::local().join("test.env"), lines.concat())?;
    println!("addresses are in {}; Ctrl-C stops the servers", file.path.display());
    std::future::pending().await
}

fn tests(nextest: &Path, servers: &TestServers, args: &[String]) -> Command {
    let mut command = Command::new(nextest);
    command.args(["nextest", "run", "--no-fail-fast"]).args(args);
    if args.is_empty() {
        command.arg("--workspace");
    }
    command.envs(servers.environment()).current_dir(paths::root()).kill_on_drop(true);
    command
}

async fn succeeds(mut command: Command) -> Result<bool> {
    Ok(command.status().await.context("cannot run cargo nextest")?.success())
}
