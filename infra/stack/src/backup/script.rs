//! One transaction of `psql`, fed piece by piece: it commits when everything was fed, and only then.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use super::Address;
use crate::postgres::PostgresPrograms;

/// A piece of the script.
pub(super) enum Piece {
    /// SQL of our own.
    Sql(String),
    /// What `pg_restore` makes of these lines of the dump's list.
    Entries(String),
}

/// Runs the pieces over the database, in one transaction.
///
/// # Errors
/// When a statement fails, or the dump cannot be read to its end; then the database is as it was.
pub(super) async fn run(
    target: &Address,
    programs: &PostgresPrograms,
    dump: &Path,
    pieces: &[Piece],
) -> Result<()> {
    let (psql, mut input) = start_psql(target, programs)?;
    let mut psql = Box::pin(psql.wait_with_output());
    let fed = async {
        for piece in pieces {
            match piece {
                Piece::Sql(text) => input.write_all(text.as_bytes()).await?,
                Piece::Entries(list) => pour(programs, dump, list, &mut input).await?,
            }
        }
        anyhow::Ok(())
    };
    let output = tokio::select! {
        output = &mut psql => output,
        fed = fed => {
            // The end of its input is what makes psql commit, so it has to be gone before its input is.
            if let Err(error) = fed && !is_broken_pipe(&error) {
                drop(psql);
                return Err(error);
            }
            drop(input);
            psql.await
        }
    };
    let output = output.context("cannot run psql")?;
    if !output.status.success() {
        bail!("nothing was changed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

fn start_psql(target: &Address, programs: &PostgresPrograms) -> Result<(Child, ChildStdin)> {
    let mut psql = target.command(programs, "psql")?;
    psql.args(["--no-psqlrc", "--quiet", "--no-password", "--single-transaction", "--set=ON_ERROR_STOP=1"])
        .args(["--file=-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut psql = Command::from(psql).kill_on_drop(true).spawn().context("cannot run psql")?;
    let input = psql.stdin.take().context("psql has no input")?;
    Ok((psql, input))
}

/// Lets `pg_restore` write a part of the dump as SQL into the script.
async fn pour(programs: &PostgresPrograms, dump: &Path, list: &str, input: &mut ChildStdin) -> Result<()> {
    let mut list_file = NamedTempFile::new()?;
    list_file.write_all(list.as_bytes())?;
    let mut command = Command::new(programs.program("pg_restore"));
    command.args(["--no-owner", "--file=-", "--use-list"]).arg(list_file.path()).arg(dump);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot run pg_restore")?;
    let mut sql = child.stdout.take().context("pg_restore has no output")?;
    tokio::io::copy(&mut sql, input).await?;
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("the backup cannot be read: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

/// Whether psql went away first: then it says why.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
